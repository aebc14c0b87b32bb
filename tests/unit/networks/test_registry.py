"""Names, and the networks behind them."""

import subprocess
import sys

import pytest
import torch

from networks import MODELS, build_model, model_name
from networks.pi3 import expect_backbone
from pipeline.errors import ConfigError


def test_importing_the_room_loads_no_torch():
    program = "import sys, networks; print(sorted({'torch', 'ray', 'av', 'labelers', 'trainer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", MODELS)
def test_every_name_builds_a_network_that_bears_it(name):
    with torch.device("meta"):
        model = build_model(name)
    assert model_name(model) == name
    with torch.device("meta"):
        assert build_model(name, model.sizes()).config == model.config


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(
        ConfigError,
        match="there is no model 'vggt'; there are pi3, pi3x, trajvg, cotracker3-offline, cotracker3-online, dust3r, mast3r, st4rtrack",
    ):
        build_model("vggt")


def test_where_point_maps_are_needed_a_tracker_is_refused():
    with torch.device("meta"):
        model = build_model("cotracker3-online")
    with pytest.raises(ConfigError, match="cotracker3-online gives no point maps; take pi3, pi3x or trajvg"):
        expect_backbone(model)


def test_a_fresh_cotracker3_is_drawn_from_its_generator_alone():
    before = torch.random.get_rng_state()
    model = build_model("cotracker3-online", generator=torch.Generator().manual_seed(3))
    assert torch.equal(before, torch.random.get_rng_state())
    drawn = {name: entry.clone() for name, entry in model.state_dict().items()}
    with torch.no_grad():
        for entry in model.state_dict().values():
            entry.fill_(torch.nan)
    model.initialise(torch.Generator().manual_seed(3))
    torch.testing.assert_close(dict(model.state_dict()), drawn, rtol=0, atol=0)
    assert drawn["updateformer.flow_head.weight"].std() < 2e-3  # the first steps are small
    assert not torch.equal(drawn["fnet.conv1.weight"], build_model("cotracker3-online").state_dict()["fnet.conv1.weight"])
