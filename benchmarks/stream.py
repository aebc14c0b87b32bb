"""The stream with labels against bare decoding, counted in frames delivered: from the clips, and from the sources themselves."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import numpy as np
import typer
from material import machine, make_videos, paired

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.manifest import ManifestOptions
from pipeline.shards.index import read_index, read_member
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.policy import ClipPolicy
from pipeline.stream import ClipStream, StreamConfig

SIZE = (288, 512)


def main(folder: Annotated[Path, typer.Option(help="Where the videos are kept.")] = Path("out/bench"), repeats: int = 5) -> None:
    """Print one JSON."""
    videos = make_videos(folder, count=2, num_frames=240)
    queries = QueryPolicy(num_queries=256)
    inline = Executor(name="inline", limits=Limits())
    result: dict[str, object] = {"what": "frames delivered by the stream, with 256 tracks, against bare decoding to RGB"}
    with TemporaryDirectory() as scratch:
        for mode in ("copy", "h264"):
            root = str(Path(scratch) / mode)
            policy = ClipPolicy(video=mode)
            inputs = tuple(map(str, videos))
            make_shards(
                ShardingConfig(inputs=inputs, root=root, preset="auto", manifest=ManifestOptions(), policy=policy, executor=inline),
                dry_run=False,
            )
            labels = label_dataset(
                LabelingConfig(root=root, labeler="lucas-kanade", labeler_options={}, queries=queries, executor=inline),
                dry_run=False,
            ).label_set
            whole = StreamConfig(root=root, labels=labels, num_frames=None, epochs=1)
            small = replace(whole, size=SIZE, fit="stretch")  # as the decoding beside it
            result |= {
                f"{mode}: against decoding the clips, each into one array": paired(
                    partial(stream, whole), partial(decode_clips, root, keep=True), repeats=repeats
                ),
                f"{mode}: against decoding the clips, every frame dropped": paired(
                    partial(stream, whole), partial(decode_clips, root), repeats=repeats
                ),
                f"{mode}: at {SIZE[0]}x{SIZE[1]}, each into one array": paired(
                    partial(stream, small), partial(decode_clips, root, keep=True, size=SIZE), repeats=repeats
                ),
            }
            if mode == "copy":
                result["copy: against decoding the sources, in clips of one array"] = paired(
                    partial(stream, whole), partial(decode_sources, videos), repeats=repeats
                )
    print(json.dumps({**result, "machine": machine()}, indent=1))


def stream(config: StreamConfig) -> None:
    """Every clip once, all frames."""
    for _ in ClipStream(config):
        pass


def decode_clips(root: str, *, keep: bool = False, size: tuple[int, int] | None = None) -> None:
    """The stored videos, one after the other; their bytes are read as the stream reads them."""
    for shard in read_plan_counts(root).shards.tolist():
        for entry in read_index(root, shard):
            frames = decode(io.BytesIO(read_member(root, entry, entry.video)), size)
            if keep:
                np.stack(list(frames))
            else:
                for _ in frames:
                    pass


def decode_sources(videos: list[Path]) -> None:
    """The original files, front to back."""
    for path in videos:
        frames = decode(str(path), None)
        while clip := list(islice(frames, 48)):
            np.stack(clip)


def decode(source: object, size: tuple[int, int] | None) -> Iterator[np.ndarray]:
    """All frames as RGB, with one decoder thread."""
    height, width = size or (None, None)
    with av.open(source) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=None if size is None else "AREA")


if __name__ == "__main__":
    typer.run(main)
