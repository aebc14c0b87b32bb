"""Configurations: what ships is understood, what is wrong is named."""

from pathlib import Path

import pytest
import torch
import yaml

from networks import build_model
from pipeline.errors import ConfigError
from trainer.data.config import ShapeConfig
from trainer.families import family_of
from trainer.families.trajvg import TrajVGLosses
from trainer.loop import read_config
from trainer.loop.config import config_table, stored_config_table
from trainer.loop.optimisation import freeze
from trainer.loop.run import check_image_sizes
from trainer.loop.train_step import make_objective

CONFIGS = Path(__file__).parents[4] / "configs"
STAGES = (
    "tiny",
    "small",
    "trajvg_stage1",
    "trajvg_stage2",
    "trajvg_stage3",
    "st4rtrack_tiny",
    "st4rtrack_pair",
    "st4rtrack_sequence",
    "st4rtrack_adapt",
    "track4world_tiny",
    "track4world_geometry",
    "track4world_motion",
    "cotracker3_student",
    "cotracker3_tiny",
    "tracker_small",
)


@pytest.mark.parametrize("name", STAGES)
def test_shipped_stages_fit_their_network_and_survive_writing(name: str, tmp_path: Path) -> None:
    config = read_config(CONFIGS / f"{name}.yaml")
    with torch.device("meta"):
        model = build_model(config.model.name, config.model.config)
    check_image_sizes(family_of(config.model.name), model, config.data.shape, config.loss_settings)
    freeze(model, config.frozen)
    make_objective(model, config)
    again = tmp_path / "config.yaml"
    again.write_text(yaml.safe_dump(config_table(config)))
    assert read_config(again) == config


def test_the_student_s_variant_is_one_key_that_brings_its_own_weights() -> None:
    names = ("cotracker3-online", "cotracker3-offline")
    starts = [read_config(CONFIGS / "cotracker3_student.yaml", [f"model.name={name}"]).model.start for name in names]
    assert starts == [f"hf://facebook/cotracker3/baseline_{variant}.pth" for variant in ("online", "offline")]
    with pytest.raises(ConfigError, match="has weights for cotracker3-online, cotracker3-offline, and model.name is pi3"):
        read_config(CONFIGS / "cotracker3_student.yaml", ["model.name=pi3", "losses=null"])


def test_images_too_small_for_the_tracker_are_refused_before_the_first_step() -> None:
    coarse = ["model.config.track_head.corr_levels=4", "model.config.track_head.k_neighbors=8"]
    config = read_config(CONFIGS / "tiny.yaml", coarse)
    with torch.device("meta"):
        model = build_model("trajvg", config.model.config)
    small = ShapeConfig(pixels=(1500, 4300), aspect=(1.0, 2.0))
    with pytest.raises(ConfigError, match=r"steps may draw images of 49 x 28 pixels; .*fewer than its 8 neighbours.*raise pixels\[0\]"):
        check_image_sizes(family_of("trajvg"), model, small, TrajVGLosses())
    without = TrajVGLosses(tracking=None, coupling=None, self_supervised=None)
    check_image_sizes(family_of("trajvg"), model, small, without)


def test_images_below_one_patch_of_the_network_are_refused_before_the_first_step() -> None:
    config = read_config(CONFIGS / "trajvg_stage1.yaml")
    with torch.device("meta"):
        model = build_model("trajvg", config.model.config)
    with pytest.raises(
        ConfigError, match=r"data.shape: pixels is \(195, 1000\), expected \(least, most\) of at least 196: one patch of 14 x 14"
    ):
        check_image_sizes(family_of("trajvg"), model, ShapeConfig(pixels=(195, 1000)), config.loss_settings)


def test_the_third_stage_trains_confidence_and_tracks_alone() -> None:
    config = read_config(CONFIGS / "trajvg_stage3.yaml")
    with torch.device("meta"):
        model = build_model("trajvg", config.model.config)
    freeze(model, config.frozen)
    learning = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning == {"conf_decoder", "conf_head", "track_decoder", "track_head"}


def test_a_shipped_stage_is_found_by_its_name_and_a_file_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config("tiny") == read_config("tiny.yaml") == read_config(CONFIGS / "tiny.yaml")
    own = yaml.safe_load((CONFIGS / "tiny.yaml").read_text()) | {"steps": 7}
    Path("tiny.yaml").write_text(yaml.safe_dump(own))
    assert read_config("tiny.yaml").steps == 7  # a file that is there comes first
    assert read_config("tiny").steps != 7


@pytest.mark.parametrize("given", ["tyni", "own/tiny", "configs/tyni.yaml"])
def test_an_unknown_stage_lists_the_shipped_ones(given: str) -> None:
    with pytest.raises(ConfigError, match="there is no file") as error:
        read_config(given)
    assert str(error.value).endswith("shipped configurations: " + ", ".join(sorted(STAGES)))


def test_a_stored_run_from_before_accumulation_and_image_budgets_had_neither() -> None:
    table = config_table(read_config("tiny"))
    del table["accumulate"], table["data"]["max_images"]
    stored = stored_config_table(table)
    assert (stored["accumulate"], stored["data"]["max_images"]) == (1, None)


def test_single_values_can_be_changed() -> None:
    changes = ["steps=7", "data.labelled.0.root=/data/mine", "losses.self_supervised=null", "optimiser.betas=[0.9, 0.99]"]
    config = read_config(CONFIGS / "tiny.yaml", changes)
    assert (config.steps, config.losses.self_supervised, config.optimiser.betas) == (7, None, (0.9, 0.99))
    assert config.data.labelled is not None
    assert config.data.labelled.parts[0][0].root == "/data/mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimiser.learning_rate=1e-4", "optimiser.learning_rate is '1e-4', expected a number; YAML reads 1e-4 as text, write 1.0e-4"),
        ("losses.coupling.weigth=1", "losses.coupling has no weigth; it has consistency_points"),
        ("steps=0", "steps is 0"),
        ("steps", "expected NAME.NAME=VALUE"),
        ("data.labelled.3.root=x", "3 is no entry of a list of 1"),
        ("precision=float16", "expected one of float32, bfloat16"),
        ("losses.geometry.points=-1", "losses.geometry: weight of points is -1.0"),
    ],
)
def test_what_is_wrong_is_named(change: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config(CONFIGS / "tiny.yaml", [change])
    assert message in str(error.value)
