"""The tables in docs/ that are made from the code: every diagnosis, its fix, and the test that brings it about.

docker/dev.sh python tests/pages.py      write them anew
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from checks import CHECKS, causes

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = ROOT / "docs/protocol.md"
TROUBLESHOOTING = ROOT / "docs/troubleshooting.md"
ID = rf"(?:{'|'.join(CHECKS.values())}|output)\.[a-z-]+(?:\.[a-z-]+)?"
TABLE = re.compile(r"(<!-- (\w+): python tests/pages\.py -->\n)[^<]*(?:<(?!!--)[^<]*)*(<!-- end -->)")


def raised() -> set[str]:
    """The ids that the code raises or prints."""
    code = "".join(path.read_text() for path in [*ROOT.glob("checks/*.py"), *ROOT.glob("docker/*.sh")])
    found = set(re.findall(rf'"({ID})"|\[({ID})\]', code))
    ids = {either for pair in found for either in pair if either}
    return ids | {f"render.{kind}.library-missing" for kind in ("egl", "osmesa")}  # composed in render_errors.py


def injected() -> list[tuple[str, str, str, str]]:
    """(id, how it is brought about, file and test, remedy applied) of every @injects, by id."""
    rows = set()
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("injects"):
                        cause, by, *remedy = [ast.literal_eval(argument) for argument in mark.args]
                        rows.add((cause, by, f"{path.stem}::{node.name}", *(remedy or [""])))
    return sorted(rows)


def as_code(text: str) -> str:
    """A command in a cell of a table."""
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def table(name: str) -> str:
    """A table as the pages have it: of a family of causes, or `injected`."""
    if name == "injected":
        lines = ["| id | brought about by | in tests/ | remedy applied |", "| --- | --- | --- | --- |"]
        lines += [f"| `{id}` | {by} | `{test}` | {as_code(remedy)} |" for id, by, test, remedy in injected()]
    else:
        lines = ["| id | cause | fix, as printed |", "| --- | --- | --- |"]
        for id, cause in causes.known().items():
            if id.startswith(f"{name}."):
                lines.append(f"| `{id}` | {cause.meaning} | {as_code(cause.fix)} |")
    return "\n".join(lines) + "\n"


def tables(page: Path) -> list[str]:
    """The names of the tables that a page has."""
    return [name for _, name, _ in TABLE.findall(page.read_text())]


def made(page: Path) -> str:
    """The text of a page with its tables as the code has them."""
    return TABLE.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}", page.read_text())


if __name__ == "__main__":
    for page in (PROTOCOL, TROUBLESHOOTING):
        page.write_text(made(page))
