"""What came of reading the inputs: the clips that are asked for, and what could not be used."""

from dataclasses import dataclass

from pipeline.records import ClipSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class RowProblem:
    """One row (or file) that gives no clip, and why. The other rows go on."""

    manifest: str  # uri of the table, or of the file
    row: int | None  # the first data row is 1; None for a file that no table names
    kind: str  # broken | missing (the video is not there) | duplicate (the first one is kept)
    message: str

    def __str__(self) -> str:
        return f"{self.manifest}: {self.message}" if self.row is None else f"{self.manifest}: row {self.row}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The clips that all inputs together ask for, in the order of the inputs and their rows."""

    specs: tuple[ClipSpec, ...]
    problems: tuple[RowProblem, ...]
    missing_cameras: int = 0  # clips whose row names a camera file that is not there; they go on without cameras

    def count(self, kind: str) -> int:
        """How many problems are of this kind."""
        return sum(problem.kind == kind for problem in self.problems)
