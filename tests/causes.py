"""Every diagnosis: in the code, in docs/troubleshooting.md, and in the tests that bring it about.

python tests/causes.py      write docs/protocol.md's table anew, from the @injects of the tests
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = ROOT / "docs/protocol.md"
ID = r"(?:gpu|mujoco|render|train|output)\.[a-z-]+(?:\.[a-z-]+)?"
TABLE = re.compile(r"(?<=<!-- causes: python tests/causes.py -->\n).*?(?=<!-- end of causes -->)", re.DOTALL)


def in_code() -> set[str]:
    """The ids that the lab's code can print."""
    code = "".join(path.read_text() for path in [*ROOT.glob("checks/*.py"), *ROOT.glob("docker/*.sh")])
    found = set(re.findall(rf'"({ID})"|\[({ID})\]', code))
    ids = {either for pair in found for either in pair if either}
    return ids | {f"render.{kind}.library-missing" for kind in ("egl", "osmesa")}  # composed in gl_errors.py


def explained() -> dict[str, str]:
    """The ids that docs/troubleshooting.md has a row for, and the cause it names."""
    return dict(re.findall(rf"^\| `({ID})` \| (.*?) \|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE))


def injected() -> list[tuple[str, str, str, str]]:
    """(id, how it is brought about, file and test, remedy applied) of every @injects, by id."""
    rows = []
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("injects"):
                        cause, by, *remedy = [ast.literal_eval(argument) for argument in mark.args]
                        rows.append((cause, by, f"{path.stem}::{node.name}", *(remedy or [""])))
    return sorted(rows)


def table() -> str:
    """The table as docs/protocol.md has it."""
    causes = explained()
    lines = ["", "| cause | id | brought about by | in tests/ | remedy applied |", "| --- | --- | --- | --- | --- |"]
    for cause, by, test, remedy in injected():
        applied = f"`{remedy}`" if remedy else ""
        lines.append(f"| {causes[cause]} | `{cause}` | {by} | `{test}` | {applied} |")
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    PROTOCOL.write_text(TABLE.sub(lambda _: table(), PROTOCOL.read_text()))
