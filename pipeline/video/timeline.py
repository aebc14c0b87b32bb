"""Presentation times of a file's pictures: as its packets say, or repaired where that is provably right."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from shlex import quote

import numpy as np

from pipeline.errors import DataError
from pipeline.video.groups import touched
from pipeline.video.open import open_video
from pipeline.video.packets import MISSING, Packets, StoredPackets, decode_packets

_RESTART_S = 1.0  # a decoding time that lies this far before the one before it is a clock that began anew
_PLACEHOLDER = 16  # bytes: a packet as small that gives no picture says "as before" (Xvid's dropped frames)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Timeline:
    """Presentation of P packets in stored order."""

    pts: np.ndarray  # int64 "P", ticks
    shown: np.ndarray  # bool "P"
    damaged: np.ndarray  # bool "P": the picture, or one that it rests on, is damaged
    time_base: Fraction  # seconds per tick
    breaks: tuple[int, ...] = ()  # packets that begin where a clock began anew
    notes: tuple[str, ...] = ()

    @property
    def repaired(self) -> bool:
        """Whether `pts` are other times than the file's."""
        return bool(self.notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The stream that the packets come from."""

    source: str | bytes
    name: str  # in errors
    index: int  # of the stream
    time_base: Fraction
    rate: Fraction | None  # pictures per second that the file states
    without_times: bool  # the container stores no presentation times, and the codec may show pictures in another order

    @property
    def remake(self) -> str:
        """Remedy for times that cannot be repaired."""
        return remake(self.name, self.rate, index=self.index)


def remake(name: str, rate: Fraction | None, *, index: int = 0) -> str:
    """The command that gives a video even times: it counts the pictures as they leave the decoder."""
    command = (
        f"ffmpeg -i {quote(name)} -map 0:{index} -vf 'setpts=N/({rate or 'RATE'})/TB' -fps_mode passthrough -c:v libx264 -crf 16 OUT.mp4"
    )
    return f"make it anew: {command}" + ("" if rate else ", with its true RATE in pictures per second")


def timeline_of(stored: StoredPackets, origin: Origin) -> Timeline:
    """The presentation of a stream's packets. Raises: DataError, with the command that makes the video anew."""
    if origin.without_times or (stored.pts == MISSING).any():
        timeline = _from_decoder(stored, origin)
    else:
        damaged = stored.damaged.copy()
        for first in _restarts(stored, origin.time_base):
            damaged[first - 1] = False  # a jump of the packet counter where two recordings meet is no damage
        timeline = Timeline(pts=stored.pts, shown=stored.shown, damaged=damaged, time_base=origin.time_base)
    timeline = replace(timeline, damaged=touched(timeline.pts, stored.keys, timeline.damaged))
    timeline = _joined(_from_first_key(timeline, stored, range(len(stored.pts))), stored)
    return _apart(timeline, stored.keys, origin)


def _from_decoder(stored: StoredPackets, origin: Origin) -> Timeline:
    """Order of the pictures from a decode, times from the container's decoding times.

    Right where every packet gives one picture and either their order is the stored one, or the times are evenly spaced.
    """
    times, time_base = _decoding_times(stored, origin)
    order = _decoded_order(origin, len(stored.pts))
    gives = np.isin(np.arange(len(times)), order)
    dropped = ~gives & (stored.sizes <= _PLACEHOLDER)
    whole = _whole_groups(order, stored.keys, dropped)
    if not whole.any():
        raise DataError(f"{origin.name}: it stores no presentation times, and no group of pictures decodes as a whole; {origin.remake}")
    pts, in_order = _times_in_order(times, order, whole)
    if not in_order and (dropped.any() or np.ptp(np.diff(times)) > 0):
        raise DataError(
            f"{origin.name}: it stores no presentation times, shows pictures in another order than stored, "
            f"and not at an even rate; {origin.remake}"
        )
    known = bool((stored.pts != MISSING).all()) and not stored.unpacked
    if known and np.array_equal(stored.pts - stored.pts.min(), pts - pts.min()):
        return Timeline(pts=stored.pts, shown=stored.shown & ~dropped, damaged=stored.damaged | ~whole, time_base=origin.time_base)
    step = float(time_base * np.median(np.diff(times))) if len(times) > 1 else 0.0
    note = f"times repaired: the file stores none, order of the pictures from the decoder, one every {step:.6g} s"
    return Timeline(pts=pts, shown=~dropped, damaged=stored.damaged | ~whole, time_base=time_base, notes=(note,))


def _decoding_times(stored: StoredPackets, origin: Origin) -> tuple[np.ndarray, Fraction]:
    """int64 "P", strictly increasing, and its seconds per tick: the container's, or those of a raw stream's stated rate."""
    if (stored.dts == MISSING).all() and origin.rate is not None:
        return np.arange(len(stored.dts)), 1 / origin.rate
    if (stored.dts == MISSING).any() or (np.diff(stored.dts) <= 0).any():
        raise DataError(f"{origin.name}: its pictures carry no times, and no rate is stated; {origin.remake}")
    return stored.dts, origin.time_base


def _decoded_order(origin: Origin, count: int) -> np.ndarray:
    """Places of the packets whose pictures leave the decoder undamaged, in the order in which they do."""
    order: list[int] = []
    with open_video(origin.source, origin.name, index=origin.index) as (container, stream):
        for _, frames in decode_packets(Packets(container, stream, np.arange(count)), stream):
            order += [frame.pts for frame in frames if frame.pts is not None and not frame.is_corrupt]
    return np.array(order, np.int64)


def _whole_groups(order: np.ndarray, keys: np.ndarray, dropped: np.ndarray) -> np.ndarray:
    """bool "P": packets of groups (key frame to key frame) of which every picture came, once, and as one run."""
    whole = np.zeros(len(keys), bool)
    if np.array_equal(np.sort(order), np.flatnonzero(~dropped)):
        return ~whole
    edges = [*np.flatnonzero(keys).tolist(), len(keys)]
    for first, end in zip(edges, edges[1:], strict=False):
        came = np.flatnonzero((order >= first) & (order < end))
        wanted = np.flatnonzero(~dropped[first:end]) + first
        run = len(came) > 0 and came[-1] - came[0] + 1 == len(came)
        whole[first:end] = run and np.array_equal(np.sort(order[came]), wanted)
    return whole


def _times_in_order(times: np.ndarray, order: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, bool]:
    """The decoding times dealt out in the order of presentation; whether that is the stored order. Other packets keep theirs."""
    chosen = order[whole[order]]
    pts = times.copy()
    pts[chosen] = np.sort(times[chosen])
    return pts, bool((np.diff(chosen) > 0).all())


def _from_first_key(timeline: Timeline, stored: StoredPackets, places: Sequence[int]) -> Timeline:
    """Nothing is shown of what is stored, or shown, before the first key frame among `places`."""
    shown, part = timeline.shown.copy(), np.asarray(places)
    keys = part[stored.keys[part]]
    first = keys[0] if len(keys) else part[-1] + 1
    shown[part[part < first]] = False
    if len(keys):
        shown[part[timeline.pts[part] < timeline.pts[first]]] = False
    return replace(timeline, shown=shown)


def _joined(timeline: Timeline, stored: StoredPackets) -> Timeline:
    """Parts of a file whose clock began anew, one behind the other, at a distance of one picture."""
    edges = [0, *_restarts(stored, timeline.time_base).tolist(), len(stored.dts)]
    if timeline.repaired or len(edges) == 2:
        return timeline
    pts, breaks = timeline.pts.copy(), []
    for first, end in zip(edges[1:], edges[2:], strict=False):
        timeline = _from_first_key(timeline, stored, range(first, end))
        here = np.flatnonzero(timeline.shown[first:end]) + first
        before = np.flatnonzero(timeline.shown[:first])
        if not len(here) or not len(before):
            continue
        steps = np.diff(np.sort(pts[before]))
        step = int(np.median(steps)) if len(steps) else 1
        pts[first:end] += pts[before].max() + max(1, step) - pts[here].min()
        breaks.append(int(here[np.argmin(pts[here])]))
    note = f"times repaired: the clock begins anew {len(edges) - 2} times, the parts are joined, no clip goes across"
    return replace(timeline, pts=pts, breaks=tuple(breaks), notes=(note,))


def _restarts(stored: StoredPackets, time_base: Fraction) -> np.ndarray:
    """int64: the first packets after the clock began anew."""
    if (stored.dts == MISSING).any():
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.diff(stored.dts) * float(time_base) < -_RESTART_S) + 1


