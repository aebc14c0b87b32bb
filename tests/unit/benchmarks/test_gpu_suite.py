"""The GPU suite at toy sizes on the CPU, all parts in this process, and what it says when a part fails."""

import functools
import json
import sys
from types import ModuleType

import pytest
import torch
import typer
from typer.testing import CliRunner


@pytest.fixture
def suite(_beside_the_benchmarks) -> ModuleType:
    import gpu_suite

    return gpu_suite


@pytest.fixture
def run_here(suite):
    from gpu_suite_part import run_here

    return lambda part, options, limit_s: run_here(part, options)


def test_all_parts_run_and_agree_with_their_references(suite, run_here, monkeypatch, tmp_path, capsys) -> None:
    import formula_weights

    monkeypatch.setattr(formula_weights, "_value", functools.cache(formula_weights._value))  # nine networks have the same weights
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda part, **options: compiled.append(part))  # a compiler would take minutes
    monkeypatch.setattr("networks.layers.compiling._check_compiler", lambda: None)
    options = suite.SuiteOptions(device="cpu", toy=True, repeats=1, peak_tflops=2.0)
    went_well = suite.run_suite(list(suite.PARTS), options, tmp_path, limit_s=1e6, run=run_here)
    found = json.loads((tmp_path / "gpu_suite.json").read_text())
    assert found["faults"] == []
    assert went_well
    rows = {part["part"]: part["rows"] for part in found["parts"]}
    assert list(rows) == list(suite.PARTS)
    assert all(rows.values())
    assert all(row["differences"]["track px"] < 1e-3 for row in rows["cotracker3-parity"])
    assert len(compiled) > 3 + 9  # the parts of one network, and the blocks of another
    assert [row["precision"] for row in rows["cotracker3-speed"] if row["speed"] is not None] == ["float32", "bfloat16"]
    assert len(rows["trajvg-step"]) == len(rows["trajvg-compiled"]) == 2
    for row in rows["trajvg-step"] + rows["trajvg-compiled"]:
        assert row["precision"] == "bfloat16"
        assert row["tflops_per_s"] == pytest.approx(row["details"]["model_tflops"] / row["seconds"]["median"])
        assert row["mfu"] == pytest.approx(row["tflops_per_s"] / 2.0)
        assert set(row["details"]["parts_s"][0]) >= {"forward", "backward", "optimiser"}
    alone, together = rows["ddp"]
    assert alone["differences"] == together["differences"] == {"loss": 0.0, "gradient": 0.0}
    assert together["details"]["share_of_gradients_not_zero"] > 0.5
    assert rows["st4rtrack"][-1]["differences"]["largest"] < 1e-4
    text = (tmp_path / "gpu_suite.md").read_text()
    assert text in capsys.readouterr().out
    assert "Nothing failed." in text
    assert "No MFU" not in text
    assert [line.split(" | ")[0][2:] for line in text.splitlines() if line.startswith("| ")][2:] == [
        part for part in rows for _ in rows[part]
    ]


def test_a_part_that_fails_is_shown_and_the_others_go_on(suite, run_here, tmp_path) -> None:
    toy, nowhere = suite.SuiteOptions(device="cpu", toy=True, repeats=1), suite.SuiteOptions(device="nowhere")

    def run(part, options, limit_s):
        return run_here(part, nowhere if part == "track4world" else options, limit_s)

    assert not suite.run_suite(["track4world", "st4rtrack"], toy, tmp_path, limit_s=60.0, run=run)
    broken, whole = json.loads((tmp_path / "gpu_suite.json").read_text())["parts"]
    assert broken["error"].startswith("RuntimeError: ")
    assert "Traceback" in broken["error"]
    assert whole["error"] is None
    assert whole["rows"]
    text = (tmp_path / "gpu_suite.md").read_text()
    assert "| track4world | **failed**" in text
    assert "- track4world: RuntimeError: " in text
    assert "| st4rtrack | pair, 32 x 48 |" in text


def test_figures_that_cannot_be_right_are_a_failure(suite, tmp_path) -> None:
    from gpu_suite_rows import PartResult, Row

    rows = (
        Row(what="clip", precision="float32", fault="tracks lie up to 3 px apart"),
        Row(what="product", precision="bfloat16", tflops_per_s=9.0),
    )
    result = PartResult(part="device", seconds=1.0, rows=rows)
    options = suite.SuiteOptions(device="cpu")
    assert not suite.run_suite(["device"], options, tmp_path, limit_s=1.0, run=lambda *_: result)
    text = (tmp_path / "gpu_suite.md").read_text()
    assert "- device, clip: tracks lie up to 3 px apart" in text
    assert "No MFU: the device's peak in bfloat16 is not known" in text


def test_a_process_that_dies_or_takes_too_long_is_an_error_of_its_part(suite, tmp_path) -> None:
    file = tmp_path / "result.json"
    killed = suite.result_of("ddp", [sys.executable, "-c", "import os, sys; print('last words', file=sys.stderr); os.abort()"], file, 60.0)
    assert killed.error.startswith("the process ended with -6 and no result: last words\n")
    slow = suite.result_of("ddp", [sys.executable, "-c", "import time; time.sleep(60)"], file, 0.2)
    assert slow.error.startswith("stopped after 0 s: the time for all parts is over; raise --limit-s")
    assert suite.result_of("ddp", ["no such command"], file, -1.0).error.startswith("not run: the time for all parts is over")


def test_the_cpu_must_be_asked_for(suite, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    app = typer.Typer()
    app.command()(suite.main)
    run = functools.partial(CliRunner().invoke, app, env={"COLUMNS": "300"})
    for arguments, words in {("--toy",): "--device cpu", ("--device", "cuda"): "sees no GPU", ("--parts", "dpp"): "none of device"}.items():
        refused = run(list(arguments))
        assert refused.exit_code == 2
        assert words in refused.output
    failed = suite.PartResult(part="ddp", seconds=0.0, error="it broke\nhere")
    monkeypatch.setattr(suite, "run_apart", lambda part, options, limit_s: failed)
    done = run(["--device", "cpu", "--parts", "ddp", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "- ddp: it broke" in done.output


def test_clips_of_the_training_parts_are_seen_as_their_truth_says(suite) -> None:
    from gpu_suite_training import WALL_M, BatchSize, make_batch

    batch = make_batch(BatchSize(labelled=2, pseudo=1, frames=4, side=28), num_tracks=6)
    clips = batch.labelled
    assert batch.pseudo.geometry is None
    cameras = clips.geometry.camera_to_world.double()
    points = clips.geometry.local_points.double() @ cameras[:, :, None, :3, :3].mT + cameras[:, :, None, None, :3, 3]
    torch.testing.assert_close(points[..., 2], torch.full_like(points[..., 2], WALL_M), rtol=1e-6, atol=0)
    assert (cameras[:, 1:, :3, 3].norm(dim=-1) > 1e-3).all()
    seen = torch.linalg.inv(cameras)[:, :, None] @ torch.nn.functional.pad(clips.tracks3d_world.double(), (0, 1), value=1.0)[..., None]
    pixels = clips.geometry.intrinsics.double()[:, :, None] @ seen[..., :3, :]
    torch.testing.assert_close((pixels[..., :2, 0] / pixels[..., 2:, 0]).float(), clips.observations.tracks_px, rtol=0, atol=1e-3)
    assert torch.equal(clips.visibility, clips.observations.frame_weights > 0)
    assert clips.visibility[:, 0].all()
