"""Units in this process: failed ones, suspected ones, and a stage that works nowhere."""

from dataclasses import dataclass, field

import pytest

from jobs.console import ProgressLine
from jobs.execution.held import BrokenStageError
from jobs.execution.inline import InlineWorkers
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.execution.whole_units import make_run, run_units
from pipeline.border import border
from pipeline.errors import ConfigError, DataError, StorageError, UnexpectedError
from pipeline.shards.errors_table import ErrorRow
from pipeline.shards.suspects import hold_back_suspects, place_of

pytestmark = pytest.mark.unexpected


@dataclass
class Stage:
    """Units of five parts; those in `odd` fail unexpectedly, at one place or at two; those in `raises` fail whole."""

    odd: tuple[int, ...] = ()
    places: int = 1
    sources: int = 9
    raises: dict[int, Exception] = field(default_factory=dict)
    committed: list[int] = field(default_factory=list)

    def run(self, unit, crashed):
        if unit in self.raises:
            raise self.raises[unit]
        errors = [self._error(unit, part) for part in range(5)] if unit in self.odd else []
        hold_back_suspects(errors, 5)
        self.committed.append(unit)
        return len(errors)

    def _error(self, unit: int, part: int) -> ErrorRow:
        try:
            with border(f"part {part}"):
                if unit % self.places:
                    {}["pts"]  # noqa: B018
                [][part]
        except UnexpectedError as error:
            return ErrorRow.of(error, stage="s", key=f"{unit}-{part}", source=f"{unit % self.sources}.mp4")

    def size(self, unit):
        return 5


def run(stage: Stage, num_units: int):
    workers = InlineWorkers(make_run(stage)())
    return run_units(stage, range(num_units), workers, limits=Limits(), on_result=lambda unit, result: None)


def test_the_first_twenty_parts_failing_at_one_place_end_the_stage_and_nothing_is_committed():
    stage = Stage(odd=tuple(range(9)))
    with pytest.raises(BrokenStageError, match=r"the first 20 parts .* \(IndexError at .*test_inline.py:\d+\)[\s\S]*Traceback"):
        run(stage, 9)
    assert stage.committed == []


def test_fewer_parts_are_committed_at_the_end_of_the_stage():
    stage = Stage(odd=(0, 1, 2))
    assert run(stage, 3).results == {0: 5, 1: 5, 2: 5}
    assert stage.committed == [0, 1, 2]


def test_suspects_are_committed_as_soon_as_something_succeeds_and_later_ones_at_once():
    stage = Stage(odd=(0, 1, 3, 4, 5, 6, 7))
    assert run(stage, 9).results == {0: 5, 1: 5, 2: 0, 3: 5, 4: 5, 5: 5, 6: 5, 7: 5, 8: 0}
    assert stage.committed == [2, 0, 1, 3, 4, 5, 6, 7, 8]


def test_failures_at_two_places_are_no_one_mistake():
    stage = Stage(odd=tuple(range(9)), places=2)
    assert len(run(stage, 9).results) == 9


def test_one_odd_source_does_not_end_a_stage_that_has_others():
    stage = Stage(odd=tuple(range(8)), sources=1)
    assert sorted(run(stage, 9).results) == list(range(9))
    with pytest.raises(BrokenStageError, match="the first 40 parts"):
        run(Stage(odd=tuple(range(8)), sources=1), 8)


def test_a_unit_that_fails_whole_costs_itself(capsys):
    stage = Stage(raises={1: KeyError("row"), 2: DataError("index is damaged"), 4: StorageError("no space left")})
    report = run(stage, 6)
    assert stage.committed == [0, 3, 5]
    assert "unexpected KeyError at test_inline.py" in report.failures[1]
    assert (report.failures[2], report.failures[4]) == ("index is damaged", "no space left")
    assert list(report.traces) == [1]
    with pytest.raises(StorageError, match="3 of 6 parts of this stage not committed; the first, 000001: unit 000001: unexpected"):
        Executor(name="inline", limits=Limits()).run(stage, range(6), ProgressLine("s", 30, "parts"))
    assert "Traceback" in capsys.readouterr().err


def test_a_wrong_option_ends_the_job_at_once():
    stage = Stage(raises={1: ConfigError("no such device")})
    with pytest.raises(ConfigError, match="no such device"):
        run(stage, 3)
    assert stage.committed == [0]


def test_the_place_is_the_last_line_that_raised():
    row = Stage()._error(0, 3)
    assert place_of(row).startswith("IndexError at ")
    assert place_of(row) == place_of(Stage()._error(4, 2)) != place_of(Stage(places=2)._error(1, 0))
    assert place_of(ErrorRow(stage="s", key="a", source="a", exception="DataError", message="bad")) is None
