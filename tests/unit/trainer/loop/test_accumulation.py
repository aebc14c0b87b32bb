"""A step of several batches is that of one batch with all their clips."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from networks.weights import read_weights
from pipeline.errors import ConfigError
from tests.unit.trainer.loop.rendered import Planes, share
from tests.unit.trainer.loop.test_run import FORKED, make_config, run
from trainer.data import StepBatch
from trainer.loop import read_journal, train, train_step
from trainer.loop.checkpoints import read_state
from trainer.loop.config import CheckpointSettings
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.step_report import ProcessRank

GENTLY = OptimiserSettings(learning_rate=1e-9, encoder_learning_rate=1e-9)  # Adam makes rounding errors as large as steps


class Halves:
    """The steps of Planes in two batches each: a labelled clip and all with pseudo tracks, then the other labelled clip alone."""

    def __init__(self, state: dict[str, Any] | None) -> None:
        self.taken = 0 if state is None else int(state["batches"])

    def __iter__(self) -> Iterator[StepBatch]:
        while True:
            step, half = divmod(self.taken, 2)
            whole = next(iter(Planes({"step": step})))
            assert whole.labelled is not None
            self.taken += 1
            mine = share(whole.labelled, slice(half, half + 1))
            yield StepBatch(step=self.taken - 1, labelled=mine, pseudo=None if half else whole.pseudo)

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self.taken}


def moments(out: Path, step: int) -> dict[str, torch.Tensor]:
    return dict(read_weights(str(out / f"checkpoints/{step:08d}.optimiser.safetensors")).tensors)


def assert_same_gradients(out: Path, other: Path) -> None:
    """Of two steps, which the optimiser's moments hold; a key's bias has none but rounding."""
    found, expected = moments(out, 2), moments(other, 2)
    assert set(found) == set(expected)
    for name, true in expected.items():
        torch.testing.assert_close(found[name], true, rtol=1e-4, atol=1e-4 * float(true.abs().max()) + 1e-10)


def test_accumulated_gradients_are_those_of_one_larger_batch(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    run(make_config(whole, steps=2, optimiser=GENTLY))
    run(make_config(halves, steps=2, optimiser=GENTLY, accumulate=2), open_batches=Halves)
    assert read_state(str(halves), 2).data == {"batches": 4}
    for one, other in zip(read_journal(str(whole)), read_journal(str(halves)), strict=True):
        assert (one["num_clips"], other["num_clips"]) == (4, 4)
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-6)
        assert other["terms"] == pytest.approx(one["terms"], rel=1e-5, abs=1e-7)
        assert other["gradient_norm"] == pytest.approx(one["gradient_norm"], rel=1e-5)
    assert_same_gradients(halves, whole)


def test_a_resumed_run_of_several_batches_a_step_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    config = make_config(tmp_path, steps=2, accumulate=2, checkpoints=CheckpointSettings(every_steps=1, keep=2))
    run(config, open_batches=Halves)
    files = {path: path.read_bytes() for path in sorted((tmp_path / "checkpoints").glob("00000002.*"))}
    rows = [row["loss"] for row in read_journal(str(tmp_path))]
    assert len(files) == 4
    (tmp_path / "checkpoints/00000002.json").unlink()  # killed before the second checkpoint was whole
    assert run(config, resume=True, open_batches=Halves).resumed_from == 1
    assert {path: path.read_bytes() for path in files} == files
    assert [row["loss"] for row in read_journal(str(tmp_path))] == rows
    with pytest.raises(ConfigError, match="trained with another accumulate"):
        run(replace(config, accumulate=1), resume=True)


class Broken(Halves):
    """The clip of every second batch has a NaN in its truth."""

    def __iter__(self) -> Iterator[StepBatch]:
        for batch in super().__iter__():
            assert batch.labelled is not None
            assert batch.labelled.geometry is not None
            if batch.step % 2:
                batch.labelled.geometry.camera_to_world[0, 1, 0, 3] = torch.nan
            yield batch


def test_one_batch_without_a_loss_costs_the_step_and_a_loss_beyond_the_guard_counts_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(make_config(tmp_path / "broken", steps=1, accumulate=2), open_batches=Broken).num_skipped == 1
    assert "step 0: skipped: the loss is nan; clips: labelled-0-1 (" in caplog.text
    assert set(moments(tmp_path / "broken", 1)) == {"none"}  # no gradient has come to the optimiser
    run(make_config(tmp_path / "guarded", steps=1, accumulate=2, loss_guard=1e-3), open_batches=Halves)
    row = read_journal(str(tmp_path / "guarded"))[0]
    assert (row["outcome"], row["gradient_norm"]) == ("guarded", 0.0)


def test_a_step_has_a_batch(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="accumulate is 0, expected 1 or more"):
        make_config(tmp_path, accumulate=0)


class Dealt(Planes):
    """Half of a step's clips for each of two processes: of step 0 labelled ones, then pseudo ones; of step 1 all, then none."""

    def __iter__(self) -> Iterator[StepBatch]:
        for whole in super().__iter__():
            parts = ({"labelled": whole.labelled}, {"pseudo": whole.pseudo})
            if whole.step == 1:
                parts = ({"labelled": whole.labelled, "pseudo": whole.pseudo}, {})
            yield from (StepBatch(step=whole.step, labelled=part.get("labelled"), pseudo=part.get("pseudo")) for part in parts)


class Counting(DistributedDataParallel):
    """Counts the exchanges of gradients, one for all parameters of so small a network."""

    exchanges = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.register_comm_hook(None, self.exchange)

    @staticmethod
    def exchange(_: object, bucket: distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
        Counting.exchanges += 1
        return allreduce_hook(distributed.group.WORLD, bucket)


def train_in_place(rank: int, out: str) -> None:
    """In a process of its own, one of two."""
    torch.set_num_threads(1)
    train_step.DistributedDataParallel = Counting
    distributed.init_process_group("gloo", init_method=f"file://{out}/meeting", rank=rank, world_size=2)
    process = ProcessRank(device=torch.device("cpu"), rank=rank, world_size=2)
    config = make_config(Path(out), steps=2, optimiser=GENTLY, accumulate=2)
    train(config, process, open_batches=lambda state: Dealt(state, rank=rank, world_size=2))
    distributed.destroy_process_group()
    assert Counting.exchanges == 2  # of two steps, in four batches


def test_processes_that_accumulate_equal_one_with_all_clips(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    together.mkdir()
    multiprocessing.start_processes(train_in_place, args=(str(together),), nprocs=2, start_method=FORKED.get_start_method())
    run(make_config(alone, steps=2, optimiser=GENTLY))
    assert_same_gradients(together, alone)
