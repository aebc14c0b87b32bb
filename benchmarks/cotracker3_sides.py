"""The cases of the CoTracker3 benchmarks, and the sides that run them: our engine, the plain reference, the public package."""

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from cotracker3_reference import ReferenceOffline, ReferenceOnline, StreamState
from cotracker3_reference_predictor import ReferencePredictor, track_stream
from formula_weights import fill_by_formula
from torch import Tensor, nn

from labelers.cotracker3 import CoTracker3Engine, EngineConfig
from networks import build_model
from networks.cotracker3 import CoTracker3, compile_parts
from networks.cotracker3.refinement import ITERATIONS
from networks.layers.computing import Precision
from networks.weights import read_weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One way of tracking one clip."""

    mode: str  # forward, backward (both directions), streaming (online model, chunk by chunk)
    num_points: int
    num_frames: int
    size: tuple[int, int] = (384, 512)
    model_resolution: tuple[int, int] = (384, 512)  # the package knows no other
    iterations: int = ITERATIONS  # nor another number

    @property
    def variant(self) -> str:
        """Which of the two models."""
        return "online" if self.mode == "streaming" else "offline"

    def queries(self) -> np.ndarray:
        """float32 "N 3": random frames and pixels, always the same."""
        rng = np.random.default_rng(3)
        height, width = self.size
        t = rng.integers(0, self.num_frames, self.num_points)
        return np.column_stack([t, rng.uniform(0, width - 1, self.num_points), rng.uniform(0, height - 1, self.num_points)]).astype(
            np.float32
        )

    def video(self) -> np.ndarray:
        """uint8 "T H W 3": a textured picture that drifts and turns."""
        rng = np.random.default_rng(4)
        height, width = self.size
        coarse, fine = (cv2.resize(rng.random((height // step, width // step, 3), np.float32), (2 * width, 2 * height)) for step in (32, 4))
        picture = np.uint8(255 * (0.6 * coarse + 0.4 * fine))
        frames = []
        for index in range(self.num_frames):
            turn = cv2.getRotationMatrix2D((width, height), 0.4 * index, 1.0)
            turn[:, 2] -= (width / 2 + 1.5 * index, height / 2)
            frames.append(cv2.warpAffine(picture, turn, (width, height)))
        return np.stack(frames)


CASES: dict[str, Case] = {
    "forward-100": Case(mode="forward", num_points=100, num_frames=24),
    "backward-100": Case(mode="backward", num_points=100, num_frames=24),
    "forward-512": Case(mode="forward", num_points=512, num_frames=24),
    "backward-512": Case(mode="backward", num_points=512, num_frames=24),
    "streaming-100": Case(mode="streaming", num_points=100, num_frames=48),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How the engine runs; the other sides follow in the device only. Without a checkpoint the weights are made by formula."""

    device: str = "cpu"
    precision: Precision = "float32"
    compile: bool = False
    checkpoint: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Found:
    """What a side says, on the CPU: float32 "T N 2" and "T N", bool "T N"; what it does not say is None."""

    tracks: np.ndarray
    visibility: np.ndarray | None = None
    confidence: np.ndarray | None = None
    visible: np.ndarray | None = None


Run = Callable[[np.ndarray, np.ndarray], Found]  # of a video "T H W 3" and queries "N 3"


def make_ours(case: Case, settings: Settings) -> Run:
    """Our engine."""
    return run_model(case, ours_model(case, settings), settings.precision)


def ours_model(case: Case, settings: Settings) -> CoTracker3:
    """Our network, ready to run."""
    model = _filled(build_model(f"cotracker3-{case.variant}", {"model_resolution": case.model_resolution}), settings)
    assert isinstance(model, CoTracker3)
    if settings.compile:
        compile_parts(model)
    return model


