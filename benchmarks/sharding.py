"""Copying clips into shards, against the least that anyone could do: a bare PyAV remux of the same spans.

The job does more: it probes, plans, decodes what it wrote as a proof, hashes, writes tar and index. The second pair gives the remux the
same proof.
"""

import io
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import typer
from material import machine, make_videos, paired

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from pipeline.manifest import ManifestOptions
from pipeline.shards.policy import ClipPolicy

CLIP_FRAMES = 48


def main(folder: Annotated[Path, typer.Option(help="Where the videos are kept.")] = Path("out/bench"), repeats: int = 3) -> None:
    """Print one JSON."""
    videos = make_videos(folder)
    with TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"

        def ours() -> None:
            shutil.rmtree(root, ignore_errors=True)
            config = ShardingConfig(
                inputs=tuple(map(str, videos)),
                root=str(root),
                preset="auto",
                manifest=ManifestOptions(),
                policy=ClipPolicy(video="copy", clip_frames=CLIP_FRAMES),
                executor=Executor(name="inline", limits=Limits()),
            )
            make_shards(config, dry_run=False)

        result = {
            "what": "sharding in copy mode against a bare remux of the same spans",
            "against_bare_remux": paired(ours, lambda: remux(videos, decode=False), repeats=repeats),
            "against_remux_and_decode": paired(ours, lambda: remux(videos, decode=True), repeats=repeats),
            "machine": machine(),
        }
    print(json.dumps(result, indent=1))


def remux(videos: list[Path], *, decode: bool) -> None:
    """Cut at the key frames nearest to each span, as a script of ten lines would."""
    for path in videos:
        with av.open(str(path)) as source:
            stream = source.streams.video[0]
            packets = [packet for packet in source.demux(stream) if packet.size]
            for first in range(0, len(packets), CLIP_FRAMES):
                buffer = io.BytesIO()
                with av.open(buffer, "w", format="mp4") as output:
                    copy = output.add_stream_from_template(stream)
                    for packet in packets[first : first + CLIP_FRAMES]:
                        packet.stream = copy
                        output.mux(packet)
                if decode:
                    with av.open(io.BytesIO(buffer.getvalue())) as clip:
                        clip.streams.video[0].codec_context.thread_count = 1
                        for _ in clip.decode(video=0):
                            pass


if __name__ == "__main__":
    typer.run(main)
