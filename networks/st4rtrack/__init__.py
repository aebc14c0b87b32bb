"""St4RTrack, DUSt3R and MASt3R: twin networks of image pairs, two point maps in the axes of the first camera."""

from networks.st4rtrack.config import TwinConfig
from networks.st4rtrack.output import TwinOutput

__all__ = ["TwinConfig", "TwinOutput"]
