"""What each way of storing clips costs: CPU seconds per minute of video for copy, h264 and auto, of real videos and of an HEVC video."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from material import machine, make_hevc

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from pipeline.layout import committed
from pipeline.manifest import ManifestOptions
from pipeline.shards.index import read_index
from pipeline.shards.policy import VIDEO_POLICIES, ClipPolicy


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos (mp4).")],
    mode: Annotated[list[str] | None, typer.Option(help="copy, h264, auto; may be given several times.")] = None,
    clip_frames: int = 48,
    repeats: Annotated[int, typer.Option(help="Runs of each, in turn; the cheapest counts.")] = 2,
    hevc: Annotated[bool, typer.Option(help="Also an HEVC video with open groups and a key frame every 240 frames.")] = True,
    folder: Annotated[Path, typer.Option(help="Where the HEVC video is kept.")] = Path("out/bench"),
) -> None:
    """Print one JSON: for each video and mode, CPU seconds of jobs/shard.py per minute of video, how clips were stored, and their bytes."""
    sources = sorted(videos.glob("*.mp4"))
    groups = {path.name: [path] for path in sources} | {"all of the folder": sources}
    if hevc:
        groups["HEVC, 720p, a key frame every 240"] = [make_hevc(folder, size=(720, 1280))]
    found = {name: {each: cut(paths, each, clip_frames, repeats) for each in mode or VIDEO_POLICIES} for name, paths in groups.items()}
    result = {"what": f"jobs/shard.py --executor inline, clips of {clip_frames} frames", "found": found, "machine": machine()}
    print(json.dumps(result, indent=1))


def cut(sources: Sequence[Path], mode: str, clip_frames: int, repeats: int) -> dict[str, object]:
    """Cut some videos into a new root each time; the cheapest run, and what was stored."""
    spent = []
    for _ in range(repeats):
        with TemporaryDirectory() as root:
            config = ShardingConfig(
                inputs=tuple(map(str, sources)),
                root=root,
                preset="auto",
                manifest=ManifestOptions(),
                policy=ClipPolicy(video=mode, clip_frames=clip_frames),
                executor=Executor(name="inline", limits=Limits()),
            )
            started = time.process_time()
            make_shards(config, dry_run=False)
            spent.append(time.process_time() - started)
            entries = [entry for shard in sorted(committed(f"{root}/shards")) for entry in read_index(root, shard)]
    records = [entry.record for entry in entries if entry.record is not None]
    video_s = sum(record.end_s - record.start_s for record in records)
    return {
        "video_s": round(video_s, 2),
        "frames": sum(record.frames for record in records),
        "cpu_s": round(min(spent), 3),
        "cpu_s_per_minute": round(60 * min(spent) / video_s, 2),
        "stored_as": dict(Counter(record.video for record in records)),
        "failed": len(entries) - len(records),
        "bytes": sum(entry.video.length for entry in entries if entry.record is not None),
    }


if __name__ == "__main__":
    typer.run(main)
