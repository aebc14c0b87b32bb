"""Track4World: 2D and 3D flow of every pixel between frames, from a backbone's geometry or a dataset's."""

from networks.track4world.bundle import GeometryBundle, Padding, RawGeometry, bundle_of_backbone, bundle_of_truth, bundle_without_geometry
from networks.track4world.config import Track4WorldConfig
from networks.track4world.features import DenseFlow

__all__ = [
    "DenseFlow",
    "GeometryBundle",
    "Padding",
    "RawGeometry",
    "Track4WorldConfig",
    "bundle_of_backbone",
    "bundle_of_truth",
    "bundle_without_geometry",
]
