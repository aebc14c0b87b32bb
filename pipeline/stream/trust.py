"""Trust in labelled tracks: an audit, joined with the labels that it judged, and added to a sample."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.audit.records import StaticPair
from pipeline.audit.stored.audit_rows import AuditShard
from pipeline.audit.weights import frame_weights
from pipeline.errors import DataError
from pipeline.records import ClipSample, TrackLabels
from pipeline.records.fields import take_frames_of

_TAIL = 3  # pairs begin at every fourth frame: so many frames at most lie behind the last pair of a clip


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClipTrust:
    """Of a clip of T stored frames with N labelled tracks."""

    weight: npt.NDArray[np.float32]  # float32 "N" in [0, 1]
    frame_weights: npt.NDArray[np.float32]  # float32 "T N" in [0, 1]
    static_score: npt.NDArray[np.float32]  # float32 "N": at least 0.5 is static in the world, NaN is unknown
    pose_signal: npt.NDArray[np.bool_]  # bool "T"


def clip_trust(audit: AuditShard, key: str, labels: TrackLabels) -> ClipTrust | None:
    """Join a clip's labels with their audit; None where the audit has a verdict, but measured no track.

    Raises: DataError if the tracks that were audited are not these.
    """
    found = audit.trust(key)
    if found is None:
        return None
    if found.ncc.shape != labels.visibility.shape or not np.array_equal(found.queries, labels.queries):
        now, then = labels.visibility.shape, found.ncc.shape
        raise DataError(
            f"{audit.uri}: clip {key}: the labels ({now[0]} frames, {now[1]} tracks) are not those that were audited ({then[0]} frames,"
            f" {then[1]} tracks, or other queries): they were made again since; delete {audit.uri.rsplit('/', 1)[-1]} and run"
            " jobs/audit.py run again"
        )
    return ClipTrust(
        weight=found.weight,
        frame_weights=frame_weights(labels, ncc=found.ncc, weight=found.weight),
        static_score=found.static_score,
        pose_signal=pose_signal(found.static_pairs, len(labels.tracks_px)),
    )


def pose_signal(pairs: Sequence[StaticPair], num_frames: int) -> np.ndarray:
    """Whether a loss on the camera may use each frame, bool "T".

    True within the span of a pair of frames in which the camera moves and enough of the points (30 at least, 30 % of them) move as a
    static scene would; frames behind the last pair count as its own.
    """
    signal = np.zeros(num_frames, bool)
    last = max((pair.end for pair in pairs), default=0)
    for pair in pairs:
        if pair.has_pose_signal:
            reaches_end = pair.end == last and last + _TAIL >= num_frames - 1
            signal[pair.start : num_frames if reaches_end else pair.end + 1] = True
    return signal


def add_trust(sample: ClipSample, trust: ClipTrust, verdict: str) -> ClipSample:
    """The sample with its tracks' weights, for its frames."""
    arrays = {
        "track_weights": trust.weight,
        "frame_weights": trust.frame_weights,
        "static_score": trust.static_score,
        "pose_signal": trust.pose_signal,
    }
    changes: dict[str, Any] = take_frames_of(arrays, sample.frame_indices)
    return replace(sample, **changes, verdict=verdict)
