"""Runs a job in this process and kills it, without any clean-up, when it reaches a named point for the nth time; or sends it a signal.

Usage: python kill_at.py POINT COUNT[:SIGNAL] JOB.py ARGS...
"""

import itertools
import os
import runpy
import signal
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]
sys.path.insert(0, str(REPO))
KILLED = 137
SIGNAL = None  # None: killed without any clean-up


def kill() -> None:
    """End this process at once, or as the signal that was asked for does."""
    if SIGNAL is None:
        os._exit(KILLED)
    os.kill(os.getpid(), SIGNAL)


def kill_before(module, name: str, count: int, matches, calls=None) -> None:
    """Replace module.name by a wrapper that kills before the nth call that matches; `calls` counts for several of them."""
    original, calls = getattr(module, name), itertools.count(1) if calls is None else calls

    def wrapper(*args, **kwargs):
        if matches(*args) and next(calls) == count:
            kill()
        return original(*args, **kwargs)

    setattr(module, name, wrapper)


def arm(point: str, count: int) -> None:
    import pyarrow.parquet

    from pipeline.shards.tar import ShardWriter
    from pipeline.storage import publish as files

    if point == "before publishing":
        calls = itertools.count(1)
        for name in ("_replace", "_link"):
            kill_before(files, name, count, lambda temporary, target: True, calls)
    elif point == "between publishing and commit":
        kill_before(files, "_replace", count, lambda temporary, target: target.parent.name == "shards" and target.suffix == ".parquet")
    elif point == "in the middle of a tar":
        kill_before(ShardWriter, "add", count, lambda *args: True)
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


if __name__ == "__main__":
    point, place, job, *arguments = sys.argv[1:]
    count, _, name = place.partition(":")
    SIGNAL = getattr(signal, name) if name else None
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests in the background may ignore it
    arm(point, int(count))
    sys.argv = [job, *arguments]
    runpy.run_path(job, run_name="__main__")
