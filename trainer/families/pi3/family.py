"""π³'s family: its supervised losses of point maps, cameras and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from networks.building import Network
from networks.inputs import PIXEL_BUDGET
from networks.pi3 import ModelOutput, expect_backbone
from pipeline.errors import ConfigError
from trainer.data import ClipBatch
from trainer.families.pictures import draw_reconstruction
from trainer.families.protocol import InferenceDefaults, KnownGeometry
from trainer.losses import ClipLosses, GeometrySettings, GeometryWeights, compare_geometry, geometry_losses
from trainer.losses.settings import any_weight


@dataclass(frozen=True, kw_only=True, slots=True)
class Pi3Losses:
    """The losses of a stage of π³'s training."""

    geometry: GeometryWeights = GeometryWeights()
    geometry_settings: GeometrySettings = GeometrySettings()

    def __post_init__(self) -> None:
        if not any_weight(self.geometry):
            raise ConfigError("no loss is taken: give one of geometry's a weight above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Geometry alone."""
        return ("geometry",)

    @property
    def learns_from_labels(self) -> bool:
        """Always."""
        return True

    @property
    def learns_from_pseudo_labels(self) -> bool:
        """Never."""
        return False


class Pi3Family:
    """See `trainer.families.protocol.Family`."""

    settings_type = Pi3Losses
    inference_defaults = InferenceDefaults(pixels=PIXEL_BUDGET, video_stride=10)

    def patch_size(self, model: Network) -> int:
        """The encoder's."""
        return expect_backbone(model).config.encoder.patch_size

    def keeps_start(self, settings: Pi3Losses) -> bool:
        """Never."""
        return False

    def keep_start(self, model: Network, settings: Pi3Losses) -> None:
        """Nothing is kept."""

    def tracks(self, model: Network) -> bool:
        """Never."""
        return False

    def infers(self, model: Network) -> bool:
        """Always."""
        return True

    def check_shape(self, model: Network, settings: Pi3Losses, height: int, width: int) -> None:
        """Any multiple of the patch will do."""

    def forward(self, model: Network, clips: ClipBatch, settings: Pi3Losses) -> ModelOutput:
        """Geometry, confidence only where its loss counts."""
        output: ModelOutput = model(clips.images, confidence=settings.geometry.confidence > 0)
        return output

    def labelled_losses(self, output: ModelOutput, clips: ClipBatch, settings: Pi3Losses) -> ClipLosses:
        """π³'s losses."""
        compared = compare_geometry(output, clips.truth(), settings.geometry_settings)
        return ClipLosses(keys=clips.keys, terms=geometry_losses(output, compared, settings.geometry, settings.geometry_settings))

    def pseudo_losses(self, output: ModelOutput, clips: ClipBatch, settings: Pi3Losses) -> ClipLosses:
        """None: raises ConfigError."""
        raise ConfigError("π³ has no losses of pseudo-labelled clips; take trajvg, or leave data.pseudo out")

    def pictures(self, clips: ClipBatch, output: ModelOutput) -> Mapping[str, np.ndarray]:
        """Frames, depth, and the points from above."""
        return draw_reconstruction(clips, output)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None, geometry: KnownGeometry | None = None) -> ModelOutput:
        """Geometry; query points are not tracked."""
        output: ModelOutput = model(images)
        return output
