"""Queries of a clip's tracks wherever they were asked, for models that begin each track at a frame of its own.

Frames come in the order of time, or against it: such models know the order. A clip that is too short goes there and back.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import DataError
from pipeline.records import ClipSample
from trainer.data.config import AugmentConfig
from trainer.data.track_weights import clip_name, known_tracks
from trainer.geometry import in_image


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrackQueries:
    """Queries and state of N tracks over T frames, of one clip or of B. A track that fills a batch up is neither seen nor known."""

    frames: Tensor  # int64 "... N": the frame of each query
    visible: Tensor  # bool "... T N": seen within the image, by the truth or by the labels
    known: Tensor  # bool "... T N": the position is true, or one that a labeler predicts, and not far outside the image
    weights: Tensor  # float32 "... N" in [0, 1]: an audit's trust in a labelled track; 1 without an audit and of true ones


def draw_ordered_window(asked: np.ndarray, num_frames: int, augment: AugmentConfig, draw: np.random.Generator) -> np.ndarray:
    """Frames of a step in the order of time or against it, by chance, at a drawn stride, with at least one query among them.

    Args:
        asked: float "S": how much the queries of each of the clip's S frames count; not all 0.
        num_frames: T.
    Returns: int64 "T". The stride shrinks as far as the clip's length demands; a clip of fewer than T frames goes there and back.
    """
    stride = int(draw.integers(augment.strides[0], augment.strides[1] + 1))
    chance, backwards = draw.random(), bool(draw.random() < 0.5)
    frames = _forward_window(asked, num_frames, stride, chance)
    return frames[::-1].copy() if backwards and augment.reverse else frames


def _forward_window(asked: np.ndarray, num_frames: int, stride: int, chance: float) -> np.ndarray:
    num_stored, steps = len(asked), num_frames - 1
    if num_stored < num_frames:
        return there_and_back(num_stored, num_frames)
    for step in range(max(min(stride, (num_stored - 1) // max(steps, 1)), 1), 0, -1):
        starts = np.arange(num_stored - steps * step)
        counts = asked[starts[:, None] + step * np.arange(num_frames)].sum(axis=1)
        if counts.any():  # a query may lie between the frames of a large stride
            first = int(np.searchsorted(np.cumsum(counts), chance * counts.sum(), side="right"))
            return first + step * np.arange(num_frames)
    raise AssertionError("no query in any frame")  # the caller has made sure


def there_and_back(num_stored: int, num_frames: int) -> np.ndarray:
    """T frames of a clip of S: to its end, back to its beginning, and so on, int64 "T"; neighbours are neighbours in time."""
    turn = max(2 * (num_stored - 1), 1)
    place = np.arange(num_frames) % turn
    return np.minimum(place, turn - place) if num_stored > 1 else np.zeros(num_frames, np.int64)


def labelled_positions(sample: ClipSample) -> np.ndarray:
    """Where a labeler says something of the position, bool "T N".

    One that looks forward alone lets a point rest at its query before it: there it says nothing.
    """
    assert sample.tracks2d is not None, "checked with the weights"
    assert sample.visibility is not None, "checked with the weights"
    if sample.query_frame is None:
        return np.ones_like(sample.visibility)
    asked = np.maximum(sample.query_frame, 0)
    at_query = sample.tracks2d[asked, np.arange(len(asked))]
    before = np.arange(len(sample.tracks2d))[:, None] < sample.query_frame
    return ~(before & ~sample.visibility & (sample.tracks2d == at_query).all(axis=-1))


def labelled_query_frames(sample: ClipSample, weight: np.ndarray) -> np.ndarray:
    """Frame of each labelled track's query where it counts, int64 "N"; -1 where it does not, or is not in these frames.

    Args:
        weight: float32 "T N", of the tracks in these frames.
    Raises: DataError for a label set without queries.
    """
    if sample.query_frame is None:
        raise DataError(f"{clip_name(sample)}: its labels say not where they were asked; label it again, or set data.queries to first")
    frames = sample.query_frame.astype(np.int64)
    counts = (frames >= 0) & (weight[np.maximum(frames, 0), np.arange(len(frames))] > 0)
    return np.where(counts, frames, -1)


def true_query_frames(sample: ClipSample, seen: np.ndarray) -> np.ndarray:
    """Frame of each true track's query, int64 "N": its own where it is seen there, else the first in which it is seen; -1 of none.

    Args:
        seen: bool "T N", within the image.
    """
    first = np.where(seen.any(axis=0), seen.argmax(axis=0), -1)
    if sample.query_frame is None:
        return first.astype(np.int64)
    own = np.maximum(sample.query_frame, 0)
    return np.where((sample.query_frame >= 0) & seen[own, np.arange(len(own))], sample.query_frame, first).astype(np.int64)


def queries_asked_at(frames: np.ndarray, num_frames: int) -> np.ndarray:
    """Number of queries of each frame, float64 "T"; -1 is none."""
    return np.bincount(frames[frames >= 0], minlength=num_frames).astype(np.float64)


def track_queries(sample: ClipSample, frames: np.ndarray, known: np.ndarray, num_tracks: int) -> TrackQueries:
    """The record of a clip that has the frames, size and tracks of its step, filled up to N tracks.

    Args:
        frames: int64 "n", all of them 0 or more. known: bool "T n", wherever the position lies.
    """
    assert sample.tracks2d is not None, "a clip without tracks was given none"
    assert sample.visibility is not None, "a clip without tracks was given none"
    height, width = sample.frames.shape[1:3]
    tracks, size = torch.from_numpy(sample.tracks2d), torch.tensor([width, height])
    near = ((tracks > -size) & (tracks < 2 * size)).all(dim=-1)  # no farther outside than the image is large
    seen = torch.from_numpy(sample.visibility) & in_image(tracks, (height, width)) & torch.from_numpy(known_tracks(sample))
    found = len(frames)
    per_place = (len(tracks), num_tracks)
    queries = TrackQueries(
        frames=torch.zeros(num_tracks, dtype=torch.int64),
        visible=torch.zeros(per_place, dtype=torch.bool),
        known=torch.zeros(per_place, dtype=torch.bool),
        weights=torch.zeros(num_tracks),
    )
    queries.frames[:found] = torch.from_numpy(frames)
    queries.visible[:, :found] = seen
    queries.known[:, :found] = near & torch.from_numpy(known)
    queries.weights[:found] = 1.0 if sample.track_weights is None else torch.from_numpy(sample.track_weights)
    return queries
