"""Weights & Biases: what the service's package is asked for, by a stand-in that keeps it, since the package is not installed here."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError
from trainer.loop.config import WandbSettings
from trainer.loop.loggers import RunInfo
from trainer.loop.wandb_logger import wandb_opener


class Run:
    def __init__(self, **asked: Any) -> None:
        self.asked, self.rows, self.axes, self.exit_code = asked, [], [], None

    def define_metric(self, name: str, step_metric: str | None = None) -> None:
        self.axes.append((name, step_metric))

    def log(self, row: dict[str, Any]) -> None:
        self.rows.append(row)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    stand_in = ModuleType("wandb")
    stand_in.__dict__.update(init=Run, Image=lambda picture: SimpleNamespace(picture=picture), Error=type("Error", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


def info(out: Path | str, first_step: int = 0) -> RunInfo:
    return RunInfo(out=str(out), first_step=first_step, config={"steps": 7})


@pytest.mark.usefixtures("package")
def test_a_run_is_opened_as_asked_and_goes_on_under_its_id(tmp_path: Path) -> None:
    settings = WandbSettings(project="walks", entity="lab", tags=("tiny",), mode="offline")
    first, again = (wandb_opener(settings)(info(tmp_path, step))._run.asked for step in (0, 4))
    expected = {"project": "walks", "entity": "lab", "name": None, "group": None, "tags": ["tiny"], "mode": "offline"}
    assert first == expected | {"id": first["id"], "resume": "allow", "dir": str(tmp_path), "config": {"steps": 7}}
    assert again["id"] == first["id"] == (tmp_path / "wandb_run_id.txt").read_text()
    assert wandb_opener(settings)(info(tmp_path / "other"))._run.asked["id"] != first["id"]
    assert wandb_opener(WandbSettings(project="walks"))(info(tmp_path))._run.asked["mode"] is None  # as WANDB_MODE says
    assert wandb_opener(settings)(info("memory://run"))._run.asked["dir"] is None


@pytest.mark.usefixtures("package")
def test_curves_and_pictures_lie_along_the_steps_of_training(tmp_path: Path) -> None:
    logger = wandb_opener(WandbSettings(project="walks"))(info(tmp_path))
    logger.add_values({"total": 0.5}, 20)
    picture = np.zeros((2, 3, 3), np.uint8)
    logger.add_pictures({"labelled/depth": picture}, 20)
    logger.close(failed=True)
    run = logger._run
    assert run.axes == [("step", None), ("*", "step")]
    assert run.rows[0] == {"total": 0.5, "step": 20}
    assert (run.rows[1]["labelled/depth"].picture is picture, run.rows[1]["step"]) == (True, 20)
    assert run.exit_code == 1


def test_what_the_service_refuses_is_said_with_the_remedy(tmp_path: Path, package: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**asked: Any) -> None:
        raise package.Error("No API key configured.")

    monkeypatch.setattr(package, "init", refuse)
    with pytest.raises(ConfigError, match="logs.wandb: No API key configured; run `wandb login`, or set logs.wandb.mode to offline"):
        wandb_opener(WandbSettings(project="walks"))(info(tmp_path))
