"""Spans of frames, and groups of pictures: runs of packets that decode by themselves, and the frames that damage touches."""

from dataclasses import dataclass

import numpy as np

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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DecodingOrder:
    """Positions in the file of the F frames of a source, counted as they are shown."""

    places: np.ndarray  # int64 "F": how many packets are stored before the frame's
    boundaries: np.ndarray  # bool "F+1": all frames before i are stored before all from i on
    starts: np.ndarray  # bool "F": decoding can begin at frame i, and nothing from there on refers to anything before

    @classmethod
    def of(cls, *, pts: np.ndarray, packet_pts: np.ndarray, clean_key_pts: np.ndarray) -> "DecodingOrder":
        """pts "F" as shown, packet_pts "P" as stored, clean_key_pts: key frames that clear the decoder; int64, ticks."""
        by_time = np.argsort(packet_pts, kind="stable")
        places = by_time[np.searchsorted(packet_pts[by_time], pts)]
        boundaries = np.ones(len(pts) + 1, bool)
        last_stored = np.maximum.accumulate(places)
        boundaries[1:-1] = last_stored[:-1] < np.minimum.accumulate(places[::-1])[::-1][1:]
        first_stored = np.minimum.accumulate(places[::-1])[::-1]
        starts = boundaries[:-1] & np.isin(pts, clean_key_pts) & (places == first_stored)
        return cls(places=places, boundaries=boundaries, starts=starts)

    def whole(self, span: Span) -> bool:
        """Whether the span's frames are a run of packets with nothing else between, from a clean key frame on.

        Such a clip needs no lead-in, has no stragglers (packets that are shown after its end), and misses nothing.
        """
        places = self.places[span.first : span.end]
        run = int(places.max() - places.min()) + 1 == span.count
        return bool(self.starts[span.first] and self.boundaries[span.end] and run)

    def settled_after(self, span: Span) -> int:
        """The last frame, as shown, of those stored up to the span's last packet: with it the decoder has told all faults."""
        return int(np.flatnonzero(self.places <= self.places[span.first : span.end].max())[-1])


def touched(packet_pts: np.ndarray, keys: np.ndarray, damaged: np.ndarray) -> np.ndarray:
    """bool "P": packets whose pictures may rest on damaged ones: from a damaged packet to the next key frame, in stored order,
    and the pictures behind that key frame which are shown before it.

    Args: packet_pts int64 "P", ticks, in stored order; keys, damaged: bool "P".
    """
    result = np.zeros(len(packet_pts), bool)
    places = np.append(np.flatnonzero(keys), len(packet_pts))
    for first in np.flatnonzero(damaged):
        if result[first]:
            continue
        at = int(np.searchsorted(places, first, side="right"))
        result[first : places[at]] = True
        if at + 1 < len(places):
            group = slice(places[at], places[at + 1])
            result[group] |= packet_pts[group] < packet_pts[places[at]]
    return result


def complete_up_to(packet_pts: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """bool "P": of the shown packets, those up to the last point where all that is shown before it is also stored before it.

    Behind that point a file that was cut short may miss pictures in between.
    """
    places = np.flatnonzero(shown)
    ranks = np.argsort(np.argsort(packet_pts[places], kind="stable"), kind="stable")
    closed = np.flatnonzero(np.maximum.accumulate(ranks) == np.arange(len(ranks)))
    if len(closed) < len(ranks):  # pictures change places: the last ones are complete only where a later one is there
        closed = closed[closed < len(ranks) - 1]
    result = np.zeros(len(packet_pts), bool)
    if len(closed):
        result[places[: closed[-1] + 1]] = True
    return result
