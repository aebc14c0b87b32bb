"""Units one after the other in this process: for tests, debugging and tiny inputs."""

from collections.abc import Sequence
from contextlib import nullcontext

from jobs.execution.suspects import Suspects
from jobs.execution.units import OnResult, Result, UnitReport, UnitWork
from pipeline.border import border
from pipeline.errors import ConfigError, TrackmillError
from pipeline.shards.suspects import SuspectUnitError, on_trial


def run_inline(work: UnitWork[Result], units: Sequence[int], on_result: OnResult[Result]) -> UnitReport[Result]:
    """Run every unit. A part that kills the process kills the job: there is no other process to notice it.

    Raises: ConfigError; BrokenStageError if the first parts all failed unexpectedly at one place.
    """
    report: UnitReport[Result] = UnitReport()
    suspects: Suspects[int] = Suspects()

    def run(unit: int) -> None:
        try:
            with nullcontext() if suspects.works else on_trial(), border(f"unit {unit:06d}"):
                result = work.run(unit, {})
        except SuspectUnitError as found:
            suspects.hold(unit, found)
        except ConfigError:
            raise
        except TrackmillError as error:
            report.fail(unit, error)
        else:
            suspects.clear()
            report.results[unit] = result
            on_result(unit, result)

    for unit in units:
        run(unit)
        for held in suspects.release():
            run(held)
    for held in suspects.end():
        run(held)
    return report
