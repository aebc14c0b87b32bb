"""What the teacher loop tells its students: label sets of the unlabelled clips, with an audit's weights or without, or the truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from refiner_clips import Tracks, Window, take, through_camera, true_tracks
from refiner_training import HIDDEN_WEIGHT, Target

from pipeline.labels import list_label_sets, read_label_set, read_labels
from pipeline.metrics import tapvid_from_labels
from pipeline.records import ClipSample, TrackLabels
from pipeline.stream import ClipStream, StreamConfig

SAME_PX = 0.05  # of a query and the true track that it was taken from
VISIBILITY_WEIGHT = 0.5  # of what labels say of visibility, of what the truth says


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Told:
    """Labels of a clip, and how much they count."""

    tracks: Tracks
    position_weight: np.ndarray  # float32 "T N" in [0, 1]
    visibility_weight: np.ndarray  # float32 "T N" in [0, 1]


def tracks_of_labels(labels: TrackLabels) -> Tracks:
    """All of them are known."""
    known = np.ones_like(labels.visibility)
    return Tracks(tracks_px=labels.tracks_px, visibility=labels.visibility, known=known, queries=labels.queries)


def unaudited(root: Path, label_set: str) -> dict[str, Told]:
    """Of every labelled clip: each visible position counts alike."""
    return {
        key: Told(
            tracks=tracks_of_labels(labels),
            position_weight=labels.visibility.astype(np.float32),
            visibility_weight=np.full(labels.visibility.shape, VISIBILITY_WEIGHT, np.float32),
        )
        for key, labels in read_labels(str(root), label_set)
    }


def audited(root: Path, audit: str, label_set: str) -> dict[str, Told]:
    """Of every clip that the audit keeps: positions count as it says, visibility as it trusts the track."""
    labels = dict(read_labels(str(root), label_set))
    config = StreamConfig(root=str(root), audit=audit, arrays=False, num_frames=None, epochs=1, shuffle=False)
    found = {}
    for clip in ClipStream(config, announce=False):
        assert clip.frame_weights is not None, "an audited clip has weights"
        assert clip.track_weights is not None, "an audited clip has weights"
        trust = VISIBILITY_WEIGHT * np.broadcast_to(clip.track_weights, clip.frame_weights.shape)
        found[clip.key] = Told(
            tracks=tracks_of_labels(labels[clip.key]), position_weight=clip.frame_weights, visibility_weight=trust.astype(np.float32)
        )
    return found


def truth_at(clip: ClipSample, queries: np.ndarray) -> Tracks:
    """The true tracks that queries "N 3" were taken from, in their order.

    Raises: ValueError, naming the clip, for a query that no true track passes through.
    """
    truth = true_tracks(clip)
    there = truth.tracks_px[queries[:, 0].astype(np.int64)]  # "N M 2"
    distance = np.linalg.norm(there - queries[:, None, 1:], axis=-1)
    nearest = np.nan_to_num(distance, nan=np.inf).argmin(axis=1)
    missed = distance[np.arange(len(queries)), nearest]
    if len(queries) and missed.max() > SAME_PX:
        raise ValueError(f"clip {clip.key}: a query lies {missed.max():.2f} px from every true track; label with --query-policy truth")
    return replace(take(truth, nearest), queries=queries)


def true_told(clips: Iterator[ClipSample], labels: Mapping[str, TrackLabels]) -> dict[str, Told]:
    """The truth at the queries of labels: hidden positions at HIDDEN_WEIGHT."""
    found = {}
    for clip in clips:
        if clip.key in labels:
            truth = truth_at(clip, labels[clip.key].queries)
            weight = truth.known * np.where(truth.visibility, 1, HIDDEN_WEIGHT)
            found[clip.key] = Told(
                tracks=truth, position_weight=weight.astype(np.float32), visibility_weight=truth.known.astype(np.float32)
            )
    return found


def target_of(window: Window, told: Told) -> Target:
    """What a window's points are told by labels of its clip, seen by the window's camera; outside the picture nothing counts."""
    moved = through_camera(take(told.tracks, window.chosen), window.frames, window.camera, window.size)
    inside = ((moved.tracks_px >= -0.5) & (moved.tracks_px <= np.array(window.size[::-1]) - 0.5)).all(axis=-1)
    position, visibility = (weight[window.frames][:, window.chosen] for weight in (told.position_weight, told.visibility_weight))
    return Target(
        tracks_px=torch.from_numpy(np.nan_to_num(moved.tracks_px)),
        visible=torch.from_numpy(moved.visibility.astype(np.float32)),
        position_weight=torch.from_numpy(np.where(inside, position, 0).astype(np.float32)),
        visibility_weight=torch.from_numpy(np.ascontiguousarray(visibility, np.float32)),
    )


def label_set_of(root: Path, *, labeler: str, checkpoint_sha256: str | None = None) -> str:
    """Name of the one set of a root that was made so. Raises: LookupError if there is none, or more than one."""
    found = []
    for name in list_label_sets(str(root)):
        made = read_label_set(str(root), name)
        if (made.labeler, made.checkpoint_sha256) == (labeler, checkpoint_sha256):
            found.append(name)
    if len(found) != 1:
        raise LookupError(f"{root}: {len(found)} label sets of {labeler} as asked for, expected one; delete what is left of earlier tries")
    return found[0]


def label_accuracy(labels: Mapping[str, TrackLabels], truth: Mapping[str, Told], size: tuple[int, int]) -> list[dict[str, float]]:
    """AJ, delta_avg and OA of a label set after its queries, of every clip, in percent."""
    height, width = size
    result = []
    for key, told in truth.items():
        found = tapvid_from_labels(labels[key], told.tracks.tracks_px, told.tracks.visibility, height=height, width=width)
        shares = (found.average_jaccard, found.average_pts_within_thresh, found.occlusion_accuracy)
        result.append(dict(zip(("AJ", "delta_avg", "OA"), (100 * float(share) for share in shares), strict=True)))
    return result
