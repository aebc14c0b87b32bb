"""A run of frames of one source video."""

from dataclasses import dataclass

from pipeline.errors import DataError


@dataclass(frozen=True, slots=True)
class Span:
    """`count` frames from frame `first` on, in presentation order."""

    first: int
    count: int

    def __post_init__(self) -> None:
        if self.first < 0 or self.count < 1:
            raise DataError(f"a span of {self.count} frames from frame {self.first} cannot be cut")

    @property
    def last(self) -> int:
        """Index of the last frame."""
        return self.first + self.count - 1

    @property
    def end(self) -> int:
        """One past the last frame."""
        return self.first + self.count
