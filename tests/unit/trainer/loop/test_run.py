"""Whole runs on made-up clips: what goes on after a kill is what would have gone on, and bad clips do no harm."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jobs.evaluating.model_job import ModelEvaluatingConfig, evaluate_models
from networks.weights import TrainingShape, load_model, read_weights, training_shape_of
from pipeline import storage
from pipeline.errors import ConfigError, StorageError
from tests.exported_dataset import Clip, write_root
from tests.unit.trainer.loop.rendered import TINY, Planes, make_data
from trainer.data import StepBatch, parse_data_config
from trainer.evaluation import EvaluationSettings, summarise
from trainer.families.trajvg import TrajVGLosses
from trainer.loop import RunInfo, TrainOutcome, read_journal, read_validation, train
from trainer.loop.checkpoints import checkpoint_steps, read_state
from trainer.loop.config import CheckpointSettings, LogSettings, ModelSettings, TrainConfig, config_table
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.resuming import saved_state
from trainer.loop.step_report import ProcessRank, StepReport
from trainer.loop.validation import ValidationPart, ValidationSettings

STEPS = 5
BEST_BY = "abs_rel_scale"
FORKED = multiprocessing.get_context("forkserver")  # its processes are copies of one that has loaded torch, and has computed nothing
FORKED.set_forkserver_preload(["tests.unit.trainer.loop.rendered", "trainer.loop"])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_config(out: Path, **changes: object) -> TrainConfig:
    config = TrainConfig(
        out=str(out),
        steps=STEPS,
        data=make_data(),
        model=ModelSettings(config=TINY),
        frozen=("conf_decoder", "conf_head"),
        ema_decay=0.5,
        checkpoints=CheckpointSettings(every_steps=2, keep=2),
        optimiser=OptimiserSettings(learning_rate=1e-3, encoder_learning_rate=1e-3),
        loss_guard=None,
        logs=LogSettings(tensorboard=False),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def run(config: TrainConfig, **options: object) -> TrainOutcome:
    return train(config, ProcessRank(device=torch.device("cpu")), **{"open_batches": Planes, **options})  # type: ignore[arg-type]


def losses(out: Path) -> list[float]:
    return [row["loss"] for row in read_journal(str(out))]


def make_validation(root: str) -> ValidationSettings:
    evaluation = EvaluationSettings(protocols=("poses", "video_depth"), pixel_budget=1500)
    return ValidationSettings(
        parts=(ValidationPart(root=root, num_clips=4, evaluation=evaluation),), every_steps=2, best=f"studio/{BEST_BY}"
    )


def kill_while_writing(out: str, root: str) -> None:
    """In a process of its own: train, and die in the step after the fourth, of which all is written but the state."""
    torch.set_num_threads(1)
    publish, written = storage.publish_bytes, threading.Event()

    def slow(uri: str, data: bytes) -> None:
        if uri.endswith("00000004.json"):
            written.set()
            threading.Event().wait()
        publish(uri, data)

    def die(report: StepReport) -> None:
        if report.step == 4:
            written.wait()
            os.kill(os.getpid(), signal.SIGKILL)

    storage.publish_bytes = slow
    run(make_config(Path(out), validation=make_validation(root)), on_step=die)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    torch.set_num_threads(1)
    run(make_config(out))
    return out


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five clips of the split val, one of them without truth, and one to train on."""
    clips = [Clip(key=f"s0c{number}", split="train" if number == 1 else "val", truth=number != 2) for number in range(6)]
    return write_root(tmp_path_factory.mktemp("roots") / "studio", clips)


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory, studio: str) -> Path:
    out = tmp_path_factory.mktemp("validated")
    torch.set_num_threads(1)
    run(make_config(out, validation=make_validation(studio)))
    return out


def test_validation_moves_no_weight_and_finds_what_evaluate_finds(undisturbed: Path, validated: Path, studio: str) -> None:
    name = f"checkpoints/{STEPS:08d}"
    for kind in ("safetensors", "average.safetensors", "optimiser.safetensors"):
        assert (validated / f"{name}.{kind}").read_bytes() == (undisturbed / f"{name}.{kind}").read_bytes()
    assert losses(validated) == losses(undisturbed)
    rows = read_validation(str(validated))
    assert [(row["step"], row["part"], row["averaged"]) for row in rows] == [(step, "studio", True) for step in (2, 4, 5)]
    assert (rows[-1]["num_clips"], rows[-1]["num_left_out"], rows[-1]["num_failed"]) == (3, 1, 0)
    part = make_validation(studio).parts[0]
    found = evaluate_models(
        ModelEvaluatingConfig(
            root=studio, checkpoints=(str(validated / f"{name}.average.safetensors"),), split="val", limit=4, settings=part.evaluation,
            device="cpu",
        )
    )  # fmt: skip
    means = {name: mean.value for name, mean in summarise(found.subjects[0].clips).items() if mean.num_defined}
    assert rows[-1]["measures"] == means
    assert {"rpe_rot_deg", "auc_30", "abs_rel_scale"} <= set(means)


