from collections.abc import Callable

import numpy as np
import pytest

from pipeline.labels import LabelRow
from pipeline.records import LabelSet, TrackLabels


@pytest.fixture
def label_set() -> LabelSet:
    return LabelSet(labeler="lucas-kanade", configuration={"window": 21, "queries": [4, "grid"]}, versions={"numpy": "2.0"}, license="MIT")


@pytest.fixture
def make_labels() -> Callable[..., TrackLabels]:
    """Random walks whose positions fall anywhere between the steps of fixed point, some of them outside the image."""

    def make(*, num_frames: int = 6, num_tracks: int = 5, seed: int = 0, scores: bool = True) -> TrackLabels:
        rng = np.random.default_rng(seed)
        size = (num_frames, num_tracks)
        tracks = (rng.uniform(-40, 700, (1, num_tracks, 2)) + rng.normal(0, 3, (*size, 2)).cumsum(axis=0)).astype(np.float32)
        queries = np.concatenate([rng.integers(0, num_frames, (num_tracks, 1)), tracks[0]], axis=1).astype(np.float32)
        return TrackLabels(
            queries=queries,
            tracks_px=tracks,
            visibility=rng.random(size) < 0.7,
            visibility_score=rng.random(size, np.float32) if scores else None,
            confidence=rng.random(size, np.float32) if scores else None,
            cycle_error_px=np.where(np.arange(num_tracks) == 1, np.nan, rng.random(num_tracks)).astype(np.float32) if scores else None,
        )

    return make


@pytest.fixture
def make_row(make_labels: Callable[..., TrackLabels]) -> Callable[..., LabelRow]:
    def make(key: str, labels: TrackLabels | None = None) -> LabelRow:
        labels = make_labels() if labels is None else labels
        return LabelRow(key=key, status="ok", labels=labels, clip_sha256="ab" * 32, num_frames=len(labels.tracks_px), width=640, height=480)

    return make
