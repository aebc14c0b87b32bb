import json
import logging
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, DataError
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data import AugmentConfig, DataConfig, ShapeConfig, StepBatch, StepLoader

SMALL = {
    "num_tracks": 4,
    "shape": ShapeConfig(frames=(2, 4), pixels=(400, 1200)),
    "augment": AugmentConfig(crop_side=(0.9, 1.0)),
}  # the datasets' frames are 24 x 32


def arrays() -> dict:
    poses = np.tile(np.eye(4, dtype=np.float32), (6, 1, 1))
    poses[:, 0, 3] = np.arange(6)
    return {
        "depth": np.full((6, 24, 32), 10, np.float16),
        "intrinsics": np.tile(np.array([[20, 0, 15.5], [0, 20, 11.5], [0, 0, 1]], np.float32), (6, 1, 1)),
        "camera_to_world": poses,
    }


@pytest.fixture(name="roots")
def _roots(make_root, label, audit):
    metric = make_root(
        "metric", num_clips=(3, 2), is_metric=True, arrays={key: arrays() for key in ("s0c0", "s0c1", "s0c2", "s1c0", "s1c1")}
    )
    wild = make_root("wild", num_clips=(2, 3), is_metric=True, arrays={"s0c0": arrays(), "s1c1": arrays()})
    labels = label(wild, [0, 1])
    return metric, wild, audit(wild, labels, [0, 1])


@pytest.fixture(name="config")
def _config(roots):
    metric, wild, audit = roots
    return DataConfig(
        labelled=MixtureConfig(parts=((StreamConfig(root=metric, num_frames=None), 1.0),)),
        pseudo=MixtureConfig(parts=((StreamConfig(root=wild, audit=audit, num_frames=None), 1.0),)),
        labelled_clips=2,
        pseudo_clips=2,
        **SMALL,
    )


def steps(config, number, **options) -> list[StepBatch]:
    return list(islice(StepLoader(config, patch=14, **options), number))


def assert_equal(one: StepBatch, other: StepBatch) -> None:
    assert one.step == other.step
    for first, second in ((one.labelled, other.labelled), (one.pseudo, other.pseudo)):
        assert first.keys == second.keys
        assert torch.equal(first.images, second.images)
        assert torch.equal(first.observations.tracks_px, second.observations.tracks_px)
        assert torch.equal(first.observations.frame_weights, second.observations.frame_weights)


def test_a_step_has_clips_of_both_kinds_in_one_shape(config):
    for batch in steps(config, 4):
        labelled, pseudo = batch.labelled, batch.pseudo
        assert labelled.images.shape == pseudo.images.shape
        assert labelled.images.shape[0] == 2
        assert labelled.datasets == ("metric",) * 2
        assert labelled.licenses == ("CC0",) * 2
        assert labelled.is_metric.all()
        assert labelled.geometry.valid.all()
        assert pseudo.geometry is None
        assert not pseudo.is_metric.any()  # two of the clips have truth, which stays on disk
        assert pseudo.observations.static_score is not None
        assert (pseudo.observations.frame_weights[:, 0] > 0).any(1).all()


@pytest.mark.parametrize("num_workers", [1, 3])
def test_workers_change_nothing(config, num_workers):
    for one, other in zip(steps(config, 3), steps(config, 3, num_workers=num_workers), strict=True):
        assert_equal(one, other)


def test_a_restored_state_goes_on_as_if_nothing_had_happened(config):
    undisturbed = steps(config, 7)
    loader = StepLoader(config, patch=14)
    list(islice(loader, 3))
    state = json.loads(json.dumps(loader.state_dict()))
    assert state["step"] == 3
    for one, other in zip(undisturbed[3:], steps(config, 4, start=state, num_workers=2), strict=True):
        assert_equal(one, other)
    assert StepLoader(config, patch=14, start=state).state_dict() == state


def test_a_step_that_was_read_ahead_is_not_taken(config):
    plain, ahead = StepLoader(config, patch=14), StepLoader(config, patch=14, ahead=True)
    for one, other in zip(islice(plain, 3), islice(ahead, 3), strict=True):
        assert_equal(one, other)
        assert ahead.state_dict() == plain.state_dict()
    assert_equal(steps(config, 4)[3], steps(config, 1, start=ahead.state_dict(), ahead=True)[0])


