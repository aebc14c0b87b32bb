"""The fill against the recorded sums and hashes of all 188 entries."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.formula_weights import fill_by_formula, formula_state_dict

GOLDEN = Path(__file__).parents[3] / "golden" / "cotracker3"


@pytest.mark.parametrize("variant", ["offline", "online"])
def test_every_entry_has_the_recorded_bytes(variant):
    recorded = json.loads((GOLDEN / f"state_dict_{variant}.json").read_text())["state_dict"]
    filled = formula_state_dict({name: entry["shape"] for name, entry in recorded.items()})
    assert set(recorded) - set(filled) == {"time_emb"}
    for name, value in filled.items():
        array = value.numpy().astype("<f4")
        assert hashlib.sha256(array.tobytes()).hexdigest() == recorded[name]["filled_sha256"], name
        np.testing.assert_allclose(array.sum(dtype=np.float64), recorded[name]["filled_sum"], rtol=1e-6, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(array.ravel()[:3], np.array(recorded[name]["filled_first3"], np.float32), err_msg=name)


def test_a_module_is_filled_in_place_and_keeps_its_time_buffer():
    model = nn.Module()
    model.register_buffer("time_emb", torch.full((1, 4, 2), 7.0))
    model.corr_mlp = nn.ModuleDict({"fc1": nn.Linear(2401, 384)})
    weight = model.corr_mlp["fc1"].weight
    fill_by_formula(model)
    expected = formula_state_dict({"corr_mlp.fc1.weight": (384, 2401)})["corr_mlp.fc1.weight"]
    assert model.corr_mlp["fc1"].weight is weight
    torch.testing.assert_close(weight.data, expected, rtol=0, atol=0)
    assert (model.time_emb == 7).all()
