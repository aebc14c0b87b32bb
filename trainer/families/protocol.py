"""Interface of a model family to loop, data, inference and evaluation, which use nothing else of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from networks.building import Network
from networks.pi3 import ModelOutput
from trainer.data import ClipBatch
from trainer.losses import ClipLosses


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceDefaults:
    """Settings of a family's published inference, for weights that do not say on what they were trained."""

    pixels: int  # of a frame, at most
    video_stride: int  # stored frames of a video from one frame to the next; of a folder of images all are taken
    frames: int = 64  # reconstructed at once; the published scripts take all at once, whatever memory that needs


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KnownGeometry:
    """True geometry of one video of T frames, for a model that has none of its own."""

    depth: Tensor  # float32 "1 T H W", along z; 0 where unknown
    intrinsics: Tensor  # float32 "1 T 3 3", pixels, integers at centres
    camera_to_world: Tensor  # float32 "1 T 4 4"


class LossSettings(Protocol):
    """The losses of one stage: a frozen dataclass of the family's own, parsed from the `losses` section of a configuration."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the losses that count, for a summary."""

    @property
    def learns_from_labels(self) -> bool:
        """Whether a loss of clips with truth counts."""

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Whether a loss of pseudo-labelled clips counts."""


class Family(Protocol):
    """One published system: its networks, its losses and their settings.

    A model is one that `networks.build_model` made under one of the family's names. Losses are those of B clips, in float32; settings are
    the family's `settings_type`. Outputs of `forward` go back to the family alone.
    """

    settings_type: type[LossSettings]
    inference_defaults: InferenceDefaults

    def patch_size(self, model: Network) -> int:
        """Pixels: sides of images must be multiples of it. Whoever makes images for the model asks for it first.

        Raises: ConfigError for a model whose images cannot be made of frames.
        """

    def keeps_start(self, settings: Any) -> bool:
        """Whether losses compare with the network as training began it, so that a resumed run must load those weights too."""

    def keep_start(self, model: Network, settings: Any) -> None:
        """Keep what losses need of the model as it is now, at the start of training, on its device."""

    def tracks(self, model: Network) -> bool:
        """Whether the model tracks query points."""

    def infers(self, model: Network) -> bool:
        """Whether `predict` needs nothing but images."""

    def check_shape(self, model: Network, settings: Any, height: int, width: int) -> None:
        """Raises: DataError if images of this size, in pixels, cannot be trained on."""

    def forward(self, model: Network, clips: ClipBatch, settings: Any) -> Any:
        """The model's output on clips, limited to what the losses need."""

    def labelled_losses(self, output: Any, clips: ClipBatch, settings: Any) -> ClipLosses:
        """Losses of clips with truth. Raises: DataError if the clips lack it."""

    def pseudo_losses(self, output: Any, clips: ClipBatch, settings: Any) -> ClipLosses:
        """Losses of clips with pseudo labels."""

    def pictures(self, clips: ClipBatch, output: Any) -> Mapping[str, np.ndarray]:
        """Pictures of the first clip, uint8 "H W 3" RGB each, by name."""

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """Geometry of one video, and tracks if points are asked for and the model tracks.

        Args:
            images: "1 T 3 H W" in [0, 1].
            query_points: "1 N 2", (x, y) in pixels of frame 0; None: geometry alone.
            geometry: of these frames, given only to a model that does not infer from images alone.
        """
