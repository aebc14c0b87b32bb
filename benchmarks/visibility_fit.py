"""Visibility of dis-flow with jumps by a logistic fit on what its chains say of themselves, against its own rule, on other clips.

Positions stay as they are: only what counts as visible changes. Fitted on `studio`, `planes` and `wild` clips through H.264 shards, judged
on other `wild` clips at two lengths, paired over clips. It may ship only if AJ and OA both rise at both lengths. Run again, it goes on.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from experiments import hold_to_plan, job, save
from labeler_table import FRAMES, accuracy
from material import machine
from refiner_clips import CHAIN, Tracks, asked_anew, clips_with_truth, take, true_tracks

from labelers.chain_trace import TracedLabels
from pipeline.records import ClipFrames, FramesInMemory, TrackLabels
from trainer.evaluation import paired_difference

CLIPS = {  # name: domain, clips, seed
    "fit studio": ("studio", 16, 7731),
    "fit planes": ("planes", 16, 7732),
    "fit wild": ("wild", 16, 7733),
    "judged": ("wild", 24, 7741),
}
QUERIES = 256
LIMIT = 0.2  # of strain; chosen by labeler_table.py
NEAR_PX = 8.0  # on a raster of 256: what is farther off than this gives no Jaccard index anything when it counts as visible
CLUES = (
    "strain",
    "last link's strain",
    "round trip, px",
    "links",
    "frames since a direct link",
    "hidden frames",
    "frames since the query",
    "speed",
)
THRESHOLDS = tuple(np.round(np.arange(0.2, 0.81, 0.05), 2).tolist())
RIDGE, NEWTON_STEPS = 1e-3, 30
MEASURES = ("AJ", "OA", "delta_avg", "survival")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Traced:
    """A clip's chains of one length, and the truth."""

    labels: TrackLabels
    strain: np.ndarray  # float32 "T N"
    clues: np.ndarray  # float32 "T N C", by CLUES
    truth: Tracks
    size: tuple[int, int]

    @property
    def after_query(self) -> np.ndarray:
        """Frames that are judged, bool "T N"."""
        return np.arange(len(self.strain))[:, None] > self.labels.queries[:, 0]

    def measured(self, visibility: np.ndarray) -> dict[str, float]:
        """With these points visible, bool "T N", in percent."""
        labels = TrackLabels(queries=self.labels.queries, tracks_px=self.labels.tracks_px, visibility=visibility)
        return accuracy(labels, self.truth.tracks_px, self.truth.visibility, self.size)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Fit:
    """log odds = weights . (clues - mean) / scale + bias."""

    mean: np.ndarray  # "C"
    scale: np.ndarray  # "C"
    weights: np.ndarray  # "C + 1", the bias last

    def probability(self, clues: np.ndarray) -> np.ndarray:
        """Of clues "... C"."""
        logits = ((clues - self.mean) / self.scale) @ self.weights[:-1] + self.weights[-1]
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is fitted and judged."""

    out: Path
    height: int
    width: int
    share: float

    def root(self, name: str) -> Path:
        """A dataset of CLIPS."""
        return self.out / "data" / name.replace(" ", "_")

    def count(self, name: str) -> int:
        """Of its clips."""
        return max(2, round(CLIPS[name][1] * self.share))


def main(
    out: Annotated[Path, typer.Option(help="Where clips and results go.")] = Path("out/visibility_fit"),
    size: Annotated[str, typer.Option(help="Of the clips, HEIGHTxWIDTH.")] = "240x320",
    share: Annotated[float, typer.Option(help="Of the clips, for a try.")] = 1.0,
    side_by_side: Annotated[int, typer.Option(help="Processes.")] = 2,
) -> None:
    """Print one JSON, and write it to OUT."""
    height, width = map(int, size.split("x"))
    plan = Plan(out=out.absolute(), height=height, width=width, share=share)
    hold_to_plan(plan.out / "plan.json", {name: value for name, value in asdict(plan).items() if name != "out"})
    with ThreadPoolExecutor(side_by_side) as threads:
        list(threads.map(partial(make_dataset, plan), CLIPS))
    work = [(name, frames) for name in CLIPS for frames in FRAMES]
    with ProcessPoolExecutor(side_by_side, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        clips = dict(zip(work, pool.map(traced_clips, [plan] * len(work), *zip(*work, strict=True)), strict=True))
    fitted = [clip for (name, _), found in clips.items() if name != "judged" for clip in found]
    fits, rules = {}, {}
    for aim in ("visible", "visible and near"):
        fits[aim] = fit([clip.clues[clip.after_query] for clip in fitted], [aim_of(clip, aim)[clip.after_query] for clip in fitted])
        rules[aim] = best_threshold(fits[aim], fitted)
    judged = {frames: arms_of(clips["judged", frames], fits, rules) for frames in FRAMES}
    arms = [arm for arm in next(iter(judged.values())) if arm not in ("jumps", "jumps, limit")]
    less = {
        base: {arm: {str(frames): paired(found[base], found[arm]) for frames, found in judged.items()} for arm in arms}
        for base in ("jumps", "jumps, limit")
    }
    result = {
        "what": f"visibility of dis-flow with jumps by a logistic fit; {width} x {height}, up to {QUERIES} points, percent",
        "clips": {name: plan.count(name) for name in CLIPS},
        "fits": {aim: described(found, rules[aim]) for aim, found in fits.items()},
        "means": {str(frames): {arm: means(values) for arm, values in found.items()} for frames, found in judged.items()},
        "on the clips that it was fitted on": {arm: means(values) for arm, values in arms_of(fitted, fits, rules).items()},
        "less": less,
        "rises": {base: {arm: rises(found) for arm, found in arms.items()} for base, arms in less.items()},
        "machine": machine(),
    }
    (plan.out / "result.json").write_text(json.dumps(result, indent=1))
    typer.echo(json.dumps(result, indent=1))


def make_dataset(plan: Plan, name: str) -> None:
    """Render one dataset of CLIPS, where it is not there."""
    domain, _, seed = CLIPS[name]
    shape = ("--clip-frames", max(FRAMES), "--height", plan.height, "--width", plan.width, "--queries", 2 * QUERIES)
    number = ("--num-clips", plan.count(name), "--seed", seed, "--clips-per-shard", 8, "--split-shares", "train=1")
    job("synthesize.py", "--root", plan.root(name), "--domain", domain, *number, *shape)


def traced_clips(plan: Plan, name: str, frames: int) -> list[Traced]:
    """Chains of a dataset's clips, cut to so many frames; kept."""
    file = plan.out / "traced" / f"{name.replace(' ', '_')}_{frames}.pt"
    if not file.exists():
        result = []
        for clip in clips_with_truth(plan.root(name)):
            whole = true_tracks(clip)
            cut = Tracks(
                tracks_px=whole.tracks_px[:frames], visibility=whole.visibility[:frames], known=whole.known[:frames], queries=whole.queries
            )
            chosen = np.flatnonzero(cut.visibility[:-1].any(axis=0))[:QUERIES]
            truth = asked_anew(take(cut, chosen), None)
            traced = CHAIN.trace(ClipFrames(key=clip.key, reader=FramesInMemory(clip.frames[:frames]), queries=truth.queries))
            size = clip.frames.shape[1:3]
            result.append(Traced(labels=traced.labels, strain=traced.trace.strain, clues=clues(traced, size), truth=truth, size=size))
        save(result, file)
    found: list[Traced] = torch.load(file, weights_only=False)
    return found


