"""Interlaced frames made progressive (libavfilter's bwdif): one frame for each, at the same time."""

from collections.abc import Iterator
from dataclasses import replace

import av
from av.filter import Graph

from pipeline.video.shown_frames import ShownFrame


def deinterlaced(frames: Iterator[ShownFrame], *, from_start: bool) -> Iterator[ShownFrame]:
    """The same frames, of which those flagged as interlaced are replaced by the picture at their first field's time.

    A frame's result depends on it and its two neighbours. Other frames pass as they are.

    Args:
        from_start: the source is known to hold interlaced frames; else the filter begins with the first of them.
    """
    graph: _Deinterlacer | None = None
    for shown in frames:
        if graph is None and not (from_start or shown.frame.interlaced_frame):
            yield shown
            continue
        if graph is not None and not graph.takes(shown):
            yield from graph.finish()
            graph = None
        graph = graph or _Deinterlacer(shown)
        yield from graph.push(shown)
    if graph is not None:
        yield from graph.finish()


class _Deinterlacer:
    """One filter graph, for frames of one size and pixel format."""

    def __init__(self, first: ShownFrame) -> None:
        self._kind = _kind(first)
        self._waiting: list[ShownFrame] = []
        graph = Graph()
        frame = first.frame
        self._source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._sink = graph.add("buffersink")
        self._source.link_to(bwdif)
        bwdif.link_to(self._sink)
        graph.configure()
        self._graph = graph  # its contexts live as long as it does

    def takes(self, shown: ShownFrame) -> bool:
        """Whether the frame is of this graph's kind."""
        return _kind(shown) == self._kind

    def push(self, shown: ShownFrame) -> Iterator[ShownFrame]:
        """Give a frame, take those that are complete: the filter is one frame behind."""
        self._waiting.append(shown)
        self._source.push(shown.frame)
        yield from self._ready()

    def finish(self) -> Iterator[ShownFrame]:
        """The frames still inside."""
        self._source.push(None)
        yield from self._ready()

    def _ready(self) -> Iterator[ShownFrame]:
        while self._waiting:
            try:
                frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield replace(self._waiting.pop(0), frame=frame)


def _kind(shown: ShownFrame) -> tuple[object, ...]:
    return shown.shape, shown.colour, shown.frame.format.name
