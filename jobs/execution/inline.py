"""Units one after the other in this process: for tests, debugging and tiny inputs."""

from collections.abc import Sequence

from jobs.execution.units import OnResult, Result, UnitReport, UnitWork
from pipeline.errors import StorageError


def run_inline(work: UnitWork[Result], units: Sequence[int], on_result: OnResult[Result]) -> UnitReport[Result]:
    """Run every unit. A part that kills the process kills the job: there is no other process to notice it."""
    report: UnitReport[Result] = UnitReport()
    for unit in units:
        try:
            report.results[unit] = work.run(unit, {})
        except StorageError as error:
            report.failures[unit] = str(error)
        else:
            on_result(unit, report.results[unit])
    return report
