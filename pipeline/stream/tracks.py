"""A label set's tracks, added to a sample."""

from dataclasses import replace

import numpy as np

from pipeline.errors import DataError
from pipeline.records import ClipRecord, ClipSample, TrackLabels
from pipeline.stream.resize import resize_points


def add_labels(sample: ClipSample, labels: TrackLabels, record: ClipRecord) -> ClipSample:
    """The sample with pseudo tracks, for its frames and in its pixels, in place of any true ones: the two are not the same points.

    Positions move with the resize; visibility stays what the labeler said.
    Raises: DataError if the labels are of another length than the clip.
    """
    if len(labels.tracks_px) != record.frames:
        raise DataError(f"the labels cover {len(labels.tracks_px)} frames, the clip has {record.frames}; label this shard again")
    at = sample.frame_indices
    return replace(
        sample,
        tracks2d=resize_points(labels.tracks_px[at], (record.height, record.width), sample.frames.shape[1:3]),
        visibility=labels.visibility[at],
        visibility_score=None if labels.visibility_score is None else labels.visibility_score[at],
        confidence=None if labels.confidence is None else labels.confidence[at],
        query_frame=frames_in_window(labels.queries[:, 0], at),
        track_valid=None,
        track_weights=None,
        tracks3d=None,
        tracks3d_world=None,
    )


def frames_in_window(stored_frames: np.ndarray, frame_indices: np.ndarray) -> np.ndarray:
    """Where frames of the stored clip stand among the delivered ones.

    Args:
        stored_frames: "N", frame indices of the stored clip.
        frame_indices: "T", increasing: the stored frames that are delivered.
    Returns: int32 "N", index into the T frames, -1 for a frame that is not delivered.
    """
    place = np.minimum(np.searchsorted(frame_indices, stored_frames), len(frame_indices) - 1)
    return np.where(frame_indices[place] == stored_frames, place, -1).astype(np.int32)
