"""Labelers without weights against the truth of rendered clips as users have them (x264, read through the stream), at two lengths.

The strain limit is chosen on clips of its own. The consensus is of dis-flow with jumps and lucas-kanade, with votes by their audits and
with equal ones; its CPU seconds are those of both labelers, and of both audits where it asks them. Differences are paired over clips,
against dis-flow as it comes, with jumps, and with these and the fit. Run again, it goes on.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from experiments import job, whole_clips
from labeler_consensus import ConsensusLabeler
from material import machine

from labelers import Labeler, make_labeler
from pipeline.metrics import tapvid_from_labels
from pipeline.metrics.track_accuracy import track_accuracy
from pipeline.records import ClipFrames, ClipSample, FramesInMemory, TrackLabels
from pipeline.records.views import take_frames
from trainer.evaluation import paired_difference

CLIPS = {  # name: domain, clips, seed
    "wild": ("wild", 24, 7711),
    "studio": ("studio", 16, 7712),
    "planes": ("planes", 16, 7713),
    "chosen": ("wild", 12, 7721),  # the limit is chosen on them
}
FRAMES = (24, 48)
QUERIES = 256
JUMPS = [1, 2, 4, 8]
VOTERS = [{"labeler": "dis-flow", "jumps": JUMPS}, {"labeler": "lucas-kanade"}]  # of the consensus
LIMITS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
BASE, JUMPING, FITTED = "dis-flow", "jumps", "jumps, fit"  # rows that others are compared with
MEASURES = ("AJ", "delta_avg", "OA", "survival")
HIDDEN = {"never hidden": (0, 0), "hidden for 1 to 4 frames": (1, 4), "for 5 or more": (5, 10**6)}
SPEEDS = {"below 1 px a frame": (0.0, 1.0), "1 to 3": (1.0, 3.0), "3 or more": (3.0, np.inf)}  # of a 256 x 256 image
Degrade = Callable[[np.ndarray, np.random.Generator], np.ndarray]
Values = Mapping[str, Mapping[str, float]]  # of a clip, by number of frames


def noise(frames: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Of a deviation of 10 grey levels."""
    return np.clip(frames + draw.normal(0, 10, frames.shape), 0, 255).astype(np.uint8)


def blur(frames: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """By 1.5 px."""
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames])


