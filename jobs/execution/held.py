"""Units that are held back until it is known whether the stage works at all."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.errors import TrackmillError
from pipeline.shards.suspects import SuspectUnitError

MIN_PARTS = 20  # that must fail at one place before a job stops for it
Held = TypeVar("Held")


class BrokenStageError(TrackmillError):
    """The first parts of a stage all failed unexpectedly at one place: a mistake of ours, or a labeler that works nowhere. Exit code 1."""


@dataclass(slots=True)
class HeldUnits(Generic[Held]):
    """Units that are held back: until a part of the stage succeeds, parts fail in different ways, or the stage is over.

    `held` is whatever lets the caller commit a unit later: its number, or its rows.
    """

    works: bool = False  # the stage is known to work: nothing is held back any more
    _held: list[tuple[Held, SuspectUnitError]] = field(default_factory=list)

    def hold(self, held: Held, found: SuspectUnitError) -> None:
        """Hold a unit back. Raises: BrokenStageError if enough parts, of more than one source, failed at one place."""
        self._held.append((held, found))
        if len({each.place for _, each in self._held}) > 1:
            self.works = True
        elif self._num_parts() >= MIN_PARTS and len(frozenset().union(*(each.sources for _, each in self._held))) > 1:
            raise self._broken()

    def clear(self) -> None:
        """Some unit was no suspect: the stage works."""
        self.works = True

    def release(self) -> list[Held]:
        """Units that may be committed now; they are held no longer."""
        free, self._held = ([held for held, _ in self._held], []) if self.works else ([], self._held)
        return free

    def end(self) -> list[Held]:
        """Units that may be committed at the stage's end. Raises: BrokenStageError if nothing succeeded, in enough parts."""
        if not self.works and self._num_parts() >= MIN_PARTS:
            raise self._broken()
        self.works = True
        return self.release()

    def _num_parts(self) -> int:
        return sum(each.num_parts for _, each in self._held)

    def _broken(self) -> BrokenStageError:
        first = self._held[0][1]
        return BrokenStageError(
            f"the first {self._num_parts()} parts of this stage all failed unexpectedly at one place ({first.place}), so none of them was"
            f" committed; mend that, or report it with the traceback, then run the same command again\n{first.trace}"
        )
