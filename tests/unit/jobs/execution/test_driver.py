"""The crash rule, against workers that are simulated in a time of their own."""

import heapq
from dataclasses import dataclass, field

import pytest

from jobs.execution.tasks import Died, Failed, Finished, Task
from jobs.execution.units import Limits
from jobs.execution.whole_units import make_run, run_units
from pipeline.errors import ConfigError, DataError


@dataclass
class Parts:
    """Units of `num_parts` parts that take one second each; parts in `deadly` kill their process."""

    deadly: tuple[str, ...] = ()
    num_parts: dict[int, int] = field(default_factory=dict)  # 4 where nothing is said
    bad_plan: tuple[int, ...] = ()  # units whose parts cannot be read

    def run(self, unit, crashed):
        return [part for part in self.parts(unit) if part not in crashed]

    def size(self, unit):
        return self.num_parts.get(unit, 4)

    def parts(self, unit):
        if unit in self.bad_plan:
            raise DataError("the plan is damaged")
        return [f"{unit}-{part}" for part in range(self.size(unit))]

    def trial(self, unit, part):
        if part == "raises":
            raise ConfigError("a trial that raises does not kill")


@dataclass
class Simulated:
    """`room` processes. A task takes a second for each part; at a deadly one its process is gone."""

    stage: Parts
    room: int
    tells: bool = False  # which part it is at when it dies
    always_dies: tuple[int, ...] = ()  # units that die as a whole, whatever their parts do
    now: float = 0.0
    out: list = field(default_factory=list)  # (when it ends, number, event)
    log: list = field(default_factory=list)  # (when, unit or part)
    started: int = 0

    def give(self, queue):
        while (task := queue.next_for([event[3] for event in self.out], self.room)) is not None:
            self._start(task)

    def _start(self, task: Task):
        parts = [task.part] if task.part else [p for p in make_names(self.stage, task.unit) if p not in task.work.crashed]
        seconds, event = 0, None
        for part in parts:
            seconds += 1
            if part in self.stage.deadly:
                event = Died(tasks=(task,), reason="gone", at=part if self.tells else None)
                break
        if event is None and task.part is None and task.unit in self.always_dies:
            event = Died(tasks=(task,), reason="gone")
        if event is None:
            _, told = make_run(self.stage)()(task.work)
            event = Finished(task=task, told=told)
        self.started += 1
        heapq.heappush(self.out, (self.now + seconds, self.started, event, task))

    @property
    def busy(self):
        return bool(self.out)

    def wait(self):
        self.now, _, event, task = heapq.heappop(self.out)
        self.log.append((self.now, task.part or task.unit, type(event).__name__))
        return [event]

    def close(self):
        self.closed = True


def make_names(stage: Parts, unit: int) -> list[str]:
    return [f"{unit}-{part}" for part in range(stage.size(unit))]


def run(stage: Parts, units: int, *, attempts: int = 2, room: int = 2, **options):
    workers = Simulated(stage, room, **options)
    report = run_units(stage, range(units), workers, limits=Limits(attempts=attempts), on_result=lambda unit, result: None)
    assert workers.closed
    return report, workers


def test_the_others_go_on_while_the_parts_of_a_dead_unit_are_tried_alone():
    """One deadly part among 16, and 11 other units of four: 60 seconds of work, 15 of them lost, on two processes."""
    report, workers = run(Parts(deadly=("0-15",), num_parts={0: 16}), 12)
    assert report.results[0] == [f"0-{part}" for part in range(15)]
    assert sorted(report.results) == list(range(12))
    finished = {name: when for when, name, kind in workers.log if kind == "Finished"}
    tried = [when for when, name, _ in workers.log if isinstance(name, str)]
    assert (min(tried), max(tried)) == (17, 32)  # 16 seconds until it died, then one process tries each part
    assert max(finished[unit] for unit in range(1, 12)) == 44  # the other process did one unit after the other, without a break
    assert workers.now == 47  # the unit again, 15 seconds from 32 on


def test_on_one_process_the_others_come_first():
    _, workers = run(Parts(deadly=("0-1",)), 3, room=1)
    assert [name for _, name, _ in workers.log] == [0, 1, 2, "0-0", "0-1", "0-2", "0-3", 0]


def test_parts_that_were_done_before_the_death_are_no_suspects():
    report, workers = run(Parts(deadly=("0-2",)), 1, tells=True)
    assert [name for _, name, _ in workers.log if isinstance(name, str)] == ["0-2", "0-3"]
    assert report.results[0] == ["0-0", "0-1", "0-3"]


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_culprit_has_died_alone_and_as_often_as_it_may(attempts):
    stage = Parts(deadly=("0-1",))
    report, workers = run(stage, 1, attempts=attempts)
    deaths = [name for _, name, kind in workers.log if kind == "Died"]
    assert deaths == [0] + ["0-1"] * max(1, attempts - 1)  # the first time in company
    assert report.results[0] == ["0-0", "0-2", "0-3"]


def test_several_culprits_of_a_unit_are_found_at_once():
    report, workers = run(Parts(deadly=("0-0", "0-3", "2-1")), 3)
    assert report.results == {0: ["0-1", "0-2"], 1: ["1-0", "1-1", "1-2", "1-3"], 2: ["2-0", "2-2", "2-3"]}
    assert sum(name == 0 for _, name, _ in workers.log) == 2


def test_a_unit_that_dies_although_its_parts_live_is_lost_after_three_times():
    report, workers = run(Parts(), 2, always_dies=(0,))
    assert report.failures == {0: "its worker died 3 times (gone); give workers more memory"}
    assert sum(name == 0 for _, name, _ in workers.log) == 3
    assert list(report.results) == [1]


def test_a_unit_whose_parts_cannot_be_read_costs_itself():
    report, _ = run(Parts(deadly=("0-1",), bad_plan=(0,)), 3)
    assert report.failures == {0: "the plan is damaged"}
    assert sorted(report.results) == [1, 2]


def test_a_wrong_option_ends_the_stage_at_once_and_the_workers_are_stopped():
    stage = Parts()
    workers = Simulated(stage, 1)
    workers.wait = lambda: [Failed(task=heapq.heappop(workers.out)[3], error=ConfigError("no such device"))]
    with pytest.raises(ConfigError, match="no such device"):
        run_units(stage, range(3), workers, limits=Limits(), on_result=lambda unit, result: None)
    assert workers.closed
