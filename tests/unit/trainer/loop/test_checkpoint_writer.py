"""Checkpoints written by a thread: of the moment when they were asked for, one at a time, errors told, the best one kept."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from networks import build_model
from networks.weights import read_weights
from pipeline import storage
from pipeline.errors import StorageError
from tests.tiny_network import TINY
from tests.unit.trainer.loop.rendered import make_data
from trainer.loop.checkpoint_writer import CheckpointWriter
from trainer.loop.checkpoints import BestCheckpoint, Learner, RunState, checkpoint_steps, read_state
from trainer.loop.config import TrainConfig, config_table

STATE = RunState(
    step=1, config=config_table(TrainConfig(out="out", steps=4, data=make_data())), data={}, num_guarded=0, num_skipped=0, licenses=(),
    start_license=None,
)  # fmt: skip
BEST = BestCheckpoint(step=2, measure="studio/ate", value=0.5, averaged=False)
ENTRY = "encoder.cls_token"


@pytest.fixture(scope="module")
def learner() -> Learner:
    model = build_model("pi3", TINY)
    return Learner(model=model, optimiser=torch.optim.AdamW(model.parameters()), average=None)


def fill(learner: Learner, value: float) -> None:
    with torch.no_grad():
        learner.model.state_dict()[ENTRY].fill_(value)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk is slow: the state's file waits for this event."""
    event, publish = threading.Event(), storage.publish_bytes

    def slow(uri: str, data: bytes) -> None:
        assert event.wait(60)
        publish(uri, data)

    monkeypatch.setattr(storage, "publish_bytes", slow)
    return event


def test_a_checkpoint_is_of_its_own_step_however_long_it_is_written(tmp_path: Path, learner: Learner, held: threading.Event) -> None:
    fill(learner, 1.0)
    with CheckpointWriter(str(tmp_path), keep=3) as writer:
        writer.save(STATE, learner)
        fill(learner, 2.0)  # the next step
        writer.check()
        assert checkpoint_steps(str(tmp_path)) == []
        threading.Timer(0.05, held.set).start()
        writer.save(replace(STATE, step=2), learner)
        assert checkpoint_steps(str(tmp_path)) == [1]  # the second had to wait for the first
    assert checkpoint_steps(str(tmp_path)) == [1, 2]  # and the end for the second
    for step in (1, 2):
        assert bool((read_weights(str(tmp_path / f"checkpoints/{step:08d}.safetensors")).tensors[ENTRY] == step).all())


def test_the_best_checkpoint_stays_and_is_named(tmp_path: Path, learner: Learner) -> None:
    with CheckpointWriter(str(tmp_path), keep=1) as writer:
        for step in (1, 2, 3, 4):
            writer.save(replace(STATE, step=step, best=BEST if step > 1 else None), learner)
    assert checkpoint_steps(str(tmp_path)) == [2, 4]
    assert read_state(str(tmp_path), 4).best == BEST
    assert '"weights": "00000002.safetensors"' in (tmp_path / "checkpoints/best.json").read_text()


def in_the_way(out: Path) -> None:
    (out / "checkpoints/00000001.optimiser.safetensors/folder").mkdir(parents=True)


def until_it_raises(check: Callable[[], None]) -> None:
    for _ in range(6000):
        check()
        time.sleep(0.01)


def interrupted(writer: CheckpointWriter, learner: Learner) -> None:
    with writer:
        writer.save(STATE, learner)
        raise KeyboardInterrupt


def test_what_goes_wrong_is_told_at_a_later_step_or_at_the_end(tmp_path: Path, learner: Learner, caplog: pytest.LogCaptureFixture) -> None:
    in_the_way(tmp_path)
    named = r"cannot write .*00000001\.optimiser\.safetensors"
    with CheckpointWriter(str(tmp_path), keep=1) as writer:
        writer.save(STATE, learner)
        with pytest.raises(StorageError, match=named):
            until_it_raises(writer.check)
    with pytest.raises(StorageError, match=named), CheckpointWriter(str(tmp_path), keep=1) as writer:
        writer.save(STATE, learner)
    with pytest.raises(KeyboardInterrupt):
        interrupted(CheckpointWriter(str(tmp_path), keep=1), learner)
    assert "the last checkpoint was not written: cannot write" in caplog.text
    assert checkpoint_steps(str(tmp_path)) == []
