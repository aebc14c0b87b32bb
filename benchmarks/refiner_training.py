"""How the refiner learns: losses on windows, one training alone or in step with others, tracks of a window, and their measures."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from experiments import optimisation, save
from labeler_table import accuracy
from refiner_clips import Tracks, Window
from torch import Tensor

from labelers.refined_flow import refining
from networks.chain_refiner import COARSE, ChainRefiner, ChainRefinerConfig, ChainRefinerOutput, Chains, features_of, to_cells
from networks.weights import TrainingOrigin, TrainingSource, save_weights
from pipeline.records import TrackLabels

POINTS = {24: 128, 48: 64}  # of a window in training, by its frames: as much work
RATE = 1e-3
REACH_PX = 24.0  # how far from the truth a place may be to be corrected
RIGHT_PX = 4.0  # of a certain place
HIDDEN_WEIGHT = 0.2  # of positions that are not seen
DISCOUNT = 0.7  # of an iteration for each that follows
LICENSE = "Apache-2.0"  # of weights that learned from our own renderer
WEIGHTS = {"position": 1.0, "choice": 1.0, "visibility": 1.0, "certainty": 0.5, "search": 0.2}
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # of seen and certain, to choose from
Reduce = Callable[[ChainRefiner], None]  # brings the gradients of several processes together, in place


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RefinerInput:
    """One window that holds its queries: T frames, N points."""

    frames: Tensor  # float32 "T 3 H W" in [0, 1]; H and W are multiples of COARSE
    chains: Chains


def run(model: ChainRefiner, given: RefinerInput) -> ChainRefinerOutput:
    """The network on a window."""
    maps = model.maps(given.frames)
    return model(maps, features_of(maps, given.chains.queries), given.chains)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """What a window's points are told."""

    tracks_px: Tensor  # float32 "T N 2", finite
    visible: Tensor  # float32 "T N", 0 or 1
    position_weight: Tensor  # float32 "T N" in [0, 1]
    visibility_weight: Tensor  # float32 "T N" in [0, 1]


def true_target(tracks: Tracks) -> Target:
    """Of rendered clips: all that is known, hidden positions at HIDDEN_WEIGHT."""
    visible = tracks.visibility.astype(np.float32)
    known = tracks.known.astype(np.float32)
    return Target(
        tracks_px=torch.from_numpy(np.nan_to_num(tracks.tracks_px)),
        visible=torch.from_numpy(visible),
        position_weight=torch.from_numpy(known * np.where(tracks.visibility, 1, HIDDEN_WEIGHT).astype(np.float32)),
        visibility_weight=torch.from_numpy(known),
    )


def inputs(window: Window, points: np.ndarray | None = None) -> RefinerInput:
    """What the network sees of a window, of all its points or of some, int64 "n"."""
    chosen = np.arange(len(window.chosen)) if points is None else points
    frames = torch.from_numpy(np.ascontiguousarray(window.pictures())).permute(0, 3, 1, 2).float() / 255
    parts = (window.truth.queries[chosen], window.chain_px[:, chosen], window.clues[:, chosen].astype(np.float32))
    queries, chain, clues = map(torch.from_numpy, parts)
    return RefinerInput(frames=frames, chains=Chains(queries=queries, chain_px=chain, clues=clues))


def take_points(target: Target, points: np.ndarray) -> Target:
    """Of some points, int64 "n"."""
    chosen = torch.from_numpy(points)
    return Target(
        tracks_px=target.tracks_px[:, chosen],
        visible=target.visible[:, chosen],
        position_weight=target.position_weight[:, chosen],
        visibility_weight=target.visibility_weight[:, chosen],
    )


