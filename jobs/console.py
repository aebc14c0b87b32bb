"""Console output of a job: exit codes, log lines, progress, the summary at the end."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

import av
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from jobs.trackmill import as_called
from pipeline.border import border
from pipeline.errors import ConfigError, TrackmillError, UnexpectedError
from pipeline.shards.errors_table import ErrorRow

DONE, FAILED, BAD_USAGE, TOO_MANY_ERRORS, GATE_CLOSED = 0, 1, 2, 3, 4
STOPPED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_PLAIN_EVERY_S = 10.0


def run_job(body: Callable[[], int], *, to_continue: str = "run the same command again to continue") -> NoReturn:
    """Run a job's body and leave with its exit code; an error of ours is one line, a traceback only for what nobody foresaw.

    Args:
        to_continue: what somebody does who stopped the job (Ctrl-C, SIGTERM); said on standard error.
    """
    set_up_logging()
    try:
        with _noting_sigterm() as terminations, border("this job"):
            code = body()
    except TrackmillError as error:
        if isinstance(error, UnexpectedError):
            typer.echo(error.trace, err=True)
        typer.echo(as_called(f"error: {error}"), err=True)
        code = BAD_USAGE if isinstance(error, ConfigError) else FAILED
    except KeyboardInterrupt:
        typer.echo(f"stopped; {to_continue}", err=True)
        code = TERMINATED if terminations else STOPPED
        _leave_threads(code)
    raise typer.Exit(code)


@contextmanager
def _noting_sigterm() -> Iterator[list[int]]:
    """SIGTERM raises within, as Ctrl-C does, so that sessions, locks and temporary files are left in order. Yields those that came."""
    came: list[int] = []  # what is raised does not tell: Ray makes a KeyboardInterrupt of its own
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread do this
        yield came
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_threads(code: int) -> None:
    """End the process now if a thread of a labeler is at work: nothing stops it, and Python would wait for it."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def set_up_logging() -> None:
    """Warnings and shard-level news on standard error; the decoder's own chatter off (its errors reach us as exceptions)."""
    av.logging.set_level(av.logging.PANIC)
    if not logging.getLogger().handlers:
        terminal = sys.stderr.isatty()
        handler = RichHandler(console=Console(stderr=True), show_path=False) if terminal else logging.StreamHandler()
        logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(message)s" if terminal else "%(levelname)s %(message)s")


def counted(number: int, noun: str) -> str:
    """`1 shard`, `12 shards`: a number with its noun, given in the singular. Nouns whose plural is more than an s are not known."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class ProgressLine:
    """A progress bar on a terminal; elsewhere a plain line now and then, and one at the end. Shows count, rate, time left and errors."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        """Args:
        unit: what is counted, in the plural.
        """
        self._label, self._total, self._unit = label, total, unit.removesuffix("s") if total == 1 else unit
        self._done = self._errors = 0
        self._said: tuple[int, int] | None = None  # done and errors, when a line was last said
        self._started = self._said_at = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> "ProgressLine":
        if sys.stderr.isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn(show_speed=True))
            self._bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[errors]}"), console=Console(stderr=True))
            self._task = self._bar.add_task(self._label, total=self._total, errors=counted(0, "error"))
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif self._total and self._said != (self._done, self._errors):
            self._say()

    def advance(self, done: int, errors: int = 0) -> None:
        """`done` more units are finished, `errors` of them badly."""
        self._done, self._errors = self._done + done, self._errors + errors
        if self._bar is not None:
            self._bar.update(self._task, advance=done, errors=counted(self._errors, "error"))
        elif time.monotonic() - self._said_at > _PLAIN_EVERY_S:
            self._say()

    def _say(self) -> None:
        self._said, self._said_at = (self._done, self._errors), time.monotonic()
        rate = self._done / max(self._said_at - self._started, 1e-9)
        left = f", {(self._total - self._done) / rate:.0f} s left" if rate and self._done < self._total else ""
        errors = counted(self._errors, "error")
        typer.echo(f"{self._label}: {self._done}/{self._total} {self._unit}, {rate:.2f}/s{left}, {errors}", err=True)


def print_summary(title: str, rows: Sequence[tuple[str, object]], *, next_commands: Sequence[str] = ()) -> None:
    """The table at the end of a job, on standard output.

    Args:
        next_commands: what a user runs after this job, as `jobs.trackmill.command_line` writes it; each has a line of its own.
    """
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, as_called(str(value)))
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    if next_commands:
        typer.echo("next:")
    for command in next_commands:
        typer.echo(f"  {command}")


def say_unexpected(rows: Sequence[ErrorRow]) -> None:
    """Say on standard error how many errors nobody foresaw, and where the first comes from; nothing if there are none."""
    found = [row for row in rows if row.unexpected]
    if found:
        again = "they are tried again by the next run"
        typer.echo(f"unexpected: {len(found)}, {again}; the first: {found[0].message}\n{found[0].traceback}", err=True)


def error_exit(errors: int, total: int, max_error_rate: float, *, see: str = "errors/ below the root") -> int:
    """DONE, or TOO_MANY_ERRORS when more than the allowed share went wrong, said on standard error; `see`: where the reasons are."""
    if errors <= max_error_rate * max(total, 1):
        return DONE
    typer.echo(f"error: {errors} of {total} went wrong, more than --max-error-rate {max_error_rate:g}; see {see}", err=True)
    return TOO_MANY_ERRORS
