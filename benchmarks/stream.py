"""The stream with labels against bare decoding, counted in frames delivered: from the clips, and from the sources themselves."""

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import typer
from material import machine, make_videos, paired

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.sharding import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.manifest import ManifestOptions
from pipeline.shards.index import read_index, read_member
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.policy import ClipPolicy
from pipeline.stream import ClipStream, StreamConfig


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
            config = StreamConfig(root=root, labels=labels, num_frames=None, epochs=1)
            result[f"{mode}_against_the_clips"] = paired(lambda c=config: stream(c), lambda r=root: decode_clips(r), repeats=repeats)
            if mode == "copy":
                result["copy_against_the_sources"] = paired(lambda c=config: stream(c), lambda: decode_sources(videos), repeats=repeats)
    print(json.dumps({**result, "machine": machine()}, indent=1))


def stream(config: StreamConfig) -> None:
    """Every clip once, all frames."""
    for _ in ClipStream(config):
        pass


def decode_clips(root: str) -> None:
    """The stored videos, one after the other; their bytes are read as the stream reads them."""
    for shard in read_plan_counts(root).shards.tolist():
        for entry in read_index(root, shard):
            decode(io.BytesIO(read_member(root, entry, entry.video)))


def decode_sources(videos: list[Path]) -> None:
    """The original files, front to back."""
    for path in videos:
        decode(str(path))


def decode(source: object) -> None:
    """All frames to RGB, with one decoder thread."""
    with av.open(source) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


if __name__ == "__main__":
    typer.run(main)
