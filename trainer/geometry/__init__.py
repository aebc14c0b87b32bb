"""Geometry in torch: maps at pixels, rigid motions, two-view geometry, robust statistics. Pure, batched, differentiable."""

from trainer.geometry.cameras import (
    assemble_rigid,
    fundamental_matrices,
    invert_rigid,
    motion_to_anchor,
    rotate_pixels,
    rotation_angle,
    sampson_squared,
    scale_motion,
    transform_points,
)
from trainer.geometry.maps import in_image, masked_mean, masked_median, nearest_pixels, point_map_intrinsics, sample_maps

__all__ = [
    "assemble_rigid",
    "fundamental_matrices",
    "in_image",
    "invert_rigid",
    "masked_mean",
    "masked_median",
    "motion_to_anchor",
    "nearest_pixels",
    "point_map_intrinsics",
    "rotation_angle",
    "sample_maps",
    "sampson_squared",
    "scale_motion",
    "transform_points",
    "rotate_pixels",
]
