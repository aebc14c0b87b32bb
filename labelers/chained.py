"""What the classical labelers share: their options, and the way from a clip to its labels."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import cv2
import numpy as np

from labelers.chain import MotionField, RoundTripRule, follow
from labelers.options import check_number
from labelers.protocol import LabelerProvenance
from labelers.reseeding import ReseedingRule, reseed
from pipeline.errors import DataError
from pipeline.records import ClipFrames, TrackLabels


@dataclass(frozen=True, kw_only=True)
class ChainedLabeler(ABC):
    """A labeler that chains frame-to-frame motion. It is its options; a subclass says how motion is measured."""

    name: ClassVar[str]

    round_trip_px: float = 1.0  # a step fails that misses its start by more than this ...
    round_trip_share: float = 0.05  # ... plus this share of its length, when taken forth and back
    reseed_below: float = 0.0  # share of the clip's queries that must be visible, else new ones are added; 0: never
    reseed_every: int = 8  # frames between two looks
    reseed_limit: float = 4.0  # tracks at most, as a multiple of the clip's queries
    blur_px: float = 0.0  # sigma of a Gaussian on the grey frames

    def __post_init__(self) -> None:
        check_number("blur_px", self.blur_px, minimum=0.0, maximum=10.0)
        self._rule()
        self._reseeding()

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Follow each clip's queries in both directions of time. Clips are labelled one after the other."""
        return [self._label_clip(clip) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """Name, options, and the versions of the packages that compute the labels."""
        return LabelerProvenance(
            name=self.name,
            options=self._options(),
            visibility_rule=self._rule().describe(),
            versions={"numpy": np.__version__, "opencv-python-headless": cv2.__version__},
        )

    @abstractmethod
    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> MotionField:
        """The motion field of a clip whose grey frames are uint8 "T H W"."""

    def _label_clip(self, clip: ClipFrames) -> TrackLabels:
        grey = read_grey(clip, blur_px=self.blur_px)
        track = partial(follow, self._motion(grey, clip), rule=self._rule())
        return reseed(track(clip.queries), self._reseeding(), track=track, grey=grey, key=clip.key)

    def _rule(self) -> RoundTripRule:
        return RoundTripRule(px=self.round_trip_px, share=self.round_trip_share)

    def _reseeding(self) -> ReseedingRule:
        return ReseedingRule(below=self.reseed_below, every=self.reseed_every, limit=self.reseed_limit)

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(self) if option.metadata.get("changes_labels", True)}


def read_grey(clip: ClipFrames, *, blur_px: float = 0.0) -> np.ndarray:
    """All frames of a clip in grey, uint8 "T H W": a third of the RGB frames, of which one is held at a time.

    Args:
        blur_px: sigma of a Gaussian in pixels, against noise; 0 for none.
    Raises: DataError if the reader gives another number of frames, or another size, than it says.
    """
    grey = np.empty(clip.reader.shape, np.uint8)
    num_read = 0
    for t, frame in enumerate(clip.reader):
        if t == len(grey) or frame.shape != (*grey.shape[1:], 3):
            raise DataError(
                f"clip {clip.key}: frame {t} is {list(frame.shape)}, expected {len(grey)} frames {[*grey.shape[1:], 3]}; cut it again"
            )
        image = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        grey[t] = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px > 0 else image
        num_read += 1
    if num_read < len(grey):
        raise DataError(f"clip {clip.key}: its frames end after {num_read} of {len(grey)}; cut the clip again")
    return grey
