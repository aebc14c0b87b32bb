"""Jobs as a user runs them: a new process, a command line, an exit code."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def run_job() -> Callable[..., subprocess.CompletedProcess[str]]:
    """run_job("shard.py", *arguments, code=0) -> finished process; fails with its output if the exit code is another."""

    def run(job: str, *arguments: object, code: int = 0, through: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *through, str(REPO / "jobs" / job), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd="/", env={**os.environ, "COLUMNS": "200"})
        assert done.returncode == code, f"exit code {done.returncode}, expected {code}\n{done.stdout}\n{done.stderr}"
        return done

    return run


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
    """One Ray for the tests of this process."""
    import ray

    from jobs.execution.ray_session import ray_session

    with ray_session():
        assert ray.is_initialized()
        yield
