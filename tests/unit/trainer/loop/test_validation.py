"""What validation is asked for: mistakes are named before the first step, and clips that fail end nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from networks import build_model
from pipeline.errors import ConfigError, StorageError
from tests.exported_dataset import Clip, write_root
from tests.tiny_network import TINY
from tests.unit.networks.track4world.test_network import ALONE
from trainer.evaluation import EvaluationSettings
from trainer.families import family_of
from trainer.loop import read_config
from trainer.loop.checkpoints import Learner
from trainer.loop.config import config_table, with_absolute_paths
from trainer.loop.step_report import ProcessRank
from trainer.loop.validation import Validation, ValidationPart, ValidationSettings, check_validation

TINY_STAGE = Path(__file__).parents[4] / "configs/tiny.yaml"
ALONE_ON_CPU = ProcessRank(device=torch.device("cpu"))
POSES = EvaluationSettings(protocols=("poses",), pixel_budget=1600)


def read(tmp_path: Path, validation: Any) -> Any:
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(TINY_STAGE.read_text()), "validation": validation}))
    return read_config(path)


def test_a_file_s_parts_are_measured_at_the_size_of_the_training_and_survive_writing(tmp_path: Path) -> None:
    part = {"root": "data/studio", "num_clips": 8, "evaluation": {"protocols": ["poses"]}}
    config = read(
        tmp_path, {"every_steps": 50, "best": "studio/ate", "parts": [part, {"root": "walks", "evaluation": {"pixel_budget": 900}}]}
    )
    first, second = config.validation.parts
    assert (first.dataset, first.split, first.num_clips, first.evaluation.protocols) == ("studio", "val", 8, ("poses",))
    assert (first.evaluation.pixel_budget, second.evaluation.pixel_budget) == (4800, 900)
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(config_table(config)))
    assert read_config(tmp_path / "again.yaml") == config
    assert with_absolute_paths(config).validation.parts[0].root == str(Path("data/studio").absolute())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"best": "studio/eta"},
            "validation: best is 'studio/eta', expected PART/MEASURE of what is measured: studio/ate, studio/rpe_trans",
        ),
        ({"best": "studio/abs_rel_scale"}, "best is 'studio/abs_rel_scale'"),  # of a protocol that is not asked for
        ({"parts": []}, "0 parts, every_steps 1000"),
        ({"parts": [{"root": "a/x"}, {"root": "b/x"}]}, "more than one of them called x; set their `name`"),
        ({"parts": [{"root": "a", "name": "b/c"}]}, "the name b/c has a slash"),
        ({"parts": [{"root": "a", "num_clips": 0}]}, "num_clips is 0"),
        ({"parts": [{"root": "a", "clips": 3}]}, "validation.parts.0 has no clips; it has root"),
    ],
)
def test_mistakes_are_named(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, {"parts": [{"root": "studio", "evaluation": {"protocols": ["poses"]}}], **changed})
    assert message in str(error.value)


def test_measures_must_be_the_model_s() -> None:
    tracks = EvaluationSettings(protocols=("tracks3d",))
    by_tracks = ValidationSettings(parts=(ValidationPart(root="x", evaluation=tracks),), best="x/world_apd")
    with torch.device("meta"):
        models = {"pi3": build_model("pi3", TINY), "trajvg": build_model("trajvg", TINY), "track4world": build_model("track4world", ALONE)}
    check_validation(by_tracks, family_of("trajvg"), models["trajvg"])
    with pytest.raises(ConfigError, match="best is x/world_apd, and this model tracks nothing"):
        check_validation(by_tracks, family_of("pi3"), models["pi3"])
    with pytest.raises(
        ConfigError, match="geometry from the model, and this model has none of its own: set its evaluation.geometry to truth"
    ):
        check_validation(by_tracks, family_of("track4world"), models["track4world"])
    over_truth = replace(by_tracks, parts=(ValidationPart(root="x", evaluation=replace(tracks, geometry="truth")),))
    check_validation(over_truth, family_of("track4world"), models["track4world"])
    with pytest.raises(ConfigError, match="geometry from the truth, and this model has its own"):
        check_validation(over_truth, family_of("trajvg"), models["trajvg"])


def test_clips_that_cannot_be_measured_are_counted_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_root(tmp_path / "studio", [Clip(key=f"s{shard}c0", split="val") for shard in range(3)])
    (tmp_path / "studio/shards/000001.tar").unlink()
    settings = ValidationSettings(parts=(ValidationPart(root=root, evaluation=POSES),))
    validation = Validation(settings, ALONE_ON_CPU, "float32")
    model = build_model("pi3", TINY, generator=torch.Generator().manual_seed(0))
    learner = Learner(model=model, optimiser=torch.optim.AdamW(model.parameters()), average=None)
    before = torch.get_rng_state()
    (row,) = validation.measure(learner, 10)
    assert torch.equal(torch.get_rng_state(), before)
    assert (row.step, row.part, row.averaged, row.num_clips, row.num_failed) == (10, "studio", False, 2, 1)
    assert row.clips_where_defined["rpe_rot_deg"] == 2
    assert "skipped: " in caplog.text
    assert "shard 000001, clip s1c0" in caplog.text
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)  # training has diverged
    (row,) = validation.measure(learner, 20)
    assert (row.num_clips, row.num_failed, row.measures) == (0, 3, {})


def test_a_dataset_that_is_not_there_or_has_no_such_clips_is_refused(tmp_path: Path) -> None:
    root = write_root(tmp_path / "studio", [Clip(key="s0c0", split="train")])
    with pytest.raises(ConfigError, match=r"validation: part studio \(.*\): the plan holds no clip to stream; check the split"):
        Validation(ValidationSettings(parts=(ValidationPart(root=root),)), ALONE_ON_CPU, "float32")
    with pytest.raises(StorageError, match="nowhere"):
        Validation(ValidationSettings(parts=(ValidationPart(root=str(tmp_path / "nowhere")),)), ALONE_ON_CPU, "float32")
