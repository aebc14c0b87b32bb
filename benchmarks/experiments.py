"""What the experiments with small networks share: jobs, files, schedules, intervals, and clips with stand-ins for pretrained weights.

See benchmarks/adaptation.py, benchmarks/self_supervision.py and benchmarks/loss_ablation.py.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import typer
from scipy.stats import t
from torch import Tensor

from pipeline.records import ClipSample
from pipeline.records.views import take_tracks
from pipeline.stream import ClipStream, StreamConfig
from trainer.data import ClipBatch
from trainer.data.batches import PreparedClip, collate
from trainer.data.preparing import prepare_truth
from trainer.data.track_weights import visible_weights
from trainer.evaluation import paired_difference
from trainer.geometry import nearest_pixels

HERE = Path(__file__).parents[1]
SAME_SURFACE = 0.04  # relative difference of depth up to which a track's pixel shows what the track is on
FARTHEST_M = 12.0  # depth from which truth and depth labels say nothing: errors of what is far would be all that the losses see
SKY_M = 15.0  # that what is farther, or the sky, is given as
CHANNEL_ERROR = 0.03  # of inverse depth given to networks: relative, smooth
_CELLS = (3, 4)  # of the grid that errors are drawn on


def job(name: str, *arguments: object) -> None:
    """Run one of our command lines on one thread; its tables go to standard error."""
    places = os.pathsep.join((str(HERE), str(HERE / "benchmarks")))
    command: Iterable[object] = (sys.executable, HERE / "jobs" / name, *arguments, "--executor", "inline")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": places}
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, env=environment)


def save(value: object, file: Path) -> None:
    """Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    torch.save(value, part)
    part.rename(file)


def hold_to_plan(file: Path, plan: Mapping[str, object]) -> None:
    """Note what is made in a folder, or refuse to go on there with other values. Raises: typer.BadParameter, naming those that differ."""
    wanted = json.loads(json.dumps(dict(plan), default=str))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(wanted, indent=1))
        return
    there = json.loads(file.read_text())
    differing = [
        f"{name} was {there.get(name)}, is {wanted.get(name)}" for name in {**there, **wanted} if there.get(name) != wanted.get(name)
    ]
    if differing:
        raise typer.BadParameter(f"{file.parent} was begun otherwise ({'; '.join(differing)}); give another folder, or delete it")