def run_model(case: Case, model: CoTracker3, precision: Precision) -> Run:
    """Our engine around a network."""
    support_grid = 0 if case.mode == "streaming" else 6
    config = EngineConfig.for_device(model.device.type, precision=precision, support_grid=support_grid, iterations=case.iterations)
    return partial(_ours, case, CoTracker3Engine(model, config))


def make_reference(case: Case, settings: Settings) -> Run:
    """The plain reference."""
    made = ReferenceOnline if case.variant == "online" else ReferenceOffline
    return partial(_reference, case, _filled(made(model_resolution=case.model_resolution), settings))


def make_package(case: Case, settings: Settings) -> Run:
    """The public package's predictors, with the same weights; see `package_is_installed`."""
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        from cotracker.predictor import CoTrackerOnlinePredictor, CoTrackerPredictor  # seeds torch when imported

        path = str(Path(folder) / "weights.pth")
        torch.save(_filled(ReferenceOnline() if case.variant == "online" else ReferenceOffline(), settings).state_dict(), path)
        if case.variant == "online":
            predictor = CoTrackerOnlinePredictor(checkpoint=path, window_len=16)
        else:
            predictor = CoTrackerPredictor(checkpoint=path, offline=True, window_len=60)
    return partial(_package, case, predictor.to(settings.device).eval())


SIDES: Mapping[str, Callable[[Case, Settings], Run]] = {"ours": make_ours, "reference": make_reference, "package": make_package}


def package_is_installed() -> bool:
    """Whether `make_package` has something to make."""
    return importlib.util.find_spec("cotracker") is not None


def _filled(model: nn.Module, settings: Settings) -> nn.Module:
    if settings.checkpoint is None:
        fill_by_formula(model)
    else:
        model.load_state_dict(dict(read_weights(settings.checkpoint).tensors))
    return model.eval().requires_grad_(False).to(settings.device)


def _ours(case: Case, engine: CoTracker3Engine, video: np.ndarray, queries: np.ndarray) -> Found:
    if case.mode == "streaming":
        for (found,) in engine.stream([video], [queries]):  # noqa: B007  the last one covers the video
            pass
        visible = found.visibility * found.confidence > 0.6
    else:
        found = engine.track(video, queries, backward=case.mode == "backward")
        visible = found.visibility > 0.9
        visible[queries[:, 0].astype(int), np.arange(len(queries))] = True  # as the public predictor says
    return Found(tracks=found.tracks_px, visibility=found.visibility, confidence=found.confidence, visible=visible)


def _reference(case: Case, model: nn.Module, video: np.ndarray, queries: np.ndarray) -> Found:
    frames, points = _tensors(video, queries, next(model.parameters()).device)
    if case.mode == "streaming":
        found = track_stream(model, frames, points, state=StreamState(), iterations=case.iterations)
    else:
        found = ReferencePredictor(model, case.iterations).track(frames.float(), points, backward=case.mode == "backward")
    tracks, visibility, confidence = (part[0].cpu().numpy() for part in (found.tracks, found.visibility, found.confidence))
    return Found(tracks=tracks, visibility=visibility, confidence=confidence)


@torch.no_grad()
def _package(case: Case, predictor: nn.Module, video: np.ndarray, queries: np.ndarray) -> Found:
    frames, points = _tensors(video, queries, next(predictor.parameters()).device)
    if case.mode == "streaming":
        predictor(video_chunk=frames[:, :16].float(), is_first_step=True, queries=points)
        for start in range(0, len(video) - predictor.step, predictor.step):
            tracks, visible = predictor(video_chunk=frames[:, start : start + 2 * predictor.step].float())
    else:
        tracks, visible = predictor(frames.float(), queries=points, backward_tracking=case.mode == "backward")
    return Found(tracks=tracks[0].cpu().numpy(), visible=visible[0].cpu().numpy())


def _tensors(video: np.ndarray, queries: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(video).to(device).permute(0, 3, 1, 2)[None], torch.from_numpy(queries)[None].to(device)
