"""Scores of one clip's labels of cameras, tracks in space, or flow, against its truth."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pipeline.metrics.label_comparison import match_true_queries
from pipeline.metrics.scene_flow import MEASURES_2D, pixel_measures
from pipeline.records import CameraLabels, ClipSample, FlowLabels, Labels, Tracks3dLabels, TrackTruth
from trainer.evaluation.clip_scores import ClipScores, clip_scores, pose_pairs, pose_scores, world_scores
from trainer.evaluation.motion import FLOW_2D, TracksInSpace, fixed_bubble_scores
from trainer.evaluation.settings import EvaluationSettings
from trainer.evaluation.truth_metrics import ChosenTracks, Score, true_tracks, undefined_scores

SCORED = (CameraLabels.kind, Tracks3dLabels.kind, FlowLabels.kind)  # kinds of labels that are measured here


def measure_labels(labels: Labels, sample: ClipSample, settings: EvaluationSettings) -> ClipScores | str:
    """Compare labels of a whole clip with its truth; or why there is nothing to compare them with.

    What labels leave open (a pose that was not found, a position or flow that is not known) does not count; `labelled_poses`, `_tracks` and
    `_flow` say which share of what the truth knows they hold.

    Args:
        labels: of a kind that is SCORED.
    Raises: ConfigError if no query of tracks is a true point of the clip.
    """
    if isinstance(labels, CameraLabels):
        return _cameras(labels, sample, settings)
    if isinstance(labels, Tracks3dLabels):
        return _tracks(labels, sample)
    assert isinstance(labels, FlowLabels), "the job asks for one of SCORED"
    return _flow(labels, sample)


def _cameras(labels: CameraLabels, sample: ClipSample, settings: EvaluationSettings) -> ClipScores | str:
    if sample.camera_to_world is None:
        return "no true poses"
    known = np.ones(len(sample.frames), bool) if sample.pose_valid is None else sample.pose_valid
    both = replace(sample, pose_valid=known & labels.pose_valid)
    pairs = pose_pairs(labels.camera_to_world, both, settings)
    share = _share("labelled_poses", labels.pose_valid[known], "no frame has a true pose")
    return clip_scores(sample, [*pose_scores(labels.camera_to_world, both, pairs), share], pairs=pairs)


def _tracks(labels: Tracks3dLabels, sample: ClipSample) -> ClipScores | str:
    if sample.tracks2d is None or sample.visibility is None or sample.tracks3d is None or sample.camera_to_world is None:
        return "no true tracks in the world"
    truth = TrackTruth(
        tracks_px=sample.tracks2d,
        visibility=sample.visibility,
        track_valid=np.ones_like(sample.visibility) if sample.track_valid is None else sample.track_valid,
        query_frame=np.zeros(sample.tracks2d.shape[1], np.int32),  # not looked at
    )
    tracks = match_true_queries(labels.queries, truth)
    matched = np.flatnonzero(tracks >= 0)
    chosen = ChosenTracks(index=tracks[matched], queries=labels.queries[matched, 1:], frames=labels.queries[matched, 0].astype(np.int64))
    labelled = TracksInSpace(visible=labels.visibility[:, matched], world=labels.tracks_world[:, matched])
    _, seen, known = true_tracks(sample, chosen)
    share = _share("labelled_tracks", np.isfinite(labelled.world).all(axis=-1)[seen & known], "no true point is seen")
    found = [*world_scores(labelled.world, sample, chosen), *fixed_bubble_scores(labelled, sample, chosen), share]
    return clip_scores(sample, found, num_tracks=len(matched))


def _flow(labels: FlowLabels, sample: ClipSample) -> ClipScores | str:
    if sample.flow is None and sample.tracks2d is None:
        return "no true flow and no true tracks"
    measured = [_of_map(labels, index, sample) for index in np.flatnonzero(labels.from_frame >= 0).tolist()]
    if not measured:
        return "the labels have no pair of frames"
    target_px, true_px, known = (np.concatenate(arrays) for arrays in zip(*measured, strict=True))
    return clip_scores(sample, _flow_scores(target_px[known], true_px[known], known), flow_points=int(known.sum()))


def _flow_scores(target_px: np.ndarray, true_px: np.ndarray, known: np.ndarray) -> Iterator[Score]:
    if len(target_px):
        values = pixel_measures(target_px, true_px)
        yield from (Score(f"flow_{name}", values[name]) for name in MEASURES_2D)
    else:
        yield from undefined_scores(FLOW_2D, "no true point has a labelled flow")
    yield _share("labelled_flow", known, "no true point is seen in the first frame of a pair")


def _of_map(labels: FlowLabels, index: int, sample: ClipSample) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled and true positions "M 2" in the second frame of one map's pair, and whether the labels know them, "M"."""
    start_px, true_px = true_motion(sample, int(labels.from_frame[index]), int(labels.to_frame[index]))
    flow, known = flow_at(labels.flow[index], labels.valid[index], start_px)
    return start_px + flow, true_px, known


def true_motion(sample: ClipSample, start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions "M 2" in one frame and in another, hidden there or not, float64 pixels.

    Of the pixels of the clip's own flow, if it has one between these frames; else of the true tracks that are seen in the first.
    """
    if sample.flow is not None:
        assert sample.flow_valid is not None, "flow comes with its validity"
        assert sample.flow_from_frame is not None, "flow comes with its frames"
        pairs = np.flatnonzero((sample.flow_from_frame == start) & (sample.flow_to_frame == end))
        if len(pairs):
            rows, columns = np.nonzero(sample.flow_valid[pairs[0]])
            pixels = np.stack([columns, rows], axis=-1).astype(np.float64)
            return pixels, pixels + sample.flow[pairs[0], rows, columns]
    if sample.tracks2d is None or sample.visibility is None:
        return np.zeros((0, 2)), np.zeros((0, 2))
    valid = np.ones_like(sample.visibility) if sample.track_valid is None else sample.track_valid
    tracks = np.flatnonzero(sample.visibility[start] & valid[start] & valid[end])
    return sample.tracks2d[start, tracks].astype(np.float64), sample.tracks2d[end, tracks].astype(np.float64)


def flow_at(flow: np.ndarray, valid: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow "M 2" at positions "M 2" between the pixels of "H W 2", bilinear, and bool "M": inside, with all that it is mixed of valid."""
    height, width = valid.shape
    corner = np.floor(pixels).astype(np.int64)
    part = pixels - corner
    mixed, known = np.zeros(pixels.shape), np.ones(len(pixels), bool)
    for x in (0, 1):
        for y in (0, 1):
            weight = np.where(x, part[:, 0], 1 - part[:, 0]) * np.where(y, part[:, 1], 1 - part[:, 1])
            column, row = corner[:, 0] + x, corner[:, 1] + y
            inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
            column, row = np.clip(column, 0, width - 1), np.clip(row, 0, height - 1)
            known &= (weight == 0) | (inside & valid[row, column])
            mixed += weight[:, None] * flow[row, column]
    return mixed, known


def _share(name: str, held: np.ndarray, why: str) -> Score:
    return Score(name, float(held.mean())) if held.size else Score(name, float("nan"), why)