def clues(traced: TracedLabels, size: tuple[int, int]) -> np.ndarray:
    """CLUES as logarithms of 1 + x, float32 "T N C"; the speed is of a raster of 256 x 256, from the frame before."""
    trace = traced.trace
    steps = np.diff(traced.labels.tracks_px, axis=0, prepend=traced.labels.tracks_px[:1]) * (256 / np.array(size[::-1], np.float32))
    since = np.abs(np.arange(len(trace.strain))[:, None] - trace.query_frame)
    speed = np.linalg.norm(steps, axis=-1)
    parts = [
        10 * trace.strain,
        10 * trace.link_strain,
        10 * trace.missed_px,
        trace.num_links,
        trace.since_direct,
        trace.hidden_frames,
        since,
        speed,
    ]
    assert len(parts) == len(CLUES), "every clue has a name"
    return np.log1p(np.stack(parts, axis=-1)).astype(np.float32)


def aim_of(clip: Traced, aim: str) -> np.ndarray:
    """What is to be told, bool "T N"."""
    if aim == "visible":
        return clip.truth.visibility
    off = (clip.labels.tracks_px - clip.truth.tracks_px) * (256 / np.array(clip.size[::-1]))
    return clip.truth.visibility & (np.linalg.norm(off, axis=-1) < NEAR_PX)