def test_the_best_checkpoint_is_the_one_with_the_lowest_error(validated: Path) -> None:
    lowest = min(read_validation(str(validated)), key=lambda row: row["measures"][BEST_BY])
    found = json.loads((validated / "checkpoints/best.json").read_text())
    assert (found["step"], found["value"], found["measure"]) == (
        lowest["step"],
        lowest["measures"][BEST_BY],
        f"studio/{BEST_BY}",
    )
    assert (validated / "checkpoints" / found["weights"]).is_file()
    assert found["weights"] == f"{found['step']:08d}.average.safetensors"
    state = read_state(str(validated), STEPS)
    assert state.best is not None
    assert state.best.step == found["step"]


def test_checkpoints_tell_on_what_shape_of_clips_they_were_trained(undisturbed: Path) -> None:
    data = make_data()
    expected = TrainingShape(frames=data.shape.frames, pixels=data.shape.pixels, aspect=data.shape.aspect, strides=data.augment.strides)
    for ending in ("", ".average"):
        file = read_weights(str(undisturbed / f"checkpoints/{STEPS:08d}{ending}.safetensors"))
        assert training_shape_of(file) == expected


def test_a_run_killed_while_it_writes_goes_on_as_if_nothing_had_happened(tmp_path: Path, validated: Path, studio: str) -> None:
    killed = FORKED.Process(target=kill_while_writing, args=(str(tmp_path), studio))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert checkpoint_steps(str(tmp_path)) == [2]
    assert (tmp_path / "checkpoints/00000004.optimiser.safetensors").exists()  # and a step was taken since
    assert [row["step"] for row in read_validation(str(tmp_path))] == [2, 4]
    outcome = run(make_config(tmp_path, validation=make_validation(studio)), resume=True)
    assert outcome.resumed_from == 2
    assert losses(tmp_path) == losses(validated)  # to the last bit
    assert read_validation(str(tmp_path)) == read_validation(str(validated))
    names = [f"{STEPS:08d}.{kind}" for kind in ("safetensors", "average.safetensors", "optimiser.safetensors")]
    for name in (*names, "best.json"):
        assert (tmp_path / "checkpoints" / name).read_bytes() == (validated / "checkpoints" / name).read_bytes()


def test_what_a_run_leaves_behind(undisturbed: Path) -> None:
    assert checkpoint_steps(str(undisturbed)) == [4, 5]  # of 2, 4 and 5 the newest two
    assert len(list((undisturbed / "checkpoints").iterdir())) == 8
    state = read_state(str(undisturbed), STEPS)
    assert (state.data, state.licenses, state.num_skipped) == ({"step": STEPS}, ("CC0",), 0)
    trained, average = (load_model(str(undisturbed / f"checkpoints/{STEPS:08d}{kind}.safetensors")) for kind in ("", ".average"))
    fresh = torch.nn.Module.state_dict(trained)
    assert not torch.equal(fresh["decoder.0.attn.qkv.weight"], average.state_dict()["decoder.0.attn.qkv.weight"])
    assert torch.equal(fresh["conf_head.upsample_blocks.0.0.0.weight"], average.state_dict()["conf_head.upsample_blocks.0.0.0.weight"])


