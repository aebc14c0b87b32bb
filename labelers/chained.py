"""Labelers that chain motion between frames; a subclass measures the motion."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar

import cv2
import numpy as np

from labelers.chain import LinkRule, MotionField, RoundTripRule, follow
from labelers.chain_trace import ChainTrace, TracedLabels
from labelers.chain_visibility import VisibilityFit
from labelers.options import check_number
from labelers.protocol import LabelerProvenance
from labelers.reseeding import ReseedingRule, reseed
from pipeline.errors import DataError
from pipeline.records import ClipFrames, TrackLabels

_ALWAYS = object()  # no value is this


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChainedClip:
    """A clip whose motion is measured as it is asked for: any number of times queries are followed through it."""

    grey: np.ndarray  # uint8 "T H W"
    trace: Callable[[np.ndarray], TracedLabels]  # of queries float32 "N 3", (t, x, y)


@dataclass(frozen=True, kw_only=True)
class ChainedLabeler(ABC):
    """A labeler that chains frame-to-frame motion. Its fields are its options; a subclass measures the motion."""

    name: ClassVar[str]

    round_trip_px: float = 1.0  # a step fails that misses its start by more than this ...
    round_trip_share: float = 0.05  # ... plus this share of its length, when taken forth and back
    reseed_below: float = 0.0  # share of the clip's queries that must be visible, else new ones are added; 0: never
    reseed_every: int = 8  # frames between two checks
    reseed_limit: float = 4.0  # tracks at most, as a multiple of the clip's queries
    blur_px: float = 0.0  # sigma of a Gaussian on the grey frames
    # frames that one link of a chain may span, increasing from 1
    jumps: tuple[int, ...] = field(default=(1,), metadata={"left_out_at": (1,)})
    # a point is visible only while its chain's strain is at most this; None: no limit
    strain_limit: float | None = field(default=None, metadata={"left_out_at": None})

    def __post_init__(self) -> None:
        object.__setattr__(self, "jumps", tuple(self.jumps) if isinstance(self.jumps, list | tuple) else (self.jumps,))
        self._links()
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
            visibility_rule=self._visibility_rule(),
            versions={"numpy": np.__version__, "opencv-python-headless": cv2.__version__},
        )

    def trace(self, clip: ClipFrames) -> TracedLabels:
        """Labels of a clip's queries, as `label` makes them, with how each point was reached. No queries are added."""
        return self.open(clip).trace(clip.queries)

    def open(self, clip: ClipFrames) -> ChainedClip:
        """A clip that `trace` is asked several times of."""
        grey = read_grey(clip, blur_px=self.blur_px)
        return ChainedClip(grey=grey, trace=partial(self._traced, motion=self._motion(grey, clip)))

    @abstractmethod
    def _motion(self, grey: np.ndarray, clip: ClipFrames) -> MotionField:
        """The motion field of a clip whose grey frames are uint8 "T H W"."""

    def _label_clip(self, clip: ClipFrames) -> TrackLabels:
        grey = read_grey(clip, blur_px=self.blur_px)
        track = partial(self._tracked, motion=self._motion(grey, clip))
        return reseed(track(clip.queries), self._reseeding(), track=track, grey=grey, key=clip.key)

    def _tracked(self, queries: np.ndarray, motion: MotionField) -> TrackLabels:
        return follow(motion, queries, self._rule(), self._links()) if self._fit() is None else self._traced(queries, motion).labels

    def _traced(self, queries: np.ndarray, motion: MotionField) -> TracedLabels:
        trace, fit = ChainTrace.at_queries(queries, motion.shape[0]), self._fit()
        traced = TracedLabels(labels=follow(motion, queries, self._rule(), self._links(), on_link=trace.add), trace=trace)
        if fit is None:
            return traced
        return replace(traced, labels=replace(traced.labels, visibility=fit.visibility(traced, motion.shape[1:])))

    def _fit(self) -> VisibilityFit | None:
        """What decides visibility in place of the check of the links; None: the check does."""
        return None

    def _visibility_rule(self) -> str:
        """In words, for provenance."""
        return self._links().describe(self._rule())

    def _rule(self) -> RoundTripRule:
        return RoundTripRule(px=self.round_trip_px, share=self.round_trip_share)

    def _links(self) -> LinkRule:
        return LinkRule(lengths=self.jumps, strain_limit=self.strain_limit)

    def _reseeding(self) -> ReseedingRule:
        return ReseedingRule(below=self.reseed_below, every=self.reseed_every, limit=self.reseed_limit)

    def _options(self) -> dict[str, Any]:
        """What decides the labels. Options that came later are left out at their defaults, so that older label sets keep their names."""
        values = {option: getattr(self, option.name) for option in fields(self) if option.metadata.get("changes_labels", True)}
        return {
            option.name: list(value) if isinstance(value, tuple) else value
            for option, value in values.items()
            if option.metadata.get("left_out_at", _ALWAYS) != value
        }


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
