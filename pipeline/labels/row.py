"""One clip's row in a label set: what became of it, and its tracks when it could be labelled."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records import TrackLabels

STATUSES = ("ok", "screened", "failed", "quarantined")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LabelRow:
    """A clip of the shard with its status. Only `ok` rows hold labels; a failed or quarantined row says why in `error`.

    `ok`: labelled. `screened`: left out by the video-only filters. `failed`: decoding or the labeler raised an error.
    `quarantined`: killed its worker, or ran past its time limit, as often as was allowed.
    """

    key: str
    status: str
    labels: TrackLabels | None = None
    clip_sha256: str | None = None  # of the video member that was labelled
    num_frames: int | None = None  # of the clip, as are width and height; None where the clip has no video
    width: int | None = None
    height: int | None = None
    error: str | None = None
    notes: str | None = None  # how this clip was labelled, where that differs from the set's rule (a lower rung of the memory ladder)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise DataError(f"clip {self.key}: status is {self.status!r}, expected one of {', '.join(STATUSES)}")
        if (self.status == "ok") != (self.labels is not None):
            raise DataError(f"clip {self.key}: status is {self.status} {'without' if self.labels is None else 'with'} labels")
        if self.status in ("failed", "quarantined") and not self.error:
            raise DataError(f"clip {self.key}: status is {self.status}, but no error says why")
        if self.labels is not None:
            self._check_labels(self.labels)

    def _check_labels(self, labels: TrackLabels) -> None:
        missing = [name for name in ("clip_sha256", "num_frames", "width", "height") if getattr(self, name) is None]
        if missing:
            raise DataError(f"clip {self.key}: labels without {', '.join(missing)} of the clip")
        if len(labels.tracks_px) != self.num_frames:
            raise DataError(f"clip {self.key}: labels cover {len(labels.tracks_px)} frames, the clip has {self.num_frames}")
        t = labels.queries[:, 0]
        outside = (t < 0) | (t >= self.num_frames) | (t != np.round(t))
        if outside.any():
            raise DataError(f"clip {self.key}: {int(outside.sum())} queries lie between or outside the clip's {self.num_frames} frames")