def jpeg(frames: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Of quality 15."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 15]
    return np.stack([cv2.imdecode(cv2.imencode(".jpg", frame, options)[1], cv2.IMREAD_COLOR) for frame in frames])


DEGRADED: Mapping[str, Degrade] = {"studio, noise": noise, "studio, blur": blur, "studio, jpeg": jpeg}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is measured."""

    out: Path
    height: int
    width: int
    share: float  # of the clips

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / f"{self.width}x{self.height}" / name

    def count(self, name: str) -> int:
        """Of its clips."""
        return max(2, round(CLIPS[name][1] * self.share))


def main(
    out: Annotated[Path, typer.Option(help="Where clips and results go.")] = Path("out/labeler_table"),
    size: Annotated[str, typer.Option(help="Of the clips, HEIGHTxWIDTH.")] = "240x320",
    share: Annotated[float, typer.Option(help="Of 24 wild, 16 studio and 16 planes clips.")] = 1.0,
    side_by_side: Annotated[int, typer.Option(help="Processes.")] = 2,
    only: Annotated[list[str] | None, typer.Option(help="A row of the table; several times for more. dis-flow is always there.")] = None,
    limit: Annotated[float | None, typer.Option(help="Of strain.", show_default="chosen, on clips of its own")] = None,
    degraded: Annotated[bool, typer.Option(help="Also on studio clips with noise, blur, compression.")] = True,
) -> None:
    """Print one JSON, and write it to OUT."""
    height, width = map(int, size.split("x"))
    rows = {BASE, *(only or rows_of(0.0))}
    if rows - set(rows_of(0.0)):
        raise typer.BadParameter(f"--only {', '.join(sorted(rows - set(rows_of(0.0))))}: the rows are {', '.join(rows_of(0.0))}")
    plan = Plan(out=out.absolute(), height=height, width=width, share=share)
    with ThreadPoolExecutor(side_by_side) as threads:
        list(threads.map(partial(make_dataset, plan), [name for name in CLIPS if name != "chosen" or limit is None]))
    scores: dict[float, float] = {}
    with ProcessPoolExecutor(side_by_side, initializer=one_thread) as pool:
        if limit is None:
            tried = {each: pool.submit(measured, plan, "chosen", {"jumps": JUMPS, "strain_limit": each}) for each in LIMITS}
            scores = {each: float(np.nanmean([clip["48"]["AJ"] for clip in found.result()])) for each, found in tried.items()}
            limit = max(scores, key=lambda each: scores[each])
        labelers = {row: options for row, options in rows_of(limit).items() if row in rows}
        names = [name for name in CLIPS if name != "chosen"] + (list(DEGRADED) if degraded else [])
        found = {(name, labeler): pool.submit(measured, plan, name, options) for name in names for labeler, options in labelers.items()}
        clips = {key: future.result() for key, future in found.items()}
    bases = [base for base in (BASE, JUMPING, FITTED) if base in labelers]
    result = {
        "what": f"means over clips in percent, {width} x {height}, up to {QUERIES} points from where they are first seen; CPU s a clip",
        "AJ at 48 frames by limit, clips of their own": scores,
        "limit": limit,
        "clips": {name: plan.count(name) for name in CLIPS},
        "means": {name: {labeler: means(clips[name, labeler]) for labeler in labelers} for name in names},
        "less": {
            base: {name: {row: differences(clips[name, base], clips[name, row]) for row in labelers if row != base} for name in names}
            for base in bases
        },
        "machine": machine(),
    }
    (plan.out / f"result_{size}.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def one_thread() -> None:
    """Of every process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def rows_of(limit: float) -> dict[str, dict[str, Any]]:
    """Options of every row of the table."""
    return {
        BASE: {},
        JUMPING: {"jumps": JUMPS},
        "jumps, limit": {"jumps": JUMPS, "strain_limit": limit},
        FITTED: {"jumps": JUMPS, "visibility_rule": "fitted"},
        "refined-flow": {"labeler": "refined-flow"},
        "lucas-kanade": {"labeler": "lucas-kanade"},
        "lucas-kanade, jumps": {"labeler": "lucas-kanade", "jumps": JUMPS},
        "consensus": {"labeler": "consensus", "members": VOTERS},
        "consensus, equal votes": {"labeler": "consensus", "members": VOTERS, "equal_votes": True},
    }


def make_dataset(plan: Plan, name: str) -> None:
    """Render one dataset of CLIPS, where it is not there."""
    domain, _, seed = CLIPS[name]
    shape = ("--clip-frames", max(FRAMES), "--height", plan.height, "--width", plan.width, "--queries", 2 * QUERIES)
    number = ("--num-clips", plan.count(name), "--seed", seed, "--clips-per-shard", 8, "--split-shares", "train=1")
    job("synthesize.py", "--root", plan.root(name), "--domain", domain, *number, *shape)


def measured(plan: Plan, name: str, options: Mapping[str, Any]) -> list[Values]:
    """Values of every clip."""
    labeler = labeler_of(**options)
    degrade = DEGRADED.get(name)
    result = []
    for number, clip in enumerate(whole_clips(plan.root("studio" if degrade else name))):
        seen = clip if degrade is None else replace(clip, frames=degrade(clip.frames, np.random.default_rng(number)))
        result.append({str(frames): clip_values(labeler.label, take_frames(seen, np.arange(frames))) for frames in FRAMES})
    return result


def labeler_of(labeler: str = BASE, **options: Any) -> Labeler | ConsensusLabeler:
    """A labeler, or the consensus of several."""
    return ConsensusLabeler(**options) if labeler == "consensus" else make_labeler(labeler, **options)


def clip_values(label: Callable[[Sequence[ClipFrames]], Sequence[Any]], clip: ClipSample) -> dict[str, float]:
    """Of one clip, and of groups of its tracks."""
    assert clip.tracks2d is not None, "rendered clips have tracks"
    assert clip.visibility is not None, "rendered clips have tracks"
    chosen = np.flatnonzero(clip.visibility[:-1].any(axis=0))[:QUERIES]
    tracks, visible = (known[:, chosen] for known in (clip.tracks2d, clip.visibility))
    first = visible.argmax(axis=0)
    queries = np.column_stack([first, tracks[first, np.arange(len(first))]]).astype(np.float32)
    began = time.process_time()
    (labels,) = label([ClipFrames(key=clip.key, reader=FramesInMemory(clip.frames), queries=queries)])
    seconds = time.process_time() - began
    size = clip.frames.shape[1:3]
    hidden, pace = hidden_frames(visible), speed(tracks, visible, size)
    groups = {name: (low <= hidden) & (hidden <= high) for name, (low, high) in HIDDEN.items()}
    groups |= {name: (low <= pace) & (pace < high) for name, (low, high) in SPEEDS.items()}
    values = {**accuracy(labels, tracks, visible, size), "cpu_s": seconds}
    for name, group in groups.items():
        if group.any():
            part = TrackLabels(queries=labels.queries[group], tracks_px=labels.tracks_px[:, group], visibility=labels.visibility[:, group])
            found = accuracy(part, tracks[:, group], visible[:, group], size)
            values |= {f"{measure}, {name}": value for measure, value in found.items()}
    return values


def accuracy(labels: TrackLabels, tracks: np.ndarray, visible: np.ndarray, size: tuple[int, ...]) -> dict[str, float]:
    """TAP-Vid's measures from where a point is first seen, and survival, in percent."""
    height, width = size
    found = tapvid_from_labels(labels, tracks, visible, height=height, width=width)
    lasting = track_accuracy(labels.tracks_px, tracks, true_visibility=visible, height=height, width=width)
    shares = (found.average_jaccard, found.average_pts_within_thresh, found.occlusion_accuracy, lasting.survival)
    return dict(zip(MEASURES, (100 * float(share) for share in shares), strict=True))


def hidden_frames(visible: np.ndarray) -> np.ndarray:
    """Longest run of hidden frames between two in which a track "T N" is seen, "N"."""
    longest, run = np.zeros(visible.shape[1], int), np.zeros(visible.shape[1], int)
    begun = np.zeros(visible.shape[1], bool)
    for seen in visible:
        longest = np.where(seen & begun, np.maximum(longest, run), longest)
        run = np.where(seen, 0, run + 1)
        begun |= seen
    return longest


def speed(tracks: np.ndarray, visible: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Median pixels a frame while a track is seen, of an image of 256 x 256, "N"; 0 where it is seen in no two neighbouring frames."""
    steps = np.linalg.norm(np.diff(tracks, axis=0) * (256 / np.array(size[::-1])), axis=-1)
    both = visible[1:] & visible[:-1]
    return np.array([np.median(step[seen]) if seen.any() else 0.0 for step, seen in zip(steps.T, both.T, strict=True)])


def means(clips: Sequence[Values]) -> dict[str, dict[str, float]]:
    """Over clips, by number of frames; of a group of tracks over the clips that have it."""
    return {
        str(frames): {
            name: round(float(np.nanmean([clip[str(frames)].get(name, np.nan) for clip in clips])), 2)
            for name in sorted({name for clip in clips for name in clip[str(frames)]})
        }
        for frames in FRAMES
    }


def differences(base: Sequence[Values], other: Sequence[Values]) -> dict[str, list[float]]:
    """Mean with its 95 % interval over clips."""
    result = {}
    for frames in map(str, FRAMES):
        for name in MEASURES:
            found = asdict(paired_difference([clip[frames][name] for clip in base], [clip[frames][name] for clip in other]))
            result[f"{name}, {frames} frames"] = [round(found[bound], 2) for bound in ("mean", "low", "high")]
    return result


if __name__ == "__main__":
    typer.run(main)
