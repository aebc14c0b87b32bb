"""Jobs as a user runs them: a command line, what it prints, an exit code."""

import hashlib
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.integration.kill_at import run_until

REPO = Path(__file__).parents[2]


@dataclass(frozen=True)
class Finished:
    """What a job printed."""

    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run_job(run_app: Callable[..., Result]) -> Callable[..., Finished]:
    """run_job("shard.py", *arguments, code=0) -> what it printed; fails with its output if the exit code is another.

    In this process, which saves the start of Python and its imports; in one of its own if `alone`, if it is to be killed
    (`through=(point, count)`, see kill_at.py), or if it would start a Ray. Tests that use `local_ray` have one.
    """

    def run(job: str, *arguments: object, code: int = 0, through: tuple[str, object] | None = None, alone: bool = False) -> Finished:
        words, environment = [str(argument) for argument in arguments], {**os.environ, "COLUMNS": "200"}
        if through is not None:
            exit_code, stdout, stderr = run_until(through, REPO / "jobs" / job, words, environment)
        elif alone or _starts_ray(job, arguments):
            command = [sys.executable, str(REPO / "jobs" / job), *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd="/", env=environment)
            exit_code, stdout, stderr = done.returncode, done.stdout, done.stderr
        else:
            called = run_app(importlib.import_module(f"jobs.{Path(job).stem}").app, *arguments, code=code)
            return Finished(stdout=called.stdout, stderr=called.stderr)
        assert exit_code == code, f"exit code {exit_code}, expected {code}\n{stdout}\n{stderr}"
        return Finished(stdout=stdout, stderr=stderr)

    return run


def _starts_ray(job: str, arguments: tuple[object, ...]) -> bool:
    import ray

    by_ray = Path(job).stem in ("audit", "consensus", "convert", "pseudolabel", "refine", "shard", "synthesize")
    return by_ray and not {"inline", "--dry-run"} & set(arguments) and not ray.is_initialized()


@pytest.fixture(scope="session")
def published() -> Callable[[Path], dict[str, str]]:
    """published(root) -> sha256 of every file below it, by name; hidden and temporary files too."""

    def digest(root: Path) -> dict[str, str]:
        return {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    return digest


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray for the tests of this process; its workers find the labelers that these tests bring along."""
    import ray

    from jobs.execution.ray_session import ray_session

    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # processes without our environment, which no test would use
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])))
        stack.enter_context(ray_session())
        patch.undo()
        assert ray.is_initialized()
        yield


@pytest.fixture(scope="session")
def write_kubric() -> Callable[[Path, int], None]:
    """write_kubric(folder, seed): one sequence in Kubric's 3D layout, 12 frames of 48x64, focal length 60 px, a wall 4 m ahead."""
    return _write_kubric


def _write_kubric(folder: Path, seed: int) -> None:
    """A camera that slides along a painted wall 4 m ahead: every track moves by the same known step."""
    T, H, W, FOCAL, WALL_M = 12, 48, 64, 60.0, 4.0
    (folder / "frames").mkdir(parents=True)
    step = 0.05 * (1 + seed)
    picture = cv2.resize(
        np.random.default_rng(seed).integers(0, 255, (24, 60, 3)).astype(np.uint8), (240, 96), interpolation=cv2.INTER_CUBIC
    )
    rays = np.stack(np.meshgrid(np.arange(W) - (W - 1) / 2, np.arange(H) - (H - 1) / 2), -1) / FOCAL
    distance = np.full((H, W), WALL_M) * np.sqrt(1 + (rays**2).sum(-1))
    bounds = np.array([distance.min(), distance.max()])
    poses = np.tile(np.diag([1.0, -1, -1, 1]), (T, 1, 1))  # Blender's axes
    poses[:, 0, 3] = step * np.arange(T)
    start = np.stack(np.meshgrid(np.arange(4, W, 8), np.arange(4, H, 8)), -1).reshape(-1, 2)
    points = np.concatenate([(start - ((W - 1) / 2, (H - 1) / 2)) / FOCAL * WALL_M, np.full((len(start), 1), WALL_M)], -1)
    tracks = start[:, None] - np.stack([step * np.arange(T) / WALL_M * FOCAL, np.zeros(T)], -1)
    for index in range(T):
        left = index * step / WALL_M * FOCAL
        moved = cv2.warpAffine(picture, np.array([[1, 0, -left], [0, 1, -10.0]]), (W, H), flags=cv2.INTER_LINEAR)
        cv2.imwrite(str(folder / "frames" / f"{index:03d}.png"), moved)
        stored = np.round((distance - bounds[0]) / (bounds[1] - bounds[0]) * 65535).astype(np.uint16)
        cv2.imwrite(str(folder / "frames" / f"{index:03d}_depth.png"), stored)
    intrinsics = np.tile(np.array([[FOCAL / W, 0, -0.5], [0, -FOCAL / H, -0.5], [0, 0, -1]]), (T, 1, 1))
    data = {
        "coords": (tracks + 0.5).astype(np.float32),
        "occluded": ((tracks < -0.5) | (tracks > (W - 0.5, H - 0.5))).any(axis=-1),
        "traj_3d": np.repeat(points[:, None], T, axis=1),
        "depth_range": bounds,
        "intrinsics": intrinsics,
        "matrix_world": poses,
    }
    np.save(folder / f"{folder.name}.npy", data, allow_pickle=True)


@pytest.fixture(scope="session")
def run_app() -> Callable[..., Result]:
    """run_app(app, *arguments, code=0) -> result: a job in this process; fails with its output if the exit code is another."""

    def run(app: typer.Typer, *arguments: object, code: int = 0) -> Result:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
        assert done.exit_code == code, f"exit code {done.exit_code}, expected {code}\n{done.output}\n{done.exception!r}"
        return done

    return run
