"""News of a training under Ray, on their way from the training processes to the driver.

Everything travels pickled: the actor between the two keeps bytes, and its process loads neither torch nor Ray Train, which takes a
process of its own some ten seconds.
"""

import pickle
import threading
from collections.abc import Callable
from typing import Any

import ray


class RunResults:
    """Actor that keeps what training processes tell, as pickled bytes, until the driver asks: step reports, outcome, error."""

    def __init__(self) -> None:
        self._reports: list[bytes] = []
        self._outcome: bytes | None = None
        self._error: bytes | None = None

    def add_report(self, report: bytes) -> None:
        """Keep a `StepReport`."""
        self._reports.append(report)

    def take_reports(self) -> list[bytes]:
        """Reports since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def set_outcome(self, outcome: bytes) -> None:
        """Keep the `TrainOutcome`."""
        self._outcome = outcome

    def set_error(self, error: bytes) -> None:
        """Keep the `TrackmillError` that a process failed with."""
        self._error = error

    def outcome(self) -> bytes | None:
        """The outcome; None before the end."""
        return self._outcome

    def error(self) -> bytes | None:
        """The error; None if no process failed with one of ours."""
        return self._error


class ReportForwarder:
    """Thread of the driver that passes step reports from the actor to a callback while the block lasts."""

    _POLL_S = 1.0

    def __init__(self, results: Any, on_step: Callable[[Any], None] | None) -> None:
        """Args:
        results: handle of a `RunResults` actor.
        on_step: called with every `StepReport`, up to a second late; None: reports are dropped.
        """
        self._results, self._on_step = results, on_step
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *unused: object) -> None:
        self._over.set()
        self._thread.join()

    def _forward(self) -> None:
        while True:
            over = self._over.wait(self._POLL_S)
            for report in ray.get(self._results.take_reports.remote()):
                if self._on_step is not None:
                    self._on_step(pickle.loads(report))
            if over:
                return
