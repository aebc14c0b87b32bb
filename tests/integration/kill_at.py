"""Runs a job in a process of its own and kills it, without any clean-up, when it reaches a named point for the nth time; or sends it a
signal.
"""

import itertools
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

KILLED = 137
_PROCESSES = multiprocessing.get_context("forkserver")  # its processes are copies of one that has loaded the jobs, and has no threads
_PROCESSES.set_forkserver_preload(["jobs.audit", "jobs.convert", "jobs.pseudolabel", "jobs.shard", "jobs.synthesize"])
_LONGEST_S = 900
Kill = Callable[[], object]


def run_until(through: tuple[str, object], job: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a job up to a point; its exit code, and what it printed on standard output and on standard error.

    Args:
        through: the point, and at which time it is passed: COUNT or COUNT:SIGNAL.
    """
    point, place = through
    with tempfile.TemporaryDirectory() as folder:
        process = _PROCESSES.Process(target=_run, args=(folder, point, str(place), str(job), list(arguments), dict(environment)))
        process.start()
        process.join(_LONGEST_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        said = [Path(folder, name).read_text() for name in ("stdout", "stderr")]
    assert process.exitcode is not None
    return process.exitcode, *said


def _run(folder: str, point: str, place: str, job: str, arguments: list[str], environment: dict[str, str]) -> None:
    """What that process does: the same as a Python that is started for this job."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir("/")
    count, _, name = place.partition(":")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background may ignore it
    arm(point, int(count), partial(os.kill, os.getpid(), getattr(signal, name)) if name else partial(os._exit, KILLED))
    sys.argv = [job, *arguments]
    runpy.run_path(job, run_name="__main__")


def kill_before(module, name: str, count: int, matches, kill: Kill, calls=None) -> None:
    """Replace module.name by a wrapper that kills before the nth call that matches; `calls` counts for several of them."""
    original, calls = getattr(module, name), itertools.count(1) if calls is None else calls

    def wrapper(*args, **kwargs):
        if matches(*args) and next(calls) == count:
            kill()
        return original(*args, **kwargs)

    setattr(module, name, wrapper)


def arm(point: str, count: int, kill: Kill) -> None:
    import pyarrow.parquet

    from pipeline.shards.tar import ShardWriter
    from pipeline.storage import publish as files

    if point == "before publishing":
        calls = itertools.count(1)
        for name in ("_replace", "_link"):
            kill_before(files, name, count, lambda temporary, target: True, kill, calls)
    elif point == "between publishing and commit":
        kill_before(files, "_replace", count, _commits_a_shard, kill)
    elif point == "in the middle of a tar":
        kill_before(ShardWriter, "add", count, lambda *args: True, kill)
    elif point == "in the middle of a label file":
        original = pyarrow.parquet.write_table

        def half(table, path, *args, **kwargs):
            original(table, path, *args, **kwargs)
            if "tracks_x" in table.schema.names and next(calls) == count:
                os.truncate(path, os.path.getsize(path) // 2)
                kill()

        calls = iter(range(1, 10**9))
        pyarrow.parquet.write_table = half
    else:
        raise SystemExit(f"no such point: {point}")


def _commits_a_shard(temporary: Path, target: Path) -> bool:
    return target.parent.name == "shards" and target.suffix == ".parquet"