def test_a_run_is_not_written_over_nor_resumed_as_another(undisturbed: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run of 5 steps; go on with --resume"):
        run(make_config(undisturbed))
    with pytest.raises(ConfigError, match="trained with another optimiser"):
        run(make_config(undisturbed, optimiser=OptimiserSettings(learning_rate=2e-3)), resume=True)
    done = run(make_config(undisturbed, logs=LogSettings(every_steps=3, tensorboard=False)), resume=True)  # how it is watched may change
    assert (done.steps, done.resumed_from) == (STEPS, STEPS)


def test_a_run_from_before_there_was_a_fit_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    data = parse_data_config({"labelled": [{"root": "data/none", "size": [28, 28]}], "pseudo": [{"root": "data/wild", "labels": "x"}]})
    config = make_config(tmp_path, data=data)
    name = f"checkpoints/{STEPS:08d}.json"
    state = json.loads((undisturbed / name).read_text())
    state["config"] = config_table(config)
    assert [part.pop("fit") for side in ("labelled", "pseudo") for part in state["config"]["data"][side]] == ["stretch", "crop"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / name).write_text(json.dumps(state))
    assert saved_state(config, resume=True).step == STEPS  # type: ignore[union-attr]
    cropped = parse_data_config({"labelled": [{"root": "data/none", "size": [28, 28], "fit": "crop"}]})
    with pytest.raises(ConfigError, match="trained with another data"):
        saved_state(make_config(tmp_path, data=cropped), resume=True)


def test_a_checkpoint_that_cannot_be_written_ends_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints/00000002.average.safetensors/in_the_way").mkdir(parents=True)
    steps = list[int]()
    with pytest.raises(StorageError, match=r"cannot write .*checkpoints/00000002\.average\.safetensors"):
        run(make_config(tmp_path, steps=50), on_step=lambda report: steps.append(report.step))
    assert steps[-1] < 4  # before the next checkpoint was due
    assert checkpoint_steps(str(tmp_path)) == []


class Broken(Planes):
    """The second step has a NaN in the truth of its second labelled clip."""

    def __iter__(self) -> Iterator[StepBatch]:
        for batch in super().__iter__():
            assert batch.labelled is not None
            assert batch.labelled.geometry is not None
            if batch.step == 1:
                batch.labelled.geometry.camera_to_world[1, 1, 0, 3] = torch.nan
            yield batch


def test_a_clip_without_a_loss_costs_its_step_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outcome = run(make_config(tmp_path, steps=3), open_batches=Broken)
    assert outcome.num_skipped == 1
    assert outcome.last_loss is not None
    assert "step 1: skipped: the loss is nan; clips: labelled-2-1 (" in caplog.text
    assert "geometry/camera" in caplog.text
    rows = read_journal(str(tmp_path))
    assert [row["outcome"] for row in rows] == ["stepped", "skipped", "stepped"]
    assert rows[1]["loss"] is None


class OneSided(Planes):
    """Only pseudo tracks, then nothing at all."""

    def __iter__(self) -> Iterator[StepBatch]:
        for batch in super().__iter__():
            yield replace(batch, labelled=None, pseudo=batch.pseudo if batch.step == 0 else None)


def test_batches_without_labels_and_without_anything(tmp_path: Path) -> None:
    outcome = run(make_config(tmp_path, steps=2), open_batches=OneSided)
    assert outcome.num_skipped == 1
    first, second = read_journal(str(tmp_path))
    assert {name.split("/")[0] for name in first["terms"]} == {"self"}
    assert second["reason"] == "no clip of this step could be read"


def test_a_loss_beyond_the_guard_moves_nothing(tmp_path: Path) -> None:
    outcome = run(make_config(tmp_path, steps=1, loss_guard=1e-3))
    assert outcome.num_guarded == 1
    row = read_journal(str(tmp_path))[0]
    assert (row["outcome"], row["gradient_norm"]) == ("guarded", 0.0)


def test_a_step_tells_what_it_cost(undisturbed: Path) -> None:
    rows = read_journal(str(undisturbed))
    for row in rows:
        assert set(row["parts_s"]) == {"data", "transfer", "forward", "backward", "optimiser"}
        assert 0 < sum(row["parts_s"].values()) <= row["step_s"]
        assert sum(norm**2 for norm in row["gradient_norms"].values()) == pytest.approx(row["gradient_norm"] ** 2, rel=1e-4)
        assert row["peak_memory_mb"] > 0
    assert {"encoder", "decoder", "track_head"} <= set(rows[0]["gradient_norms"])
    assert not {"conf_decoder", "conf_head"} & set(rows[0]["gradient_norms"])  # they are frozen
    assert rows[0]["tflops"] > 0
    assert {row["mfu"] for row in rows} == {None}  # the peak of a CPU is not known
    assert [row["tflops"] for row in rows[1:]] == [None] * (STEPS - 1)  # the next point of the curves is step 10's


class Skipping(Planes):
    """A clip of the dataset "none" is skipped in every step."""

    def __iter__(self) -> Iterator[StepBatch]:
        for batch in super().__iter__():
            yield replace(batch, skipped=("none",), transfer_s=0.0)


LOGGED: list[tuple[str, int, dict[str, float]]] = []


class KeptLogger:
    """A logger of one's own, named in the configuration below; it keeps what it is given in `LOGGED`."""

    def __init__(self, run: RunInfo) -> None:
        LOGGED[:] = [("opened", run.first_step, {"steps": run.config["steps"]})]

    def add_values(self, values: Mapping[str, float], step: int) -> None:
        LOGGED.append(("values", step, dict(values)))

    def add_pictures(self, pictures: Mapping[str, np.ndarray], step: int) -> None:
        assert {(picture.dtype.name, picture.ndim, picture.shape[2]) for picture in pictures.values()} == {("uint8", 3, 3)}
        LOGGED.append(("pictures", step, dict.fromkeys(pictures, 0.0)))

    def close(self, *, failed: bool) -> None:
        LOGGED.append(("closed", -1, {"failed": float(failed)}))


def test_a_logger_of_one_s_own_gets_curves_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lab_logging", sys.modules[__name__])
    logs = LogSettings(tensorboard=False, every_steps=2, pictures_every_steps=5, loggers=("lab_logging:KeptLogger",), peak_tflops=1e-3)
    run(make_config(tmp_path, steps=3, logs=logs), open_batches=Skipping)
    assert [(what, step) for what, step, _ in LOGGED] == [
        ("opened", 0), ("values", 0), ("pictures", 0), ("pictures", 0), ("values", 2), ("closed", -1),
    ]  # fmt: skip
    first, second = (values for what, _, values in LOGGED if what == "values")
    rows = read_journal(str(tmp_path))
    assert first["total"] == rows[0]["loss"]
    assert second["loss/geometry/points"] == rows[2]["terms"]["geometry/points"]
    assert second["gradient_norm/encoder"] == rows[2]["gradient_norms"]["encoder"]
    assert second["step/tflops_per_s"] == rows[2]["tflops"] / rows[2]["step_s"]
    assert second["step/mfu"] == pytest.approx(second["step/tflops_per_s"] / 1e-3)
    assert {"seconds/data", "seconds/backward", "step/peak_memory_mb", "step/learning_rate"} <= set(second)
    assert (first["skipped_clips/none"], second["skipped_clips/none"]) == (1, 2)  # since the point before
    assert [row["skipped_clips"] for row in rows] == [{"none": 1}] * 3
    assert {"labelled/depth", "pseudo/frames"} <= {name for what, _, names in LOGGED if what == "pictures" for name in names}
    assert LOGGED[-1][2] == {"failed": 0}


def test_a_run_that_is_done_opens_no_logger(undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lab_logging", sys.modules[__name__])
    out = shutil.copytree(undisturbed, tmp_path / "run")
    LOGGED.clear()
    run(make_config(out, logs=LogSettings(tensorboard=False, loggers=("lab_logging:KeptLogger",))), resume=True)
    assert LOGGED == []


def test_a_logger_is_told_that_the_run_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(report: StepReport) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setitem(sys.modules, "lab_logging", sys.modules[__name__])
    logs = LogSettings(tensorboard=False, pictures_every_steps=5, loggers=("lab_logging:KeptLogger",))
    with pytest.raises(RuntimeError, match="out of luck"):
        run(make_config(tmp_path, steps=2, logs=logs), on_step=stop)
    assert LOGGED[-1] == ("closed", -1, {"failed": 1.0})


def test_tensorboard_gets_curves_and_pictures(tmp_path: Path, studio: str) -> None:
    pytest.importorskip("tensorboardX")
    logs = LogSettings(every_steps=1, pictures_every_steps=1)  # it is there, so it writes
    run(make_config(tmp_path, steps=1, logs=logs, validation=make_validation(studio)))
    written = next((tmp_path / "tensorboard").iterdir()).read_bytes()
    assert all(name in written for name in (b"loss/geometry/points", b"step/share_waiting_for_data", b"labelled/depth", b"pseudo/frames"))
    assert b"validation/studio/abs_rel_scale" in written
    assert written.count(b"\x89PNG") == 8


def test_losses_are_of_the_model_s_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="losses are TrajVGLosses, expected Pi3Losses, of model pi3"):
        make_config(tmp_path, model=ModelSettings(name="pi3", config=TINY), losses=TrajVGLosses())
    with pytest.raises(
        ConfigError, match="'dust3r' cannot be trained; models that can are cotracker3-offline, cotracker3-online, pi3, pi3x, st4rtrack,"
    ):
        make_config(tmp_path, model=ModelSettings(name="dust3r"), losses=None)
