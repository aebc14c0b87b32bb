"""Where a run begins: at the same checkpoint in all processes, and by the same files whatever the working directory."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from tests.unit.trainer.loop.rendered import make_data
from trainer.data import parse_data_config
from trainer.loop.checkpoints import RunState
from trainer.loop.config import ModelSettings, TrainConfig, config_table, stored_config_table, with_absolute_paths
from trainer.loop.resuming import check_same_start, run_start

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