def augmented(given: RefinerInput, target: Target, draw: np.random.Generator) -> tuple[RefinerInput, Target]:
    """Mirrored in x, in y, or both; channels exchanged: what a chain says stays as good."""
    frames, tracks = given.frames, target.tracks_px.clone()
    queries, chain = given.chains.queries.clone(), given.chains.chain_px.clone()
    for axis, length in ((0, frames.shape[-1]), (1, frames.shape[-2])):
        if draw.random() < 0.5:
            frames = frames.flip(-1 - axis)
            queries[..., 1 + axis] = length - 1 - queries[..., 1 + axis]
            for places in (chain, tracks):
                places[..., axis] = length - 1 - places[..., axis]
    order = torch.from_numpy(draw.permutation(3))
    chains = Chains(queries=queries, chain_px=chain, clues=given.chains.clues)
    moved = RefinerInput(frames=frames[:, order].contiguous(), chains=chains)
    told = Target(
        tracks_px=tracks, visible=target.visible, position_weight=target.position_weight, visibility_weight=target.visibility_weight
    )
    return moved, told


def losses(output: ChainRefinerOutput, given: RefinerInput, target: Target) -> dict[str, Tensor]:
    """Each term of WEIGHTS, before its weight.

    position: Huber's, linear beyond 4 px, of both corrected places, where the place before was within REACH_PX. choice: whether the
    search's place is nearer, weighed by the difference. certainty: whether the chosen place is within RIGHT_PX, where the point is seen.
    search: cross-entropy over the cells of the coarse map, where it is seen. The query itself counts nowhere.
    """
    asked = given.chains.queries[:, 0].long()
    elsewhere = torch.ones_like(target.visible)
    elsewhere[asked, torch.arange(len(asked))] = 0
    weight, seen_weight = target.position_weight * elsewhere, target.visibility_weight * elsewhere
    certain_weight = weight * target.visible
    found = dict.fromkeys(WEIGHTS, output.search_px.new_zeros(()))
    total = sum(DISCOUNT**late for late in range(len(output.estimates)))
    for late, estimate in enumerate(reversed(output.estimates)):
        share = DISCOUNT**late / total
        off = {name: (place.detach() - target.tracks_px).norm(dim=-1) for name, place in _starts(estimate.start_px, output.search_px)}
        corrected = {"start": estimate.refined_px, "search": estimate.matched_px}
        for name, place in corrected.items():
            near = weight * (off[name] < REACH_PX)
            error = F.huber_loss(place, target.tracks_px, delta=4.0, reduction="none").sum(dim=-1) / 4
            found["position"] = found["position"] + share * _mean(error, near) / len(corrected)
        nearer = (off["search"] < off["start"]).float()
        matters = weight * ((off["search"] - off["start"]).abs() / RIGHT_PX).clamp(max=1)
        right = ((estimate.place_px.detach() - target.tracks_px).norm(dim=-1) < RIGHT_PX).float()
        found["choice"] = found["choice"] + share * _mean(_cross_entropy(estimate.choice, nearer), matters)
        found["visibility"] = found["visibility"] + share * _mean(_cross_entropy(estimate.visibility, target.visible), seen_weight)
        found["certainty"] = found["certainty"] + share * _mean(_cross_entropy(estimate.certainty, right), certain_weight)
    found["search"] = _search_loss(output.search_logits, target.tracks_px, certain_weight)
    return found


