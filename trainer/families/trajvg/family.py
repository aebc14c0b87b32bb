"""TrajVG's family: geometry, tracks, and the coupling of the two."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from networks.building import Network
from networks.pi3 import ModelOutput
from networks.trajvg import TrajVG
from pipeline.errors import ConfigError
from trainer.data import ClipBatch
from trainer.families.pictures import draw_reconstruction
from trainer.families.trajvg.losses import labelled_losses, pseudo_losses
from trainer.families.trajvg.settings import TrajVGLosses
from trainer.losses import ClipLosses


class TrajVGFamily:
    """See `trainer.families.protocol.Family`."""

    settings_type = TrajVGLosses

    def patch_size(self, model: Network) -> int:
        """The encoder's."""
        return _trajvg(model).config.encoder.patch_size

    def tracks(self, model: Network) -> bool:
        """Always."""
        return True

    def check_settings(self, model: Network, settings: TrajVGLosses) -> None:
        """The model gives what all losses need."""
        _trajvg(model)

    def check_shape(self, model: Network, settings: TrajVGLosses, height: int, width: int) -> None:
        """Images must hold the tracker's coarsest map, unless no loss needs tracks."""
        if settings.needs_tracks:
            _trajvg(model).check_trackable(height, width)

    def forward(self, model: Network, clips: ClipBatch, settings: TrajVGLosses) -> ModelOutput:
        """Geometry, and the clips' tracks where a loss needs any."""
        return self.predict(model, clips.images, clips.query_points if settings.needs_tracks else None)

    def labelled_losses(self, output: ModelOutput, clips: ClipBatch, settings: TrajVGLosses) -> ClipLosses:
        """π³'s losses, the tracker's, L_cons and L_cam."""
        return labelled_losses(output, clips, clips.truth(), settings)

    def pseudo_losses(self, output: ModelOutput, clips: ClipBatch, settings: TrajVGLosses) -> ClipLosses:
        """L_self."""
        assert settings.self_supervised is not None  # else nobody asks
        return pseudo_losses(output, clips, settings.self_supervised, settings)

    def pictures(self, clips: ClipBatch, output: ModelOutput) -> Mapping[str, np.ndarray]:
        """Frames with tracks, depth, points and tracks from above."""
        return draw_reconstruction(clips, output)

    def predict(self, model: Network, images: Tensor, query_points: Tensor | None) -> ModelOutput:
        """Geometry, and tracks of the points that are asked for."""
        if query_points is None:
            return _trajvg(model).geometry(images).output
        output: ModelOutput = model(images, query_points)
        return output


def _trajvg(model: Network) -> TrajVG:
    if not isinstance(model, TrajVG):
        raise ConfigError(f"{type(model).__name__} is no TrajVG")
    return model
