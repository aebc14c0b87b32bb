"""The labelling job on Ray against a bare loop of the same labeler in as many processes: clips per second, start-up excluded.

Start-up is excluded on both sides by a difference: the time for all clips less the time for a few, over the clips between.
"""

import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import cv2
import typer
from material import machine, make_videos

from jobs.console import ProgressLine
from jobs.execution.ray_session import ray_session
from jobs.execution.run import Executor
from jobs.execution.units import Limits, PoolConfig
from jobs.labeling.job import LabelingConfig, describe
from jobs.labeling.stage import LabelStage
from jobs.labeling.worker import WorkerSettings
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy, choose_queries, make_labeler
from pipeline.labels import write_label_set
from pipeline.manifest import ManifestOptions
from pipeline.records import ClipFrames, FramesInMemory
from pipeline.shards.index import read_index, read_member
from pipeline.shards.plan import read_plan_counts
from pipeline.shards.policy import ClipPolicy
from pipeline.video.reader import read_clip_frames

LABELER, QUERIES, WORKERS = "dis-flow", QueryPolicy(num_queries=256), 2


def main(folder: Annotated[Path, typer.Option(help="Where the videos are kept.")] = Path("out/bench"), repeats: int = 3) -> None:
    """Print one JSON."""
    videos = make_videos(folder, count=6, num_frames=384, size=(288, 512))
    executor = Executor(name="inline", limits=Limits())
    with TemporaryDirectory() as scratch:
        root = str(Path(scratch) / "root")
        inputs = tuple(map(str, videos))
        policy = ClipPolicy(video="copy", clips_per_shard=8)
        make_shards(
            ShardingConfig(inputs=inputs, root=root, preset="auto", manifest=ManifestOptions(), policy=policy, executor=executor),
            dry_run=False,
        )
        shards = read_plan_counts(root).shards.tolist()
        few, clips = shards[:1], sum(len(read_index(root, shard)) for shard in shards[1:])
        pairs = []
        with ray_session():
            for attempt in range(repeats):
                job = on_ray(root, shards, f"{attempt}-all") - on_ray(root, few, f"{attempt}-few")
                loop = bare_loop(root, shards) - bare_loop(root, few)
                pairs.append((clips / job, clips / loop))
    ratios = sorted(job / loop for job, loop in pairs)
    result = {
        "what": f"jobs/pseudolabel.py ({LABELER}, {QUERIES.num_queries} queries, {WORKERS} workers) against a bare loop",
        "job_clips_per_s": [round(job, 2) for job, _ in pairs],
        "loop_clips_per_s": [round(loop, 2) for _, loop in pairs],
        "speed_of_ours_over_theirs": round(ratios[len(ratios) // 2], 3),
        "lowest_ratio": round(ratios[0], 3),
        "highest_ratio": round(ratios[-1], 3),
        "clips": clips,
        "machine": machine(),
    }
    print(json.dumps(result, indent=1))


def on_ray(root: str, shards: list[int], tag: str) -> float:
    """Seconds of the job's pool for these shards."""
    executor = Executor(name="ray", limits=Limits())
    config = LabelingConfig(root=root, labeler=LABELER, labeler_options={}, queries=QUERIES, executor=executor, num_workers=WORKERS)
    label_set = describe(config)
    write_label_set(root, label_set)
    settings = WorkerSettings(root=root, labeler=LABELER, labeler_options={}, queries=QUERIES)
    started = time.perf_counter()
    with ProgressLine(f"ray {tag}", 0, "clips") as progress:
        stage = LabelStage(settings=settings, label_set=f"{label_set.name}-{tag}")
        stage.run(executor, shards, pool=PoolConfig(num_workers=WORKERS), progress=progress)
    return time.perf_counter() - started


def bare_loop(root: str, shards: list[int]) -> float:
    """Seconds to decode, query and label the same clips in as many processes, keeping nothing."""
    keys = [(shard, place) for shard in shards for place in range(len(read_index(root, shard)))]
    started = time.perf_counter()
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(label_some, [root] * WORKERS, [keys[worker::WORKERS] for worker in range(WORKERS)]):
            pass
    return time.perf_counter() - started


def label_some(root: str, keys: list[tuple[int, int]]) -> None:
    """One process's share."""
    cv2.setNumThreads(1)
    labeler, indices = make_labeler(LABELER), {shard: read_index(root, shard) for shard in {shard for shard, _ in keys}}
    for shard, place in keys:
        entry = indices[shard][place]
        if entry.record is None:
            continue
        reader = FramesInMemory(read_clip_frames(read_member(root, entry, entry.video), entry.record))
        labeler.label([ClipFrames(key=entry.key, reader=reader, queries=choose_queries(reader, QUERIES, key=entry.key))])


if __name__ == "__main__":
    typer.run(main)