def _starts(start: Tensor, search: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield from (("start", start), ("search", search))


def _cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none")


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """By weight; 0 without any."""
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _search_loss(logits: Tensor, tracks_px: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of the cell that holds the truth, logits "T N h w"."""
    height, width = logits.shape[-2:]
    cells = to_cells(tracks_px, COARSE).round()
    column, row = (cells[..., axis].clamp(0, side - 1).long() for axis, side in ((0, width), (1, height)))
    error = F.cross_entropy(logits.flatten(2).flatten(0, 1), (row * width + column).flatten(), reduction="none")
    return _mean(error.view(weight.shape), weight)


def window_loss(model: ChainRefiner, window: Window, target: Target, draw: np.random.Generator, weights: Mapping[str, float]) -> Tensor:
    """Of one window, mirrored and with as many points as POINTS says for its length, drawn anew."""
    available = len(window.chosen)
    points = np.sort(draw.permutation(available)[: POINTS.get(len(window.frames), min(POINTS.values()))])
    given, told = augmented(inputs(window, points), take_points(target, points), draw)
    found = losses(run(model, given), given, told)
    total = found["position"].new_zeros(())
    for name, weight in weights.items():
        total = total + weight * found[name]
    return total


def new_model(seed: int) -> ChainRefiner:
    """With the seed's weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ChainRefiner(ChainRefinerConfig())


@dataclass(frozen=True, kw_only=True, slots=True)
class Keeping:
    """Where the state of a training is kept, and how often. A training that was killed goes on from it, with the same result."""

    file: Path
    every: int  # steps
    writes: bool = True  # False: another process does


def train(
    model: ChainRefiner,
    loss_of: Callable[[int], Tensor],
    *,
    steps: int,
    rate: float,
    keeping: Keeping | None = None,
    reduce: Reduce | None = None,
    at: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train for so many steps; returns the loss of each.

    Args:
        loss_of: the loss of a step, a function of its number alone.
        reduce: brings together the gradients of processes that train in step.
        at: told a step's number and the mean loss since the time before, whenever the state is about to be kept.
    """
    optimiser, schedule = optimisation(list(model.parameters()), rate, steps)
    history: list[float] = []
    if keeping is not None and keeping.file.exists():
        state = torch.load(keeping.file, weights_only=False)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        history = state["history"]
    for number in range(len(history), steps):
        model.train()
        loss = loss_of(number)
        optimiser.zero_grad()
        loss.backward()
        if reduce is not None:
            reduce(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        history.append(float(loss.detach()))
        if keeping is not None and ((number + 1) % keeping.every == 0 or number + 1 == steps):
            if at is not None:
                at(number + 1, float(np.mean(history[-keeping.every :])))
            if keeping.writes:
                states = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
                save({**states, "history": history}, keeping.file)
    return history


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found(refining.Found):
    """Tracks of a window by the refiner."""

    def labels(self, queries: np.ndarray, threshold: float) -> TrackLabels:
        """Visible where the score is above the threshold, and at the query."""
        return TrackLabels(
            queries=queries, tracks_px=self.tracks_px, visibility=(self.score > threshold) | (self.score == 1), confidence=self.score
        )


@torch.no_grad()
def find(model: ChainRefiner, given: RefinerInput) -> Found:
    """Places and scores of a window that holds its queries."""
    model.eval()
    maps = model.maps(given.frames)
    found = refining.refine(model, maps, features_of(maps, given.chains.queries), given.chains)
    return Found(tracks_px=found.tracks_px, score=found.score)


def chain_labels(window: Window, strain_limit: float | None) -> TrackLabels:
    """What dis-flow with jumps says of a window."""
    visible = window.reached if strain_limit is None else window.reached & (window.strain <= strain_limit)
    return TrackLabels(queries=window.truth.queries, tracks_px=window.chain_px, visibility=visible)


def measures(window: Window, labels: TrackLabels) -> dict[str, float]:
    """AJ, delta_avg, OA and survival of a window whose points are asked where they are first seen, in percent."""
    return accuracy(labels, window.truth.tracks_px, window.truth.visibility, window.size)


def best_threshold(found: Sequence[Found], windows: Sequence[Window]) -> float:
    """The one of THRESHOLDS with the highest mean AJ; of two alike the lower."""
    scores = {
        threshold: np.nanmean(
            [measures(window, each.labels(window.truth.queries, threshold))["AJ"] for each, window in zip(found, windows, strict=True)]
        )
        for threshold in THRESHOLDS
    }
    return max(THRESHOLDS, key=lambda threshold: scores[threshold])


def load_windows(folder: Path) -> list[Window]:
    """All that are kept below a folder, in the order of their clips."""
    files = sorted(folder.glob("*.pt"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no windows; delete its parent's `made` files and run this again")
    return [window for file in files for window in torch.load(file, weights_only=False)]


def write_weights(model: ChainRefiner, file: Path, sources: Sequence[TrainingSource]) -> None:
    """As refined-flow reads them, with what they were trained on in the header. Equal weights give equal bytes; whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_weights(str(file), model, license=LICENSE, origin=TrainingOrigin(sources=tuple(sources), licenses=(LICENSE,)))


def cpu_seconds(body: Callable[[], object]) -> float:
    """CPU seconds of this process that a call takes."""
    began = time.process_time()
    body()
    return time.process_time() - began
