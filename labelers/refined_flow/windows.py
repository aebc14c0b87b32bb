"""Windows of a clip of any length: the network sees as many frames at a time as it learned on."""

from dataclasses import dataclass

WINDOW, STRIDE = 48, 32  # frames


@dataclass(frozen=True, slots=True)
class Window:
    """Frames that are seen together, and those of them whose places are taken from this window."""

    seen: range
    decided: range


def windows_of(num_frames: int, window: int = WINDOW, stride: int = STRIDE) -> list[Window]:
    """Windows that decide every frame once; where two see a frame, the one from whose ends it is farther."""
    last = max(num_frames - window, 0)
    starts = [*range(0, last, stride), last]
    borders = [0, *((later + earlier + window) // 2 for earlier, later in zip(starts, starts[1:], strict=False)), num_frames]
    return [
        Window(seen=range(start, min(start + window, num_frames)), decided=range(begin, end))
        for start, begin, end in zip(starts, borders, borders[1:], strict=False)
    ]
