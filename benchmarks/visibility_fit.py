"""Visibility of dis-flow with jumps by a logistic fit on what its chains say of themselves, against its own rule, on other clips.

Positions stay as they are: only what counts as visible changes. Fitted on `studio`, `planes` and `wild` clips through H.264 shards, judged
on other `wild` clips at two lengths, paired over clips. It may ship only if AJ and OA both rise at both lengths. Run again, it goes on.
"""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
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
from labelers.chain_visibility import CLUES, RASTER, VisibilityFit, clues_of
from pipeline.records import ClipFrames, FramesInMemory
from trainer.evaluation import paired_difference

CLIPS = {  # name: domain, clips, seed
    "fit studio": ("studio", 16, 7731),
    "fit planes": ("planes", 16, 7732),
    "fit wild": ("wild", 16, 7733),
    "judged": ("wild", 24, 7741),
}
QUERIES = 256
LIMIT = 0.2  # of strain; chosen by labeler_table.py
NEAR_PX = 8.0  # on the raster: what is farther off than this gives no Jaccard index anything when it counts as visible
THRESHOLDS = tuple(np.round(np.arange(0.2, 0.81, 0.05), 2).tolist())
RIDGE, NEWTON_STEPS = 1e-3, 30
MEASURES = ("AJ", "OA", "delta_avg", "survival")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Traced:
    """A clip's chains of one length, and the truth."""

    chains: TracedLabels
    truth: Tracks
    size: tuple[int, int]

    @property
    def after_query(self) -> np.ndarray:
        """Frames that are judged, bool "T N"."""
        return np.arange(len(self.chains.trace.strain))[:, None] > self.chains.trace.query_frame

    @property
    def clues(self) -> np.ndarray:
        """Of these frames, float32 "M C", by CLUES."""
        return clues_of(self.chains, self.size)[self.after_query]

    def measured(self, visibility: np.ndarray) -> dict[str, float]:
        """With these points visible, bool "T N", in percent."""
        return accuracy(replace(self.chains.labels, visibility=visibility), self.truth.tracks_px, self.truth.visibility, self.size)


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
    fits = {}
    for aim in ("visible", "visible and near"):
        found = fit([clip.clues for clip in fitted], [aim_of(clip, aim)[clip.after_query] for clip in fitted])
        fits[aim] = replace(found, threshold=best_threshold(found, fitted))
    judged = {frames: arms_of(clips["judged", frames], fits) for frames in FRAMES}
    arms = [arm for arm in next(iter(judged.values())) if arm not in ("jumps", "jumps, limit")]
    less = {
        base: {arm: {str(frames): paired(found[base], found[arm]) for frames, found in judged.items()} for arm in arms}
        for base in ("jumps", "jumps, limit")
    }
    result = {
        "what": f"visibility of dis-flow with jumps by a logistic fit; {width} x {height}, up to {QUERIES} points, percent",
        "clips": {name: plan.count(name) for name in CLIPS},
        "fits": {aim: described(found) for aim, found in fits.items()},
        "means": {str(frames): {arm: means(values) for arm, values in found.items()} for frames, found in judged.items()},
        "on the clips that it was fitted on": {arm: means(values) for arm, values in arms_of(fitted, fits).items()},
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
    file = plan.out / "chains" / f"{name.replace(' ', '_')}_{frames}.pt"
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
            result.append(Traced(chains=traced, truth=truth, size=clip.frames.shape[1:3]))
        save(result, file)
    found: list[Traced] = torch.load(file, weights_only=False)
    return found


def aim_of(clip: Traced, aim: str) -> np.ndarray:
    """What is to be told, bool "T N"."""
    if aim == "visible":
        return clip.truth.visibility
    off = (clip.chains.labels.tracks_px - clip.truth.tracks_px) * (RASTER / np.array(clip.size[::-1]))
    return clip.truth.visibility & (np.linalg.norm(off, axis=-1) < NEAR_PX)


def fit(clues_by_clip: Sequence[np.ndarray], truth_by_clip: Sequence[np.ndarray]) -> VisibilityFit:
    """Logistic regression by Newton's method, with a small ridge on all but the bias; every clip weighs alike."""
    clues, truth = np.concatenate(clues_by_clip).astype(np.float64), np.concatenate(truth_by_clip).astype(np.float64)
    weight = np.concatenate([np.full(len(part), 1 / max(len(part), 1)) for part in truth_by_clip]) / len(truth_by_clip)
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
    return VisibilityFit(mean=mean, scale=scale, weights=weights[:-1], bias=float(weights[-1]), threshold=0.5)


def best_threshold(found: VisibilityFit, clips: Sequence[Traced]) -> float:
    """The one with the highest mean of AJ and OA on the clips that it was fitted on."""
    scores = {}
    for threshold in THRESHOLDS:
        values = [clip.measured(replace(found, threshold=threshold).visibility(clip.chains, clip.size)) for clip in clips]
        scores[threshold] = np.nanmean([each["AJ"] + each["OA"] for each in values])
    return max(THRESHOLDS, key=lambda threshold: scores[threshold])


def arms_of(clips: Sequence[Traced], fits: Mapping[str, VisibilityFit]) -> dict[str, list[dict[str, float]]]:
    """Values of every clip by rule."""
    result = {
        "jumps": [clip.measured(clip.chains.labels.visibility) for clip in clips],
        "jumps, limit": [clip.measured(clip.chains.labels.visibility & (clip.chains.trace.strain <= LIMIT)) for clip in clips],
    }
    for aim, found in fits.items():
        result[f"fit of {aim}"] = [clip.measured(found.visibility(clip.chains, clip.size)) for clip in clips]
    return result


def paired(base: Sequence[Mapping[str, float]], other: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Differences over clips, with intervals."""
    return {name: asdict(paired_difference([clip[name] for clip in base], [clip[name] for clip in other])) for name in MEASURES}


def rises(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, bool]:
    """Whether AJ and OA both rise at all lengths, and whether all of these have intervals above zero."""
    asked = [found[frames][name] for frames in found for name in ("AJ", "OA")]
    return {"AJ and OA at all lengths": all(each["mean"] > 0 for each in asked), "off zero": all(each["low"] > 0 for each in asked)}


def described(found: VisibilityFit) -> dict[str, Any]:
    """A fit, as it is written into labelers/chain_visibility.py."""
    return {
        "weights of standardised clues": dict(zip(CLUES, found.weights.round(4).tolist(), strict=True)),
        "bias": round(found.bias, 4),
        "mean": found.mean.round(4).tolist(),
        "scale": found.scale.round(4).tolist(),
        "threshold": found.threshold,
    }


def means(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over clips."""
    return {name: round(float(np.nanmean([clip[name] for clip in values])), 2) for name in MEASURES}


if __name__ == "__main__":
    typer.run(main)