def fit(clues_of: Sequence[np.ndarray], truth_of: Sequence[np.ndarray]) -> Fit:
    """Logistic regression by Newton's method, with a small ridge on all but the bias; every clip weighs alike."""
    clues, truth = np.concatenate(clues_of).astype(np.float64), np.concatenate(truth_of).astype(np.float64)
    weight = np.concatenate([np.full(len(part), 1 / max(len(part), 1)) for part in truth_of]) / len(truth_of)
    mean, scale = clues.mean(axis=0), np.maximum(clues.std(axis=0), 1e-6)
    design = np.column_stack([(clues - mean) / scale, np.ones(len(clues))])
    ridge = np.diag([RIDGE] * clues.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        gradient = design.T @ (weight * (chance - truth)) + ridge @ weights
        curvature = (design * (weight * chance * (1 - chance))[:, None]).T @ design + ridge + 1e-9 * np.eye(len(weights))
        change = np.linalg.solve(curvature, gradient)
        weights = weights - change
        if np.abs(change).max() < 1e-9:
            break
    return Fit(mean=mean, scale=scale, weights=weights)


def best_threshold(found: Fit, clips: Sequence[Traced]) -> float:
    """The one with the highest mean of AJ and OA on the clips that it was fitted on."""
    scores = {}
    for threshold in THRESHOLDS:
        values = [clip.measured(visible(found, clip, threshold)) for clip in clips]
        scores[threshold] = np.nanmean([each["AJ"] + each["OA"] for each in values])
    return max(THRESHOLDS, key=lambda threshold: scores[threshold])


def visible(found: Fit, clip: Traced, threshold: float) -> np.ndarray:
    """By the fit, and at the query, bool "T N"."""
    at_query = np.arange(len(clip.strain))[:, None] == clip.labels.queries[:, 0]
    return (found.probability(clip.clues) > threshold) | at_query


def arms_of(clips: Sequence[Traced], fits: Mapping[str, Fit], rules: Mapping[str, float]) -> dict[str, list[dict[str, float]]]:
    """Values of every clip by rule."""
    result = {
        "jumps": [clip.measured(clip.labels.visibility) for clip in clips],
        "jumps, limit": [clip.measured(clip.labels.visibility & (clip.strain <= LIMIT)) for clip in clips],
    }
    return result | {f"fit of {aim}": [clip.measured(visible(fits[aim], clip, rules[aim])) for clip in clips] for aim in fits}


def paired(base: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Differences over clips, with intervals."""
    return {name: asdict(paired_difference([clip[name] for clip in base], [clip[name] for clip in other])) for name in MEASURES}


def rises(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, bool]:
    """Whether AJ and OA both rise at all lengths, and whether all of these have intervals above zero."""
    asked = [found[frames][name] for frames in found for name in ("AJ", "OA")]
    return {"AJ and OA at all lengths": all(each["mean"] > 0 for each in asked), "off zero": all(each["low"] > 0 for each in asked)}


def described(found: Fit, threshold: float) -> dict[str, Any]:
    """A fit, as it would be written into code."""
    weights = dict(zip((*CLUES, "bias"), found.weights.round(4).tolist(), strict=True))
    return {
        "weights of standardised clues": weights,
        "mean": found.mean.round(4).tolist(),
        "scale": found.scale.round(4).tolist(),
        "threshold": threshold,
    }


def means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over clips."""
    return {name: round(float(np.nanmean([clip[name] for clip in values])), 2) for name in MEASURES}


if __name__ == "__main__":
    typer.run(main)
