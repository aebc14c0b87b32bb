"""Weights of tracks: joined with the labels that were audited, for the delivered frames."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from pipeline.audit.records import StaticPair
from pipeline.audit.stored.audit_rows import read_audit_shard
from pipeline.errors import DataError
from pipeline.labels import read_label_shard
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.torch_adapter import ResumableLoader
from pipeline.stream.trust import clip_trust, pose_signal

# Of three tracks with weights 0.5, 1, 0: track n is hidden in frame n; confidence 0.6; likeness 0.4 in even frames (half), 1 in odd ones.
HALF, WHOLE = 0.6 * 0.5, 0.6
FRAME_WEIGHTS = [
    [0, HALF, 0],
    [0.5 * WHOLE, 0, 0],
    [0.5 * HALF, HALF, 0],
    [0.5 * WHOLE, WHOLE, 0],
    [0.5 * HALF, HALF, 0],
    [0.5 * WHOLE, WHOLE, 0],
]
STORED = 0.01  # the file holds confidence to 1/255 and likeness to 1/127


@pytest.fixture(name="judged")
def _judged(make_root, label, audit):
    root = make_root(num_clips=(2, 1))
    labels = label(root, [0, 1])
    return root, audit(root, labels, [0, 1], reasons={"s0c1": ["flicker"]})


def test_weights_by_hand(judged):
    root, name = judged
    trust = clip_trust(read_audit_shard(root, name, 0), "s0c0", read_label_shard(root, name, 0).labels("s0c0"))
    np.testing.assert_allclose(trust.frame_weights, FRAME_WEIGHTS, atol=STORED)
    np.testing.assert_array_equal(trust.weight, np.array([0.5, 1, 0], np.float32))
    np.testing.assert_array_equal(trust.static_score, np.array([0.9, 0.1, np.nan], np.float32))
    assert trust.pose_signal.tolist() == [True, True, True, False, False, False]


def test_weights_come_for_the_delivered_frames(judged):
    root, name = judged
    config = StreamConfig(root=root, audit=name, num_frames=2, frame_stride=2, audit_keeps=("keep", "quarantine"))
    starts = set()
    for sample in islice(ClipStream(config), 30):
        at = sample.frame_indices
        starts.add(int(at[0]))
        np.testing.assert_allclose(sample.frame_weights, np.array(FRAME_WEIGHTS)[at], atol=STORED)
        assert not sample.frame_weights[~sample.visibility].any()
        assert sample.pose_signal.tolist() == [t <= 2 for t in at]
        np.testing.assert_array_equal(sample.track_weights, np.array([0.5, 1, 0], np.float32))
        assert sample.static_score.shape == (3,)
        assert sample.verdict == ("quarantine" if sample.key == "s0c1" else "keep")
    assert starts == {0, 1, 2, 3}


def test_a_stream_without_an_audit_carries_no_weights(judged):
    root, name = judged
    sample = next(iter(ClipStream(StreamConfig(root=root, labels=name))))
    assert {sample.track_weights, sample.frame_weights, sample.static_score, sample.pose_signal, sample.verdict} == {None}


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("num_workers", [0, 2])
def test_weights_cross_from_the_workers_of_the_torch_loader(judged, num_workers):
    root, name = judged
    config = StreamConfig(root=root, audit=name, num_frames=3)
    for ours, theirs in zip(islice(ClipStream(config), 5), islice(ResumableLoader(config, num_workers=num_workers), 5), strict=True):
        for field in ("track_weights", "frame_weights", "static_score", "pose_signal"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field))
        assert ours.verdict == theirs.verdict == "keep"


def test_labels_that_were_made_again_after_the_audit_are_refused(make_root, label, audit):
    root = make_root(num_clips=(1,))
    name = label(root, [0])
    queries = read_label_shard(root, name, 0).labels("s0c0").queries
    audit(root, name, [0], queries=queries[::-1].copy())
    expected = (
        r"clip s0c0: .*000000.parquet: clip s0c0: the labels .* are not those that were audited .*run jobs/audit.py run again; or stream"
    )
    with pytest.raises(DataError, match=expected) as error:
        next(iter(ClipStream(StreamConfig(root=root, audit=name))))
    assert "make this shard again" not in str(error.value)


def test_labels_of_another_number_of_tracks_or_frames_are_refused(judged):
    root, name = judged
    labels, shard = read_label_shard(root, name, 0).labels("s0c0"), read_audit_shard(root, name, 0)
    tracks, frames = np.s_[:, :2], np.s_[:5]
    for part, queries, found in (
        (tracks, labels.queries[:2], r"\(6 frames, 2 tracks\)"),
        (frames, labels.queries, r"\(5 frames, 3 tracks\)"),
    ):
        fewer = replace(labels, queries=queries, tracks_px=labels.tracks_px[part], visibility=labels.visibility[part], confidence=None)
        with pytest.raises(
            DataError, match=rf"the labels {found} are not those that were audited \(6 frames, 3 tracks.* run jobs/audit.py run"
        ):
            clip_trust(shard, "s0c0", fewer)


def test_a_kept_clip_whose_tracks_were_not_measured_is_refused(make_root, label, audit):
    root = make_root(num_clips=(1,))
    name = label(root, [0])
    audit(root, name, [0], measured=False)
    with pytest.raises(DataError, match="verdict keep, but no track was measured; delete 000000.parquet"):
        next(iter(ClipStream(StreamConfig(root=root, audit=name))))


def pair(start, end, share, model="fundamental"):
    return StaticPair(start=start, end=end, model=model, num_candidates=50, static_inlier_ratio=share, parallax_px=3.0)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], []),
        ([pair(4, 12, 0.3)], range(4, 13)),
        ([pair(4, 12, 0.29)], []),
        ([pair(4, 12, 0.9, model="none")], []),  # the camera stands still
        ([pair(0, 8, 0.9), pair(4, 12, 0.1), pair(12, 20, 0.9)], [*range(9), *range(12, 24)]),  # behind frame 20 no pair could begin
        ([pair(8, 16, 0.9), pair(12, 20, 0.1)], range(8, 17)),
    ],
)
def test_the_camera_is_known_within_pairs_that_move_as_a_static_scene(pairs, expected):
    assert np.flatnonzero(pose_signal(pairs, 24)).tolist() == list(expected)
