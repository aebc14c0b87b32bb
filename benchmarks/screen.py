"""What the screen costs, and what it saves: a folder of videos, with a static, a dark and a credits clip planted among them.

The videos are cut, screened, and labelled twice on one core: all clips, and only those that the screen did not drop.
"""

import json
import shutil
import time
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import av
import cv2
import numpy as np
import typer
from material import machine

from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, LabelingOutcome, label_dataset
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.audit.stored.screen import read_screen
from pipeline.layout import Layout, committed
from pipeline.manifest import ManifestOptions
from pipeline.shards.policy import ClipPolicy

NUM_FRAMES, HEIGHT, WIDTH, RATE = 48, 288, 512, 30
DIM = 0.08  # of the light that is left in the dark clip
EXECUTOR = Executor(name="inline", limits=Limits())


def main(
    videos: Annotated[Path, typer.Argument(help="Folder of videos.")],
    labeler: str = "dis-flow",
    queries: int = 256,
    repeats: Annotated[int, typer.Option(help="Labellings of each kind, in turn; the cheapest of each counts.")] = 2,
) -> None:
    """Print one JSON."""
    sources = sorted(videos.glob("*.mp4"))
    with TemporaryDirectory() as scratch:
        root = str(Path(scratch) / "root")
        inputs = (*map(str, sources), *map(str, plant(Path(scratch) / "planted", sources[0])))
        policy = ClipPolicy(clip_frames=NUM_FRAMES)
        make_shards(
            ShardingConfig(inputs=inputs, root=root, preset="auto", manifest=ManifestOptions(), policy=policy, executor=EXECUTOR),
            dry_run=False,
        )
        screened = screen_dataset(ScreeningConfig(root=root, executor=EXECUTOR), dry_run=False)
        labelled: dict[str, list[tuple[LabelingOutcome, float]]] = {"ignore": [], "obey": []}
        for _ in range(repeats):
            for screen, runs in labelled.items():
                runs.append(labelling(root, labeler, queries, screen))
                shutil.rmtree(Layout(root).label_set(runs[-1][0].label_set))
        dropped = {row.key: row.verdict.reasons for shard in sorted(committed(Layout(root).screen)) for row in read_screen(root, shard)}
    (without, without_s), (within, within_s) = (min(runs, key=lambda run: run[1]) for runs in labelled.values())
    totals = screened.totals
    result = {
        "what": f"jobs/audit.py screen before jobs/pseudolabel.py ({labeler}, {queries} queries): {len(sources)} videos and three planted",
        "verdicts": {key: list(reasons) for key, reasons in dropped.items() if reasons},
        "video_s": round(screened.video_s, 2),
        "screen_cpu_s": round(screened.cpu_s, 2),
        "screen_cpu_s_per_hour_of_video": round(3600 * screened.cpu_s / screened.video_s),
        "screen_cpu_ms_per_frame": round(1000 * screened.cpu_s / totals.frames, 2),
        "frames": totals.frames,
        "frames_saved": totals.frames_dropped,
        "clips_labelled": {"without": without.totals.ok, "with": within.totals.ok},
        "labelling_cpu_s": {"without": round(without_s, 2), "with": round(within_s, 2)},
        "all_labellings_cpu_s": {screen: [round(cpu_s, 2) for _, cpu_s in runs] for screen, runs in labelled.items()},
        "saved_cpu_s_less_screening": round(without_s - within_s - screened.cpu_s, 2),
        "screen_over_labelling": round(screened.cpu_s / without_s, 3),
        "machine": machine(),
    }
    print(json.dumps(result, indent=1))


def plant(folder: Path, video: Path) -> list[Path]:
    """A static, a dark and a credits clip; the first two of the pictures of `video`."""
    folder.mkdir()
    pictures = first_pictures(video)
    noise = np.random.default_rng(0).normal(0, 2, (NUM_FRAMES, HEIGHT, WIDTH, 1))
    planted = {
        "planted_static": np.clip(pictures[:1] + noise, 0, 255).astype(np.uint8),
        "planted_dark": (pictures * DIM).astype(np.uint8),
        "planted_credits": rolling_text(),
    }
    for name, frames in planted.items():
        write(folder / f"{name}.mp4", frames)
    return sorted(folder.glob("*.mp4"))


def first_pictures(video: Path) -> np.ndarray:
    """The first frames of a video, uint8 "T H W 3"."""
    with av.open(str(video)) as container:
        frames = zip(range(NUM_FRAMES), container.decode(container.streams.video[0]), strict=False)
        return np.stack([frame.to_ndarray(width=WIDTH, height=HEIGHT, format="rgb24") for _, frame in frames])


def rolling_text() -> np.ndarray:
    """Lines of random letters, white on black, 2 pixels upwards per frame; uint8 "T H W 3"."""
    page, rng = np.zeros((HEIGHT + 2 * NUM_FRAMES, WIDTH, 3), np.uint8), np.random.default_rng(0)
    for line in range(len(page) // 30):
        name = "".join(chr(letter) for letter in rng.integers(ord("A"), ord("Z") + 1, rng.integers(8, 24)))
        (length, _), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1)
        place = ((WIDTH - length) // 2, 25 + 30 * line)
        cv2.putText(page, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (235, 235, 235), 1, cv2.LINE_AA)
    return np.stack([page[2 * t : 2 * t + HEIGHT] for t in range(NUM_FRAMES)])


def write(path: Path, frames: np.ndarray) -> None:
    """H.264 of frames "T H W 3"."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20", "g": "48"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def labelling(root: str, labeler: str, queries: int, screen: str) -> tuple[LabelingOutcome, float]:
    """What came of labelling, and its CPU seconds: decoding, tracking, writing."""
    policy = QueryPolicy(num_queries=queries)
    config = LabelingConfig(root=root, labeler=labeler, labeler_options={}, queries=policy, executor=EXECUTOR, screen=screen)
    started = time.process_time()
    outcome = label_dataset(config, dry_run=False)
    return outcome, time.process_time() - started


if __name__ == "__main__":
    typer.run(main)
