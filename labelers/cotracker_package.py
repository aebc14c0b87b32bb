"""cotracker-package: the public `cotracker` package as it is, for comparison with our own engine. One clip at a time, booleans only."""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from labelers.options import check_choice
from labelers.protocol import LabelerProvenance
from networks.weights import PUBLISHED, WeightFile, read_weights, warn_non_commercial
from pipeline.errors import ConfigError, DataError, MemoryExhausted
from pipeline.records import ClipFrames, TrackLabels

INSTALL = 'pip install "cotracker @ git+https://github.com/facebookresearch/co-tracker"'
PACKAGE_LICENSE = "CC BY-NC 4.0, parts MIT and Apache-2.0"
Variant = Literal["offline", "online"]
WINDOW_LEN: dict[Variant, int] = {"offline": 60, "online": 16}  # the package takes any, but a checkpoint fits one only
RULE = (
    "the package's predictor: its visibility probability > 0.9 (confidence not asked), and visible at the query itself; scores are hidden"
)
_ENCODED_AT_ONCE = 200  # frames; the package's own constant

Predictor = Callable[..., tuple[Tensor, Tensor]]


class CoTrackerPackageLabeler:
    """The package's `CoTrackerPredictor`, called with whole videos.

    Memory and time are the package's: the clip as float32 on the device, about 110 MB per frame in the encoder.
    """

    name = "cotracker-package"

    def __init__(self, *, checkpoint: str, variant: Variant = "offline", backward: bool = True, device: str = "cpu") -> None:
        """Make the predictor.

        Args:
            checkpoint: local path, or `hf://facebook/cotracker3/scaled_offline.pth`.
            variant: "online" works in windows of 16 frames.
            backward: also track the reversed clip, for the frames before each query.
            device: where to compute, as torch names it.
        Raises: ConfigError if the package is not installed, or the checkpoint is not the variant's.
        """
        check_choice("variant", variant, tuple(WINDOW_LEN))
        if not isinstance(backward, bool):
            raise ConfigError(f"backward is {backward!r}, expected true or false")
        self._variant, self._backward, self._device = variant, backward, torch.device(device)
        self._license = PUBLISHED[f"cotracker3-{variant}"].license
        self._predictor, self._checkpoint = self._make(checkpoint)

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Follow each clip's queries, one clip after the other: the package fails on batches of several."""
        return [self._label_clip(clip) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """The package's version, the checkpoint, and both licences."""
        try:
            package = version("cotracker")
        except PackageNotFoundError:  # importable, but not installed by pip
            package = "unknown"
        return LabelerProvenance(
            name=self.name,
            options={"variant": self._variant, "backward": self._backward},
            visibility_rule=RULE if self._backward or self._variant == "offline" else f"{RULE}; never before the query",
            checkpoint=self._checkpoint.source,
            checkpoint_sha256=self._checkpoint.sha256,
            versions={"cotracker": package, "torch": torch.__version__, "numpy": np.__version__},
            license=f"{self._license}; cotracker package: {PACKAGE_LICENSE}",
        )

    def _make(self, source: str) -> tuple[Predictor, WeightFile]:
        # the package seeds torch when it is imported, and making a network draws: neither may reach the process's own sequence
        with torch.random.fork_rng(devices=[]):
            predictor_class = _predictor_class()
            checkpoint = read_weights(source)
            warn_non_commercial(self._license)
            _check_fit(checkpoint, self._variant)
            offline, window_len = self._variant == "offline", WINDOW_LEN[self._variant]
            try:
                predictor = predictor_class(checkpoint=checkpoint.path, offline=offline, window_len=window_len)
            except (RuntimeError, TypeError, KeyError) as error:  # strict loading, or another version's signature
                raise ConfigError(
                    f"the cotracker package does not take {source} as its {self._variant} model ({error});"
                    f" update the package: {INSTALL}, or use --labeler cotracker3-{self._variant}"
                ) from error
        return predictor.to(self._device).eval(), replace(checkpoint, tensors={})

    def _label_clip(self, clip: ClipFrames) -> TrackLabels:
        num_frames, (num_points, _) = clip.reader.shape[0], clip.queries.shape
        if self._variant == "online":
            _check_length(clip.key, num_frames)
        if num_points == 0:
            tracks, visible = np.zeros((num_frames, 0, 2), np.float32), np.zeros((num_frames, 0), bool)
        else:
            tracks, visible = self._track(clip)
        if self._variant == "online" and not self._backward:  # windows run forward only: nothing is known before the query
            visible &= np.arange(num_frames)[:, None] >= clip.queries[None, :, 0]
        return TrackLabels(queries=clip.queries, tracks_px=tracks, visibility=visible)

    def _track(self, clip: ClipFrames) -> tuple[np.ndarray, np.ndarray]:
        """Tracks float32 "T N 2", in pixels of the clip, and visibility bool "T N"."""
        try:
            # "1 T 3 H W", 0..255. Sizes are converted with corners aligned, so integers are pixel centres on both sides
            video = torch.from_numpy(clip.array()).to(self._device).permute(0, 3, 1, 2)[None].float()
            queries = torch.from_numpy(clip.queries)[None].to(self._device)
            with torch.no_grad():
                tracks, visible = self._predictor(video, queries=queries, backward_tracking=self._backward)
        except torch.OutOfMemoryError as error:
            raise MemoryExhausted(
                f"clip {clip.key}: {clip.reader.shape[0]} frames with {len(clip.queries)} points do not fit into the memory of"
                f" {self._device} with the cotracker package; use --labeler cotracker3-{self._variant}, or shorter clips"
            ) from error
        return tracks[0].float().cpu().numpy().copy(), visible[0].cpu().numpy().astype(bool)


def _predictor_class() -> Callable[..., nn.Module]:
    try:
        module = importlib.import_module("cotracker.predictor")
    except ImportError as error:
        raise ConfigError(
            f"labeler cotracker-package needs the public cotracker package, which cannot be imported ({error}); install it with {INSTALL},"
            " or use our own engine: --labeler cotracker3-offline"
        ) from error
    return module.CoTrackerPredictor


def _check_fit(checkpoint: WeightFile, variant: Variant) -> None:
    if "://" in checkpoint.path:
        raise ConfigError(f"{checkpoint.path}: the cotracker package reads local files only; fetch it first and give its path")
    time_embedding = checkpoint.tensors.get("time_emb")
    if time_embedding is not None and time_embedding.shape[1] != WINDOW_LEN[variant]:
        raise ConfigError(
            f"{checkpoint.source} has windows of {time_embedding.shape[1]} frames, the {variant} model {WINDOW_LEN[variant]};"
            f" give variant={'online' if variant == 'offline' else 'offline'}, or the checkpoint of the {variant} model"
        )


def _check_length(key: str, num_frames: int) -> None:
    """Refuse lengths at which the package's online model, called with a whole video, silently gives zeros or fails."""
    encoded, padded = (size * -(-num_frames // size) for size in (_ENCODED_AT_ONCE, WINDOW_LEN["online"]))
    if num_frames <= WINDOW_LEN["online"] // 2:
        problem = "up to 8 frames come back as zeros"
    elif num_frames > _ENCODED_AT_ONCE and encoded < padded:
        problem = f"it pads them to {padded} and encodes only {encoded}"
    else:
        return
    raise DataError(
        f"clip {key}: {num_frames} frames cannot go through the cotracker package's online model: {problem}; use cotracker3-online"
    )
