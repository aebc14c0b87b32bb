"""Cutting by copying at key frames, proven by packets, against the least that anyone could do: a bare PyAV remux of the same spans.

CPU seconds of this process. Ours reads the source, cuts and proves. Not counted: probing, planning, hashes, records, tar and index.
The second pair proves by a decode, as clips that begin anywhere need it.
"""

import io
import json
import time
from pathlib import Path
from typing import Annotated

import av
import typer
from material import machine, make_videos, paired

from pipeline.shards.windows import snapped_windows
from pipeline.video.copy import copy_spans
from pipeline.video.groups import Span
from pipeline.video.open import open_video
from pipeline.video.packets import Packets, decode_packets
from pipeline.video.probe import VideoProbe, probe_video
from pipeline.video.proof import prove_packets

CLIP_FRAMES = 48


def main(folder: Annotated[Path, typer.Option(help="Where the videos are kept.")] = Path("out/bench"), repeats: int = 5) -> None:
    """Print one JSON."""
    videos = make_videos(folder)
    probes = [probe_video(str(path), path.name) for path in videos]
    spans = [snapped_windows(Span(0, probe.num_frames), probe.order, CLIP_FRAMES, 6) for probe in probes]

    def ours(decode: bool) -> None:
        for path, probe, windows in zip(videos, probes, spans, strict=True):
            _cut(path, probe, windows, decode=decode)

    def theirs() -> None:
        for path, windows in zip(videos, spans, strict=True):
            _remux(path, windows)

    result = {
        "what": "CPU seconds of cutting at key frames by copying, against a bare remux of the same spans",
        "clips": sum(map(len, spans)),
        "frames": sum(window.count for windows in spans for window in windows),
        "proven_by_packets": paired(lambda: ours(False), theirs, repeats=repeats, clock=time.process_time),
        "proven_by_decode": paired(lambda: ours(True), theirs, repeats=repeats, clock=time.process_time),
        "machine": machine(),
    }
    print(json.dumps(result, indent=1))


def _cut(path: Path, probe: VideoProbe, windows: list[Span], *, decode: bool) -> None:
    for position, data in copy_spans(str(path), path.name, probe, windows):
        window = windows[position]
        times = tuple(probe.times_s[window.first : window.end].tolist())
        if isinstance(data, Exception):
            raise data
        if not decode:
            prove_packets(data, path.name, times)
            continue
        with open_video(data, path.name) as (container, stream):
            for _ in decode_packets(Packets(container, stream), stream):
                pass


def _remux(path: Path, windows: list[Span]) -> None:
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.size]
        for window in windows:
            buffer = io.BytesIO()
            with av.open(buffer, "w", format="mp4") as output:
                copy = output.add_stream_from_template(stream)
                for packet in packets[window.first : window.end]:
                    packet.stream = copy
                    output.mux(packet)


if __name__ == "__main__":
    typer.run(main)
