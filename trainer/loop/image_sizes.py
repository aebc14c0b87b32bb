"""Whether the network can take the images that the steps will draw, asked before the first of them."""

import numpy as np

from networks.pi3 import Backbone
from networks.trajvg.trajvg import TrajVG
from pipeline.errors import ConfigError, DataError
from trainer.data.config import ShapeConfig
from trainer.data.step_shape import fitting_size

_ASPECTS = 65  # that are tried between the least and the most


def check_image_sizes(model: Backbone, shape: ShapeConfig, *, tracks: bool) -> None:
    """Try the smallest images of a training.

    Args:
        tracks: whether its losses need tracks; without them any multiple of the patch will do.
    Raises: ConfigError if they are too small for the tracker.
    """
    if not (tracks and isinstance(model, TrajVG)):
        return
    for height, width in sorted(
        {fitting_size(shape.pixels[0], aspect, shape.pixels[1]) for aspect in np.geomspace(*shape.aspect, _ASPECTS)}
    ):
        try:
            model.check_trackable(height, width)
        except DataError as error:
            raise ConfigError(f"data.shape: steps may draw images of {width} x {height} pixels; {error}: raise pixels[0]") from error
