"""Units on Ray: a part that kills its worker is found, left out, and the rest is done."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.evaluating.job import EvaluatingConfig, evaluate_labels
from jobs.execution.held import BrokenStageError
from jobs.execution.ray_session import num_in_flight
from jobs.execution.ray_tasks import RayTasks
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.execution.whole_units import make_run, run_units
from pipeline.border import begin_part
from pipeline.errors import StorageError
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.suspects import hold_back_suspects
from tests.evaluated_dataset import label, write_root

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
    """Units of four parts, unless one is said to have more; some parts kill the process, hang, or cannot be stored."""

    folder: str
    deadly: tuple[str, ...] = ()
    endless: tuple[str, ...] = ()
    unstorable: tuple[int, ...] = ()
    part_s: float = 0.0
    mistaken: tuple[int, ...] = ()
    odd: tuple[int, ...] = ()  # units all of whose parts fail unexpectedly at one place
    many: tuple[int, int] = (-1, 0)  # a unit, and how many parts it has
    tells: bool = True  # at which part it is

    def run(self, unit: int, crashed: Mapping[str, str]) -> list[str]:
        if unit in self.mistaken:
            raise KeyError("pts")
        if unit in self.odd:
            trace = 'File "a.py", line 7, in read'
            row = ErrorRow(stage="s", key="", source=str(unit), exception="KeyError", message="odd", traceback=trace)
            hold_back_suspects([row] * 4, 4)
        if unit in self.unstorable:
            raise StorageError(f"cannot write unit {unit}: no space left")
        done = [part for part in self.parts(unit) if part not in crashed]
        for part in done:
            if self.tells:
                begin_part(part)
            self._do(part)
        Path(self.folder, str(unit)).write_text("\n".join(crashed.values()))
        return done

    def size(self, unit: int) -> int:
        return self.many[1] if unit == self.many[0] else 4

    def parts(self, unit: int) -> Sequence[str]:
        return [f"{unit}-{part}" for part in range(self.size(unit))]

    def trial(self, unit: int, part: str) -> None:
        self._do(part)
        Path(self.folder, f"alone-{part}").write_text(str(time.time()))

    def _do(self, part: str) -> None:
        if part in self.deadly:
            os._exit(1)
        time.sleep(600 if part in self.endless else self.part_s)


def run(work: Parts, limits: Limits | None = None, units: int = 5):
    """The report, and when each unit was done."""
    seen: dict[int, float] = {}
    limits = limits or Limits()
    workers = RayTasks(make_run(work), limits)
    report = run_units(work, range(units), workers, limits=limits, on_result=lambda unit, _: seen.update({unit: time.time()}))
    return report, seen


def test_every_unit_is_done_once(tmp_path):
    report, seen = run(Parts(str(tmp_path)))
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert report.results[3] == ["3-0", "3-1", "3-2", "3-3"]
    assert not report.failures


@pytest.mark.parametrize("part_s", [0.1, pytest.param(1.0, marks=pytest.mark.soak)])
def test_the_others_go_on_while_the_parts_of_a_dead_unit_are_tried_alone(tmp_path, part_s):
    """One deadly part among sixteen, and eleven other units; two CPUs."""
    work = Parts(str(tmp_path), deadly=("0-0",), many=(0, 16), part_s=part_s, tells=False)
    report, seen = run(work, units=12)
    assert report.results[0] == [f"0-{part}" for part in range(1, 16)]
    assert (
        tmp_path / "0"
    ).read_text() == "0-0: its worker was lost 2 times (WorkerCrashedError); it is quarantined: drop it from the input"
    assert sorted(seen) == list(range(12))
    alone = sorted(float(path.read_text()) for path in tmp_path.glob("alone-*"))
    assert len(alone) == 15
    assert sum(alone[0] < seen[unit] < alone[-1] for unit in range(1, 12)) >= 2


def test_a_part_that_never_ends_is_stopped_and_one_unit_may_take_longer_than_one_part(tmp_path):
    """Four parts of a second each, of which one may take three and a half: the unit with the endless one dies after its own time."""
    report, _ = run(Parts(str(tmp_path), endless=("1-3",), part_s=1.0), Limits(attempts=1, part_s=3.5), units=2)
    assert (report.results[0], report.results[1]) == (["0-0", "0-1", "0-2", "0-3"], ["1-0", "1-1", "1-2"])
    assert (tmp_path / "0").read_text() == ""
    assert "1-3: its worker was lost 2 times (it took longer than 3.5 s)" in (tmp_path / "1").read_text()
    assert not list(tmp_path.glob("alone-*"))  # the others of its unit were done before, and are no suspects


def test_mistakes_cost_their_units_and_suspects_wait_for_a_success(tmp_path):
    report, seen = run(Parts(str(tmp_path), mistaken=(2,), odd=(0, 1, 3)))
    assert sorted(seen) == [0, 1, 3, 4]
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
    monkeypatch.setattr("jobs.execution.ray_tasks.num_in_flight", lambda num_gpus: 10)
    report, _ = run(Parts(str(tmp_path), part_s=0.25, tells=False), Limits(attempts=1, part_s=1.0), units=10)
    assert sorted(report.results) == list(range(10))
    assert [text for path in tmp_path.iterdir() if (text := path.read_text())] == []


def test_a_unit_that_cannot_be_stored_is_reported_and_the_others_are_done(tmp_path):
    report, seen = run(Parts(str(tmp_path), unstorable=(4,)))
    assert sorted(seen) == [0, 1, 2, 3]
    assert report.failures == {4: "cannot write unit 4: no space left"}


def test_an_evaluation_on_ray_gives_the_bytes_of_one_in_this_process(tmp_path):
    root = write_root(tmp_path / "root")
    name = label(root, "off", off_px=1.5)
    for executor in ("inline", "ray"):
        chosen = Executor(name=executor, limits=Limits())
        evaluate_labels(EvaluatingConfig(root=root, label_sets=(name,), out=str(tmp_path / executor), executor=chosen))
    here, there = (
        {path.relative_to(tmp_path / each): path.read_bytes() for path in (tmp_path / each).rglob("*.json")} for each in ("inline", "ray")
    )
    assert len(here) == 2
    assert here == there