def test_two_ranks_take_what_one_with_twice_the_clips_would(config):
    whole = steps(replace(config, labelled_clips=4, pseudo_clips=4), 3)
    ranks = [steps(config, 3, rank=rank, world_size=2) for rank in range(2)]
    for step, batch in enumerate(whole):
        for rank in range(2):
            own = ranks[rank][step]
            assert own.labelled.keys == batch.labelled.keys[rank::2]
            assert torch.equal(own.labelled.images, batch.labelled.images[rank::2])
            assert torch.equal(own.pseudo.observations.tracks_px, batch.pseudo.observations.tracks_px[rank::2])


def test_states_of_all_ranks_are_equal_and_serve_another_number_of_ranks(config):
    loaders = [StepLoader(config, patch=14, rank=rank, world_size=2) for rank in range(2)]
    for loader in loaders:
        list(islice(loader, 3))
    assert loaders[0].state_dict() == loaders[1].state_dict()
    twice = replace(config, labelled_clips=4, pseudo_clips=4)
    assert_equal(steps(twice, 4)[3], steps(twice, 1, start=loaders[0].state_dict())[0])


def test_a_state_of_another_training_is_refused(config):
    state = StepLoader(config, patch=14).state_dict()
    with pytest.raises(ConfigError, match="seed 0, labelled and pseudo, here it is seed 1"):
        StepLoader(replace(config, seed=1), patch=14, start=state)
    with pytest.raises(ConfigError, match="here it is seed 0, labelled"):
        StepLoader(replace(config, pseudo=None), patch=14, start=state)
    with pytest.raises(ConfigError, match="not a state"):
        StepLoader(config, patch=14, start={"step": None})


def test_a_dataset_without_clips_is_named(config, roots, make_root):
    metric, wild, audit = roots
    nothing = StreamConfig(root=metric, name="none-for-validation", split="val")
    mixed = MixtureConfig(parts=(*config.labelled.parts, (nothing, 1.0)))
    with pytest.raises(ConfigError, match="labelled part none-for-validation: .*holds no clip"):
        StepLoader(replace(config, labelled=mixed), patch=14)
    failed = StreamConfig(root=make_root("failed", num_clips=(2,), failed=frozenset({"s0c0", "s0c1"})))
    with pytest.raises(ConfigError, match="labelled part failed: none of the 2 planned clips can be delivered"):
        StepLoader(replace(config, labelled=MixtureConfig(parts=((failed, 1.0),))), patch=14)


def test_labels_without_audit_are_warned_of_once(config, roots, caplog):
    _, wild, audit = roots
    unjudged = MixtureConfig(parts=((StreamConfig(root=wild, labels=audit, num_frames=None), 1.0),))
    steps(replace(config, pseudo=unjudged), 2)
    assert sum("without an audit" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_clip_that_cannot_be_used_is_skipped_or_named(config, make_root, caplog, num_workers):
    bad = make_root("bad", num_clips=(4,), is_metric=True, arrays={key: arrays() for key in ("s0c0", "s0c1", "s0c2")})  # s0c3 has no truth
    part = StreamConfig(root=bad, num_frames=None)
    config = replace(config, labelled=MixtureConfig(parts=((part, 1.0),)), pseudo=None)
    numbers = []
    for ahead in (False, True):
        delivered = iter(StepLoader(config, patch=14, num_workers=num_workers, ahead=ahead))
        with pytest.raises(DataError, match='dataset bad, clip s0c3: no depth, intrinsics, camera_to_world.*on_error="skip"'):
            numbers += [batch.step for batch in delivered]
    assert numbers in ([], [0, 0])  # read ahead, the error waits for its step
    skipping = replace(config, labelled=MixtureConfig(parts=((replace(part, on_error="skip"), 1.0),)))
    loader = StepLoader(skipping, patch=14, num_workers=num_workers)
    with caplog.at_level(logging.WARNING):
        batches = list(islice(loader, 4))  # two epochs
    assert loader.num_skipped == 2
    assert [name for batch in batches for name in batch.skipped] == ["bad"] * 2
    assert sum(len(batch.labelled.keys) for batch in batches) == 6
    assert loader.state_dict()["streams"]["labelled"]["place"] == 8  # a skipped clip keeps its place
    if not num_workers:
        assert sum("skipped: dataset bad, clip s0c3" in record.getMessage() for record in caplog.records) == 2


def test_a_step_all_of_whose_clips_were_skipped_has_none(config, make_root):
    bad = StreamConfig(root=make_root("bad", num_clips=(2,)), num_frames=None, on_error="skip")
    batch = steps(replace(config, labelled=MixtureConfig(parts=((bad, 1.0),))), 1)[0]
    assert batch.labelled is None
    assert batch.pseudo is not None