def _apart(timeline: Timeline, keys: np.ndarray, origin: Origin) -> Timeline:
    """Pictures that share a time moved apart by one tick each, where they are stored in the order in which they are shown.

    Elsewhere a few such pictures (one in 20) are damage: one of them is left out, and what rests on them is not trusted.
    """
    places = np.flatnonzero(timeline.shown)
    pts = timeline.pts[places]
    equal = len(pts) - len(np.unique(pts))
    if not equal:
        return timeline
    moved = np.maximum.accumulate(pts - np.arange(len(pts))) + np.arange(len(pts))
    if (np.diff(pts) < 0).any() and equal * 20 <= len(pts):
        values, first, counts = np.unique(pts, return_index=True, return_counts=True)
        shown = np.zeros_like(timeline.shown)
        shown[places[first]] = True
        damaged = touched(timeline.pts, keys, timeline.damaged | np.isin(timeline.pts, values[counts > 1]))
        return replace(timeline, shown=shown, damaged=damaged)
    if (np.diff(pts) < 0).any() or (moved - pts).max() > 2:
        raise DataError(f"{origin.name}: {equal} pictures share a time with another; {origin.remake}")
    all_pts = timeline.pts.copy()
    all_pts[places] = moved
    tick = float(timeline.time_base)
    note = f"times repaired: {equal} pictures shared a time with the one before, moved on by {tick:.6g} s each"
    return replace(timeline, pts=all_pts, notes=(*timeline.notes, note))
