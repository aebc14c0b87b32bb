"""Units on Ray: a part that kills its worker is found, left out, and the rest is done."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.execution.ray_session import num_in_flight
from jobs.execution.ray_units import run_on_ray
from jobs.execution.suspects import BrokenStageError
from jobs.execution.units import Limits
from pipeline.errors import StorageError
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.suspects import hold_back_suspects

pytestmark = pytest.mark.usefixtures("local_ray")


@pytest.fixture(autouse=True, scope="module")
def _sent_by_value():
    """Ray's workers cannot import a test file: send what it defines along."""
    import ray.cloudpickle

    module = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(module)
    yield
    ray.cloudpickle.unregister_pickle_by_value(module)


@dataclass(frozen=True)
class Parts:
    """Four parts per unit; some of them kill the process, hang, or cannot be stored."""

    folder: str
    deadly: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()
    unstorable: tuple[int, ...] = ()
    slow_s: float = 0.0
    mistaken: tuple[int, ...] = ()
    odd: tuple[int, ...] = ()  # units all of whose parts fail unexpectedly at one place

    def run(self, unit: int, crashed: Mapping[str, str]) -> list[str]:
        if unit in self.mistaken:
            raise KeyError("pts")
        if unit in self.odd:
            trace = 'File "a.py", line 7, in read'
            row = ErrorRow(stage="s", key="", source=str(unit), exception="KeyError", message="odd", traceback=trace)
            hold_back_suspects([row] * 4, 4)
        if unit in self.unstorable:
            raise StorageError(f"cannot write unit {unit}: no space left")
        time.sleep(self.slow_s)
        done = [part for part in self.parts(unit) if part not in crashed]
        for part in done:
            self.trial(unit, part)
        Path(self.folder, str(unit)).write_text("\n".join(crashed.values()))
        return done

    def size(self, unit: int) -> int:
        return 4

    def parts(self, unit: int) -> Sequence[str]:
        return [f"{unit}-{part}" for part in range(4)]

    def trial(self, unit: int, part: str) -> None:
        if part in self.deadly:
            os._exit(1)
        if part in self.endless:
            time.sleep(600)


def run(work: Parts, limits: Limits | None = None):
    seen: list[int] = []
    report = run_on_ray(work, range(5), limits or Limits(), lambda unit, _: seen.append(unit))
    return report, sorted(seen)


def test_every_unit_is_done_once(tmp_path):
    report, seen = run(Parts(str(tmp_path)))
    assert seen == [0, 1, 2, 3, 4]
    assert report.results[3] == ["3-0", "3-1", "3-2", "3-3"]
    assert not report.failures


def test_a_part_that_kills_its_worker_is_quarantined_and_named(tmp_path):
    report, seen = run(Parts(str(tmp_path), deadly=("1-2", "3-0", "3-3")))
    assert seen == [0, 1, 2, 3, 4]
    assert report.results[1] == ["1-0", "1-1", "1-3"]
    assert report.results[3] == ["3-1", "3-2"]
    assert "1-2: killed its worker 2 times" in (tmp_path / "1").read_text()


def test_a_part_that_never_ends_is_stopped(tmp_path):
    report, _ = run(Parts(str(tmp_path), endless=("2-1",)), Limits(attempts=1, part_s=4))
    assert report.results[2] == ["2-0", "2-2", "2-3"]
    assert "took longer than 4 s" in (tmp_path / "2").read_text()


def test_mistakes_cost_their_units_and_suspects_wait_for_a_success(tmp_path):
    report, seen = run(Parts(str(tmp_path), mistaken=(2,), odd=(0, 1, 3)))
    assert seen == [0, 1, 3, 4]
    assert "unexpected KeyError at test_ray_units.py" in report.failures[2]
    assert "KeyError: 'pts'" in report.traces[2]


def test_a_stage_that_works_nowhere_is_stopped_and_nothing_is_committed(tmp_path):
    with pytest.raises(BrokenStageError, match=r"the first 20 parts .*KeyError at a.py:7"):
        run(Parts(str(tmp_path), odd=(0, 1, 2, 3, 4)))
    assert list(tmp_path.iterdir()) == []


def test_more_tasks_than_cpus_are_in_flight_where_the_cluster_may_grow(monkeypatch):
    monkeypatch.setattr("jobs.execution.ray_session.num_cpus", lambda: 3)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert num_in_flight() == 3
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert num_in_flight() == 14


def test_waiting_for_room_is_not_held_against_a_unit(tmp_path, monkeypatch):
    """Ten units are in flight for two CPUs: the last ones wait longer than a part may take."""
    monkeypatch.setattr("jobs.execution.ray_units.num_in_flight", lambda: 10)
    report = run_on_ray(Parts(str(tmp_path), slow_s=0.5), range(10), Limits(attempts=1, part_s=0.35), lambda unit, _: None)
    assert sorted(report.results) == list(range(10))
    assert [text for path in tmp_path.iterdir() if (text := path.read_text())] == []


def test_a_unit_that_cannot_be_stored_is_reported_and_the_others_are_done(tmp_path):
    report, seen = run(Parts(str(tmp_path), unstorable=(4,)))
    assert seen == [0, 1, 2, 3]
    assert report.failures == {4: "cannot write unit 4: no space left"}
