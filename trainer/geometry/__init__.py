"""Geometry in torch: maps at pixels, rigid motions, two-view geometry, robust statistics. Pure, batched, differentiable."""

from trainer.geometry.epipolar import fundamental_matrices, point_map_intrinsics, sampson_squared, turned_pixels
from trainer.geometry.masked import masked_mean, masked_median
from trainer.geometry.rigid import assemble_rigid, invert_rigid, motion_to_anchor, rotation_angle, scale_motion, transform_points
from trainer.geometry.sampling import in_image, sample_maps

__all__ = [
    "assemble_rigid",
    "fundamental_matrices",
    "in_image",
    "invert_rigid",
    "masked_mean",
    "masked_median",
    "motion_to_anchor",
    "point_map_intrinsics",
    "rotation_angle",
    "sample_maps",
    "sampson_squared",
    "scale_motion",
    "transform_points",
    "turned_pixels",
]
