"""Sizes of the modules of every room, as a Markdown table: how many, the median, the share under 60 lines, the longest.

    python benchmarks/module_sizes.py [ROOT]

`__init__.py` is not counted: a room's face re-exports names and does nothing else. Lines are those of the file, blank ones too.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

ROOMS = ("pipeline", "networks", "labelers", "trainer", "jobs")
SMALL = 60  # lines


def module_sizes(folder: Path) -> dict[str, int]:
    """Lines of every module below a folder, by path."""
    files = sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")
    return {str(path): path.read_text(encoding="utf-8").count("\n") for path in files}


def table(root: Path, rooms: Sequence[str] = ROOMS) -> Iterator[str]:
    """Rows of the table: one per room, then one of all rooms together."""
    yield "| room | modules | median lines | share under 60 | longest |"
    yield "|---|---|---|---|---|"
    everything: list[int] = []
    for room in rooms:
        lines = list(module_sizes(root / room).values())
        everything += lines
        yield _row(room, lines)
    yield _row("all", everything)


def _row(name: str, lines: Sequence[int]) -> str:
    if not lines:
        return f"| {name} | 0 | - | - | - |"
    small = sum(count < SMALL for count in lines) / len(lines)
    return f"| {name} | {len(lines)} | {median(lines):g} | {small:.0%} | {max(lines)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1], help="of the repository")
    for line in table(parser.parse_args().root):
        print(line)  # noqa: T201  # a script's output
