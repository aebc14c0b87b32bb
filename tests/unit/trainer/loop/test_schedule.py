"""Step lengths and decay."""

import pytest
import torch

from pipeline.errors import ConfigError
from trainer.loop.optimisation import OptimiserSettings, WeightAverage, freeze, make_optimiser, rate_factor, set_rate


@pytest.mark.parametrize("warm", [0.0, 0.25])
def test_the_rate_runs_as_torchs_one_cycle(warm: float) -> None:
    steps, weight = 16, torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([weight], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.1, total_steps=steps, pct_start=warm, div_factor=1000, final_div_factor=100, cycle_momentum=False
    )
    settings = OptimiserSettings(warm_share=warm)
    for step in range(steps):
        assert 0.1 * rate_factor(step, steps, settings) == pytest.approx(cycle.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        if step < steps - 1:
            cycle.step()
    assert rate_factor(steps - 1, steps, settings) == pytest.approx(1e-5)


def test_encoder_rate_and_decay_of_matrices_alone() -> None:
    model = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 3), "decoder": torch.nn.Linear(3, 2), "norm": torch.nn.LayerNorm(2)})
    freeze(model, ["norm"])
    optimiser = make_optimiser(model, OptimiserSettings(learning_rate=1e-2, encoder_learning_rate=1e-3))
    found = {(group["lr"], group["weight_decay"]): [tuple(p.shape) for p in group["params"]] for group in optimiser.param_groups}
    assert found == {(1e-3, 0.05): [(3, 2)], (1e-3, 0.0): [(3,)], (1e-2, 0.05): [(2, 3)], (1e-2, 0.0): [(2,)]}
    set_rate(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [5e-4, 5e-4, 5e-3, 5e-3]


def test_freezing_names_what_there_is() -> None:
    model = torch.nn.ModuleDict({"encoder": torch.nn.Linear(2, 3)})
    with pytest.raises(ConfigError, match="no part 'enc'; it has encoder"):
        freeze(model, ["enc"])
    freeze(model, ["encoder"])
    with pytest.raises(ConfigError, match="every part of the network is frozen"):
        make_optimiser(model, OptimiserSettings())


def test_the_average_of_two_steps_by_hand() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(0.0)
        average = WeightAverage(model, 0.75)
        model.weight.fill_(4.0)
        average.update(model)  # 1
        average.update(model)  # 1.75
    with average.applied_to(model):
        assert model.weight.item() == 1.75
    assert model.weight.item() == 4.0
