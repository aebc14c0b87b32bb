"""TrajVG: π³'s geometry, and a 3D tracker whose queries of frame 0 are followed through point maps and feature maps."""

from networks.trajvg.trajvg import TrajVG

__all__ = ["TrajVG"]
