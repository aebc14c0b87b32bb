"""Track4World: geometry of a backbone, and the 2D and 3D flow of the decoder, from clips with truth and from audited 2D tracks."""

from trainer.families.track4world.family import Track4WorldFamily
from trainer.families.track4world.settings import Track4WorldLosses

__all__ = ["Track4WorldFamily", "Track4WorldLosses"]
