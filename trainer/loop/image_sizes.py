"""Whether the network can take the images that the steps will draw, asked before the first of them."""

import numpy as np

from networks.building import Network
from networks.inputs import fitted_size
from pipeline.errors import ConfigError, DataError
from trainer.data.config import ShapeConfig
from trainer.families import Family, LossSettings

_ASPECTS = 65  # that are tried between the least and the most


def check_image_sizes(family: Family, model: Network, shape: ShapeConfig, losses: LossSettings) -> None:
    """Try the smallest images of a training. Raises: ConfigError if they are too small for the model and its losses."""
    patch, (least, most) = family.patch_size(model), shape.pixels
    sizes = {fitted_size(aspect, least, patch=patch, most_pixels=most) for aspect in np.geomspace(*shape.aspect, _ASPECTS)}
    for height, width in sorted(sizes):
        try:
            family.check_shape(model, losses, height, width)
        except DataError as error:
            raise ConfigError(f"data.shape: steps may draw images of {width} x {height} pixels; {error}: raise pixels[0]") from error
