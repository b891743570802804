"""The command line of a check, and the types of its arguments."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def parser(check: str, documentation: str | None) -> argparse.ArgumentParser:
    """Return an argument parser whose help is the module's docstring."""
    return argparse.ArgumentParser(
        prog=f"python -m checks.check_{check}",
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def output_file(suffix: str) -> Callable[[str], Path]:
    """Return the argument type of an output file whose name ends in `suffix`."""

    def convert(text: str) -> Path:
        path = Path(os.path.normpath(Path(text).absolute()))
        try:
            is_folder = not text or path.is_dir()
        except OSError as reason:
            raise argparse.ArgumentTypeError(f"{text[:40]}…: {reason.strerror}") from reason
        if is_folder:
            raise argparse.ArgumentTypeError(f"'{text}' is not a file; name one, such as out{suffix}")
        if path.suffix != suffix:
            raise argparse.ArgumentTypeError(f"{text} does not end in {suffix}")
        return path

    return convert


def positive(text: str) -> int:
    """Return the positive whole number that an argument holds."""
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
