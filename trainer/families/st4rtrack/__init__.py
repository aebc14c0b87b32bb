"""St4RTrack: pairs of point maps in one world frame, supervised on clips with truth, adapted to clips that have none."""

from trainer.families.st4rtrack.family import St4RTrackFamily
from trainer.families.st4rtrack.settings import St4RTrackLosses

__all__ = ["St4RTrackFamily", "St4RTrackLosses"]
