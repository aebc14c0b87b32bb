"""Queries of their own: ordered windows, clips that are too short, frames in which a labeler says nothing, one label set per batch."""

from itertools import islice

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data import AS_STORED, AugmentConfig, DataConfig, ShapeConfig, StepLoader
from trainer.data.augmentation import StepShape
from trainer.data.batches import collate
from trainer.data.preparing import prepare_labelled, prepare_pseudo
from trainer.data.track_queries import draw_ordered_window, there_and_back

SHAPE = StepShape(frames=4, height=42, width=56)


def config(**changes) -> DataConfig:
    mixture = MixtureConfig(parts=((StreamConfig(root="/none", labels="x"), 1.0),))
    return DataConfig(**{"pseudo": mixture, "num_tracks": 24, "queries": "own", "augment": AS_STORED, **changes})


def draw(seed=0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_windows_are_in_order_hold_a_query_and_shrink_their_stride():
    asked = np.zeros(20)
    asked[7] = 3.0
    seen = set()
    for seed in range(60):
        frames = draw_ordered_window(asked, 5, AugmentConfig(strides=(1, 3)), draw(seed))
        steps = set(np.diff(frames).tolist())
        assert len(steps) == 1
        assert 7 in frames
        seen |= steps
    assert seen == {-3, -2, -1, 1, 2, 3}
    assert draw_ordered_window(np.ones(6), 6, AugmentConfig(strides=(3, 3), reverse=False), draw()).tolist() == list(range(6))


def test_short_clips_go_there_and_back():
    assert there_and_back(4, 9).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert there_and_back(1, 3).tolist() == [0, 0, 0]


def test_labelled_tracks_are_asked_where_the_label_set_asked_them(make_clip):
    asked = np.where(np.arange(40) < 20, 1, 4).astype(np.int32)
    trust = np.linspace(0, 1, 40, dtype=np.float32)
    weights = np.tile(trust, (6, 1))
    sample = make_clip(pseudo=True, query_frame=asked, track_weights=trust, frame_weights=weights)
    shape, many = StepShape(frames=6, height=42, width=56), config(num_tracks=60)
    batch = collate([prepare_pseudo(sample, shape, many, draw(seed)) for seed in (0, 1)])
    queries = batch.queries
    assert queries.frames.unique().tolist() == [0, 1, 4]  # 0 of what fills the batch up
    real = queries.weights > 0
    assert int(real[0].sum()) > 20
    places = batch.observations.tracks_px.gather(1, queries.frames[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
    torch.testing.assert_close(batch.query_points, places)
    assert not queries.known.transpose(1, 2)[~real].any()
    assert set(queries.weights[real].tolist()) <= set(trust[1:].tolist())  # weight 0 is never drawn
    at_query = queries.visible.gather(1, queries.frames[:, None])[:, 0]
    assert bool(at_query[real].all())


def test_a_point_that_rests_before_its_query_teaches_nothing_there(make_clip):
    sample = make_clip(pseudo=True)
    tracks, visible = sample.tracks2d.copy(), np.ones((6, 40), bool)
    tracks[:3], visible[:3] = tracks[3], False  # a labeler that looks forward alone, asked in frame 3
    rests = make_clip(pseudo=True, tracks2d=tracks, visibility=visible, query_frame=np.full(40, 3, np.int32))
    shape = StepShape(frames=6, height=42, width=56)
    known = prepare_pseudo(rests, shape, config(), draw()).queries.known
    assert known.any(1).tolist() == [False] * 3 + [True] * 3


def test_true_tracks_are_asked_where_they_are_first_seen(make_clip):
    visible = np.zeros((6, 40), bool)
    visible[2:, :] = True
    sample = make_clip(visibility=visible, query_frame=None)
    clip = prepare_labelled(sample, StepShape(frames=6, height=42, width=56), config(), draw())
    assert set(clip.queries.frames.tolist()) == {2}
    assert bool(clip.queries.known[:2].any())  # hidden true positions are known
    assert not clip.queries.visible[:2].any()


def test_clips_without_queries_are_refused_by_name(make_clip):
    with pytest.raises(DataError, match="clip-a: its labels say not where they were asked"):
        prepare_pseudo(make_clip(pseudo=True, query_frame=None), SHAPE, config(), draw())
    hidden = make_clip(pseudo=True, visibility=np.zeros((6, 40), bool))
    with pytest.raises(DataError, match="clip-a: none of its tracks is trusted and in the image where it was asked"):
        prepare_pseudo(hidden, SHAPE, config(), draw())
    with pytest.raises(ConfigError, match="leave max_images out"):
        config(one_pseudo_part_per_batch=True, max_images=48)


def teachers(root, labels, **options):
    parts = tuple((StreamConfig(root=root, labels=labels, name=name, num_frames=None), 1.0) for name in ("one", "two"))
    shape = ShapeConfig(frames=(4, 4), pixels=(400, 700))
    data = DataConfig(
        pseudo=MixtureConfig(parts=parts, seed=5),
        pseudo_clips=3,
        num_tracks=4,
        one_pseudo_part_per_batch=True,
        shape=shape,
    )
    return StepLoader(data, patch=4, **options)


def test_every_batch_has_one_teacher_which_is_a_function_of_seed_and_batch(make_root, label):
    root = make_root("wild", num_clips=(2, 3))
    labels = label(root, [0, 1])
    found = [batch.pseudo.datasets for batch in islice(teachers(root, labels), 12)]
    assert all(len(datasets) == 3 and len(set(datasets)) == 1 for datasets in found)
    order = [datasets[0] for datasets in found]
    assert set(order) == {"one", "two"}
    assert [
        batch.pseudo.datasets[0] for batch in islice(teachers(root, labels, rank=1, world_size=2), 12)
    ] == order  # every rank has the same
    loader = teachers(root, labels)
    for _ in islice(loader, 7):
        pass
    resumed = teachers(root, labels, start=loader.state_dict())
    assert [batch.pseudo.datasets[0] for batch in islice(resumed, 5)] == order[7:]
