"""A long sequence in overlapping windows, cut as it is read: no more than one window of it is held."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.errors import ConfigError

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window(Generic[Item]):
    """Items that follow each other in a sequence."""

    first: int  # number of its first item in the sequence
    items: tuple[Item, ...]
    shared: int  # of these, so many at the beginning are in the window before too; 0 in the first window


@dataclass(frozen=True, kw_only=True, slots=True)
class WindowPlan:
    """Lengths of windows. The last one is moved back, so that it is as long as the others and shares more."""

    length: int
    overlap: int  # items that neighbours share, at least

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"a window of {self.length} frames; expected 1 or more")
        if not 0 <= self.overlap < self.length:
            raise ConfigError(
                f"neighbouring windows of {self.length} frames share {self.overlap}; expected 0 to {self.length - 1}: change --overlap, or"
                " --frames"
            )

    def count(self, num_items: int) -> int:
        """Number of windows of a sequence of so many items."""
        if num_items <= self.length:
            return min(num_items, 1)
        step = self.length - self.overlap
        return 1 + (num_items - self.length + step - 1) // step

    def cut(self, items: Iterable[Item]) -> Iterator[Window[Item]]:
        """Windows of a sequence in its order, each as soon as its last item is there. A sequence that fits into one window is one."""
        held: deque[Item] = deque(maxlen=self.length)
        taken = fresh = 0
        wanted = self.length
        for item in items:
            held.append(item)
            taken, fresh = taken + 1, fresh + 1
            if fresh == wanted:
                yield Window(first=taken - len(held), items=tuple(held), shared=len(held) - fresh)
                fresh, wanted = 0, self.length - self.overlap
        if fresh:
            yield Window(first=taken - len(held), items=tuple(held), shared=len(held) - fresh)
