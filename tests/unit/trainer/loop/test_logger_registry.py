"""Loggers of a configuration: which of them open, and what is said of those that cannot."""

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from tests.unit.trainer.loop.rendered import make_data
from trainer.loop.config import LogSettings, TrainConfig, WandbSettings
from trainer.loop.logger_registry import find_loggers
from trainer.loop.tensorboard_logger import TensorBoardLogger


def config(out: str = "runs/none", **logs: Any) -> TrainConfig:
    return TrainConfig(out=out, steps=1, data=make_data(), logs=LogSettings(**logs))


def test_tensorboard_writes_where_it_can(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    here, away = (lambda *names: importlib.util.spec_from_loader("tensorboardX", None)), (lambda *names: None)
    monkeypatch.setattr("trainer.loop.tensorboard_logger.find_spec", here)
    assert find_loggers(config()) == (TensorBoardLogger,)
    assert find_loggers(config(tensorboard=False)) == ()
    assert find_loggers(config("s3://bucket/run")) == ()
    with pytest.raises(ConfigError, match="logs.tensorboard: it writes to a local folder, and out is s3://bucket/run; or set it to false"):
        find_loggers(config("s3://bucket/run", tensorboard=True))
    monkeypatch.setattr("trainer.loop.tensorboard_logger.find_spec", away)
    with caplog.at_level(logging.INFO):
        assert find_loggers(config()) == ()
    assert "no TensorBoard: it needs the extra" in caplog.text
    with pytest.raises(ConfigError, match=r"logs.tensorboard: it needs the extra: .*\[train\]"):
        find_loggers(config(tensorboard=True))


def test_weights_and_biases_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match=r"logs.wandb needs the extra: .*\[wandb\]"):
        find_loggers(config(tensorboard=False, wandb=WandbSettings(project="walks")))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("lab_logging", "'lab_logging' is no place of a function; write package.module:function"),
        ("lab_nowhere:open", "lab_nowhere:open: No module named 'lab_nowhere'; install the package"),
        ("lab_logging:close", "lab_logging:close: the module has no function close; it takes a RunInfo"),
    ],
)
def test_a_logger_that_is_not_there_is_named(place: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab_logging.py").write_text("def open(run):\n    return run\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=message.replace("(", "\\(")):
        find_loggers(config(tensorboard=False, loggers=(place,)))
    monkeypatch.delitem(sys.modules, "lab_logging", raising=False)