def difference(before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Of values "seeds clips": over clips (means of the seeds, bootstrap), and over seeds (Student's t)."""
    by_seed = np.nanmean(after, axis=1) - np.nanmean(before, axis=1)
    count = len(by_seed)
    half = float(t.ppf(0.975, count - 1) * by_seed.std(ddof=1) / np.sqrt(count)) if count > 1 else float("nan")
    mean = float(by_seed.mean())
    return {
        "mean": mean,
        "relative": mean / float(np.nanmean(before)),
        "by_seed": by_seed.round(5).tolist(),
        "over_seeds": [mean - half, mean + half],
        "over_clips": [getattr(paired_difference(before.mean(axis=0), after.mean(axis=0)), bound) for bound in ("low", "high")],
    }


def optimisation(
    parameters: list[torch.nn.Parameter], rate: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW, a warm-up of a twentieth, then a cosine to a twentieth."""
    optimiser = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.95), weight_decay=0.05)
    warm = max(1, steps // 20)
    factor = lambda n: min(1, (n + 1) / warm) * (0.05 + 0.475 * (1 + np.cos(np.pi * min(1, n / steps))))  # noqa: E731
    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, factor)


def step(optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler, loss: Tensor) -> float:
    """One update; the gradient's norm is held to 1."""
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
    schedule.step()
    return float(loss.detach())


def batch(clips: Sequence[PreparedClip]) -> ClipBatch:
    """As a training step takes them."""
    found = collate(clips)
    assert found is not None, "a batch has clips"
    return found


def whole_clips(root: str | Path) -> list[ClipSample]:
    """All clips with their truth, in the order of the plan."""
    config = StreamConfig(root=str(root), num_frames=None, evaluation_truth=True, epochs=1, shuffle=False)
    return list(ClipStream(config, announce=False))


def true_clip(sample: ClipSample, num_tracks: int) -> PreparedClip:
    """With the true tracks that are seen in the first frame; what is far is not known.

    Nor is a track whose pixel shows another surface, as many do at such sizes: a map of pixels has no place for it.
    """
    assert sample.tracks3d is not None, "rendered clips have tracks in space"
    assert sample.tracks2d is not None, "rendered clips have tracks"
    assert sample.depth is not None, "rendered clips have depth"
    x, y = (column.numpy() for column in nearest_pixels(torch.from_numpy(sample.tracks2d[0]), sample.depth.shape[1:]))
    shown, own = sample.depth[0, y, x], sample.tracks3d[0, :, 2]
    near = (sample.tracks3d[..., 2:] <= FARTHEST_M) & (np.abs(shown - own) <= SAME_SURFACE * own)[:, None]
    world = None if sample.tracks3d_world is None else np.where(near, sample.tracks3d_world, np.nan).astype(np.float32)
    tracks = np.where(near, sample.tracks3d, np.nan).astype(np.float32)
    depth = np.where(sample.depth <= FARTHEST_M, sample.depth, 0).astype(np.float32)
    sample = replace(sample, depth=depth, tracks3d=tracks, tracks3d_world=world)
    seen = np.flatnonzero(visible_weights(sample, pseudo=False)[0] > 0)[:num_tracks]
    sample = take_tracks(sample, seen)
    clip = prepared(sample, visible_weights(sample, pseudo=False), num_tracks)
    return replace(clip, truth=prepare_truth(sample, clip.frame_weights > 0, num_tracks))


def prepared(sample: ClipSample, weights: np.ndarray, num_tracks: int) -> PreparedClip:
    """Tracks filled up to their number with weight 0."""
    assert sample.tracks2d is not None, "tracks were chosen"
    found, (frames, height, width) = sample.tracks2d.shape[1], sample.frames.shape[:3]
    tracks = torch.tensor([(width - 1) / 2, (height - 1) / 2]).repeat(frames, num_tracks, 1)
    filled = torch.zeros(frames, num_tracks)
    tracks[:, :found], filled[:, :found] = torch.from_numpy(sample.tracks2d), torch.from_numpy(weights)
    return PreparedClip(
        key=sample.key,
        dataset=sample.dataset or "",
        license=sample.license,
        index=sample.index,
        is_metric=torch.tensor(sample.is_metric),
        images=torch.from_numpy(np.ascontiguousarray(sample.frames)),
        tracks_px=tracks,
        frame_weights=filled,
    )


def smooth_factor(size: tuple[int, int], error: float, draw: np.random.Generator) -> np.ndarray:
    """exp of a smooth field whose standard deviation is `error`, "H W"."""
    grid = draw.standard_normal(_CELLS).astype(np.float32)
    field = cv2.resize(grid, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.exp(error * field / field.std())


def given_inverse_depth(depth: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """True depth "H W", 0 for the sky, as what a network is given: inverse, with a smooth error."""
    return np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0) * smooth_factor(depth.shape, CHANNEL_ERROR, draw)


def chained_flows(
    frames: Sequence[np.ndarray], ends: Iterable[int], size: tuple[int, int], flow_size: tuple[int, int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """DIS flow from frame 0 to each of `ends` and back, "H W 2" each of maps of `size`, in shares of the image's width.

    It is computed at `flow_size` and followed from frame to frame: between frames that lie apart it loses what moves by itself.
    """
    grey = [cv2.cvtColor(cv2.resize(frame, flow_size[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for frame in frames]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward = [dis.calc(one, other, None) for one, other in pairwise(grey)]
    backward = [dis.calc(other, one, None) for one, other in pairwise(grey)]
    start = ((places(size) + 0.5) * (flow_size[1] / size[1]) - 0.5).astype(np.float32)

    def chained(links: Iterable[np.ndarray]) -> np.ndarray:
        place = start
        for link in links:
            place = place + cv2.remap(link, place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (place - start) / flow_size[1]

    return [(chained(forward[:end]), chained(reversed(backward[:end]))) for end in ends]


def places(size: tuple[int, int]) -> np.ndarray:
    """Pixels, (x, y), "H W 2"."""
    return np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), axis=-1).astype(np.float64)
