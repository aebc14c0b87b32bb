"""Which clips and labels deserve trust: `python jobs/audit.py screen --root ROOT`."""

from typing import Annotated

import typer

from jobs.auditing.screen_job import ScreeningConfig, screen_dataset
from jobs.auditing.screen_report import report_plan, report_screen
from jobs.console import run_job
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline.audit.verdict import ScreenRules

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def audit() -> None:
    """Judge clips and labels. Verdicts are tables beside the data; nothing is deleted."""


@app.command("screen")
def screen_command(
    root: Annotated[str, typer.Option(help="Dataset made by jobs/shard.py, jobs/convert.py or jobs/synthesize.py.")],
    allow_static: Annotated[bool, typer.Option("--allow-static", help="Keep clips in which nothing moves.")] = False,
    executor: Annotated[str, typer.Option(help="ray, or inline: this process alone.")] = "ray",
    max_error_rate: Annotated[float, typer.Option(help="Exit with 3 if a larger share of the clips cannot be screened.")] = 0.05,
    clip_time_limit: Annotated[float, typer.Option(help="Seconds per clip before it is given up (with Ray).")] = 600.0,
    max_attempts: Annotated[int, typer.Option(help="Times that a clip may kill its worker (with Ray).")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan, measure one clip, print; write nothing.")] = False,
) -> None:  # fmt: skip
    """Judge every clip by its picture alone, before any label is paid for. Run it again to continue where it stopped."""

    def body() -> int:
        config = ScreeningConfig(
            root=root,
            executor=Executor(name=executor, limits=Limits(attempts=max_attempts, part_s=clip_time_limit)),
            rules=ScreenRules(allow_static=allow_static),
        )
        outcome = screen_dataset(config, dry_run=dry_run)
        return report_plan(outcome, root) if dry_run else report_screen(outcome, root, max_error_rate)

    run_job(body)


if __name__ == "__main__":
    app()
