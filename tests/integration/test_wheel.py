"""An installed wheel, far from the checkout: the command, the shipped files, and a small run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SHIPPED = ("pipeline", "networks", "labelers", "trainer", "jobs", "configs")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder that the wheel of this checkout was installed into, without its dependencies."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPO / name, source)
    for name in SHIPPED:
        shutil.copytree(REPO / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    folder = tmp_path_factory.mktemp("installed")
    check([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(source / "wheels"), str(source)])
    (wheel,) = (source / "wheels").glob("trackmill-*.whl")
    check([*pip, "install", "--no-deps", "--no-compile", "--no-index", "--target", str(folder), str(wheel)])
    shutil.rmtree(source)
    return folder


def check(command: list[str], code: int = 0, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
    assert done.returncode == code, f"exit code {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def trackmill(installed, tmp_path):
    """trackmill(*words, code=0) -> what it printed, in an empty folder, where only the installed code can be found."""
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "COLUMNS": "160"}

    def call(*words: object, code: int = 0) -> subprocess.CompletedProcess:
        return check([sys.executable, str(installed / "bin/trackmill"), *map(str, words)], code, cwd=empty, env=environment)

    call.environment, call.folder = environment, empty
    return call


def test_the_command_runs_from_an_installed_wheel(trackmill, installed, make_video):
    assert "Videos to audited tracks in one go" in trackmill("--help").stdout
    video = make_video("a.mp4", num_frames=24, size=(144, 192))
    done = trackmill("run", video, "--root", "walks", "--labeler", "lucas-kanade", "--queries", "100", "--executor", "inline")
    report = next((trackmill.folder / "walks/audit").glob("lucas-kanade-*/report.html")).read_text()
    assert "<style>" in report  # page, script and calibration are shipped
    assert "lucas-kanade" in next((trackmill.folder / "walks/audit").glob("*/audit.json")).read_text()
    assert f"{installed}/bin/trackmill show --root walks" in done.stdout
    code = "import pipeline, jobs, networks; print(pipeline.__file__, jobs.__file__, networks.__file__)"
    found = check([sys.executable, "-c", code], cwd=trackmill.folder, env=trackmill.environment).stdout.split()
    assert [Path(file).parents[1] for file in found] == [installed] * 3


def test_shipped_weights_are_found(trackmill):
    code = "from labelers import make_labeler; print(make_labeler('refined-flow').provenance().checkpoint)"
    assert "chain_refiner" in check([sys.executable, "-c", code], cwd=trackmill.folder, env=trackmill.environment).stdout


def test_shipped_configurations_are_found_by_name(trackmill):
    shown = trackmill("train", "--config", "tiny", "--set", "data.pseudo=null", "--dry-run", code=2).stderr
    assert "data/studio" in shown  # found and understood; its data are not here
