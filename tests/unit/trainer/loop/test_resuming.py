"""Where a run begins: at the same checkpoint in all processes, and by the same files whatever the working directory."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from networks.weights import TrainingSource
from pipeline.errors import ConfigError, FormatError
from tests.unit.trainer.loop.rendered import make_data
from trainer.data import parse_data_config
from trainer.loop.checkpoints import BestCheckpoint, RunState, read_state
from trainer.loop.config import ModelSettings, TrainConfig, config_table, stored_config_table, with_absolute_paths
from trainer.loop.resuming import check_same_start, run_start, saved_state
from trainer.loop.validation import ValidationPart, ValidationSettings

CONFIG = TrainConfig(out="runs/a", steps=4, data=make_data())
STATE = RunState(step=2, config=config_table(CONFIG), data={"step": 2}, num_guarded=0, num_skipped=0, licenses=("CC0",), start_license=None)


def test_processes_must_begin_at_the_same_step_of_the_same_run() -> None:
    here = run_start(CONFIG, STATE)
    check_same_start([here, run_start(CONFIG, replace(STATE)), here], "/runs/a")
    with pytest.raises(ConfigError, match="process 0 would go on at step 2, process 1 at step 4: .*files in /runs/a/checkpoints"):
        check_same_start([here, run_start(CONFIG, replace(STATE, step=4))], "/runs/a")
    with pytest.raises(ConfigError, match="process 2 at step 2 of another run"):
        check_same_start([here, here, run_start(CONFIG, replace(STATE, licenses=("CC BY 4.0",)))], "/runs/a")
    with pytest.raises(ConfigError, match="process 1 was given another configuration"):
        check_same_start([here, run_start(replace(CONFIG, seed=1), STATE)], "/runs/a")


def write_state(out: Path, state: RunState, version: int = 3) -> None:
    (out / "checkpoints").mkdir(exist_ok=True)
    table = {"schema_version": version, "kind": "training_state", **asdict(state)}
    for name, since in (("best", 2), ("sources", 3)):
        if version < since:
            del table[name]
    (out / f"checkpoints/{state.step:08d}.json").write_text(json.dumps(table))


def test_the_best_checkpoint_is_looked_for_anew_when_it_is_gone_or_measured_otherwise(tmp_path: Path) -> None:
    part = ValidationPart(root="/data/studio")
    config = replace(CONFIG, out=str(tmp_path), validation=ValidationSettings(parts=(part,), best="studio/ate"))
    best = BestCheckpoint(step=2, measure="studio/ate", value=0.5, averaged=False)
    after = replace(STATE, config=config_table(config), best=best)
    write_state(tmp_path, after)

    def best_for(parts: tuple[ValidationPart, ...], best: str = "studio/ate") -> BestCheckpoint | None:
        validation = ValidationSettings(parts=parts, best=best, every_steps=10)
        state = saved_state(replace(config, validation=validation), resume=True)
        assert state is not None
        return state.best

    assert best_for((part, ValidationPart(root="/data/walks"))) == best
    assert best_for((part,), best="studio/rpe_trans") is None
    assert best_for((replace(part, num_clips=17),)) is None
    (tmp_path / "checkpoints/00000002.json").unlink()
    write_state(tmp_path, replace(after, step=4))
    assert best_for((part,)) is None


def test_states_of_earlier_versions_are_read_and_newer_ones_refused(tmp_path: Path) -> None:
    for version in (1, 2):
        write_state(tmp_path, STATE, version=version)
        assert read_state(str(tmp_path), 2) == replace(STATE, config=json.loads(json.dumps(STATE.config)))
    known = replace(STATE, sources=(TrainingSource(dataset="wild", labels=("dis-flow-1a2b3c4d",)),))
    write_state(tmp_path, known)
    assert read_state(str(tmp_path), 2).sources == known.sources
    write_state(tmp_path, STATE, version=4)
    with pytest.raises(FormatError, match="has schema version 4, this trackmill reads 1 to 3; update trackmill"):
        read_state(str(tmp_path), 2)


def test_local_paths_become_absolute_and_urls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = parse_data_config({"labelled": [{"root": "data/studio"}], "pseudo": [{"root": "s3://walks/a", "labels": "x"}]})
    config = replace(CONFIG, data=data, model=ModelSettings(start="weights/a.safetensors"))
    found = with_absolute_paths(config)
    assert found.out == f"{tmp_path}/runs/a"
    assert found.model.start == f"{tmp_path}/weights/a.safetensors"
    assert found.data.labelled is not None
    assert found.data.pseudo is not None
    assert [mixture.parts[0][0].root for mixture in (found.data.labelled, found.data.pseudo)] == [f"{tmp_path}/data/studio", "s3://walks/a"]
    urls = replace(config, out="s3://runs/a", model=ModelSettings(start="hf://yyfz233/Pi3/model.safetensors"))
    assert (with_absolute_paths(urls).out, with_absolute_paths(urls).model) == (urls.out, urls.model)
    recorded = stored_config_table(config_table(config))  # a run from when they were kept as they were given goes on here
    assert recorded == {**config_table(found), "out": config.out}
