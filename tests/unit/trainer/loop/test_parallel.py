"""Two processes with half of the clips each do what one does with all of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing

from networks.weights import read_weights
from pipeline.errors import ConfigError
from tests.exported_dataset import Clip, write_root
from tests.unit.trainer.loop.rendered import Planes, share
from tests.unit.trainer.loop.test_run import FORKED, losses, make_config, make_validation
from trainer.loop import read_validation, train
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.step_report import ProcessRank

STEPS = 3


class Uneven(Planes):
    """In the second step the second process has no labelled clip, in the third the first has nothing at all."""

    def __init__(self, state: dict | None, *, rank: int = 0, world_size: int = 1) -> None:
        super().__init__(state, rank=rank, world_size=world_size)
        self.rank, self.world_size = rank, world_size

    def __iter__(self):  # type: ignore[no-untyped-def]
        for batch in super().__iter__():
            first, alone = slice(0, 1), self.world_size == 1
            if batch.step == 1:
                labelled = share(batch.labelled, first) if alone else batch.labelled if self.rank == 0 else None
                batch = replace(batch, labelled=labelled)
            if batch.step == 2:
                second = slice(1, 2)
                sides = {name: share(getattr(batch, name), second) if alone else getattr(batch, name) for name in ("labelled", "pseudo")}
                batch = replace(batch, **(sides if alone or self.rank == 1 else dict.fromkeys(sides)))
            yield batch


def train_in_place(rank: int, world_size: int, out: str, root: str) -> None:
    """In a process of its own."""
    torch.set_num_threads(1)
    if world_size > 1:
        distributed.init_process_group("gloo", init_method=f"file://{out}/meeting", rank=rank, world_size=world_size)
    process = ProcessRank(device=torch.device("cpu"), rank=rank, world_size=world_size)
    gently = OptimiserSettings(learning_rate=1e-9, encoder_learning_rate=1e-9)  # Adam makes rounding errors as large as steps
    config = make_config(Path(out), steps=STEPS, optimiser=gently, validation=make_validation(root))
    train(config, process, open_batches=lambda state: Uneven(state, rank=rank, world_size=world_size))
    if world_size > 1:
        apart = replace(config, out=out if rank == 0 else f"{out}/disk_of_another_machine")
        with pytest.raises(ConfigError, match=r"process 0 would go on at step 3, process 1 at the beginning: .*`out`.*disk that all"):
            train(apart, process, resume=True)
        distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_same_clips(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    root = write_root(tmp_path / "studio", [Clip(key=f"s0c{number}", split="val") for number in range(3)])
    together.mkdir()
    multiprocessing.start_processes(train_in_place, args=(2, str(together), root), nprocs=2, start_method=FORKED.get_start_method())
    train_in_place(0, 1, str(alone), root)
    torch.testing.assert_close(torch.tensor(losses(together)), torch.tensor(losses(alone)), rtol=1e-6, atol=0)
    (found,), (expected,) = ([row for row in read_validation(str(out)) if row["step"] == STEPS] for out in (together, alone))
    assert (found["num_clips"], found["clips_where_defined"]) == (3, expected["clips_where_defined"])  # two of the first, one of the second
    for name in ("rpe_rot_deg", "abs_rel_scale"):
        assert found["measures"][name] == pytest.approx(expected["measures"][name], rel=1e-3)
    one, two = (read_weights(str(out / f"checkpoints/{STEPS:08d}.optimiser.safetensors")).tensors for out in (alone, together))
    assert set(one) == set(two)
    for name in one:  # the moments hold the gradients of all three steps; a key's bias has none but rounding, about 1e-13
        scale = float(one[name].abs().max())
        torch.testing.assert_close(
            two[name], one[name], rtol=1e-4, atol=1e-4 * scale + 1e-10, msg=lambda text, name=name: f"{name}: {text}"
        )
