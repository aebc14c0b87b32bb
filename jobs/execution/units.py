"""Work in independent units, each with its own commit: what the executors run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pipeline.errors import ConfigError, UnexpectedError

Result = TypeVar("Result")
Made = TypeVar("Made", covariant=True)


class UnitWork(Protocol[Made]):
    """One stage of a job. It is sent to workers, so it must pickle."""

    def run(self, unit: int, crashed: Mapping[str, str]) -> Made:
        """Do and commit one unit, leaving out the parts in `crashed` (name -> what is to be said of them).

        It says `begin_part` before each of them: each has its own time.
        Raises: SuspectUnitError from `hold_back_suspects`, which is to be asked right before the commit.
        """
        ...

    def size(self, unit: int) -> int:
        """Number of parts of a unit, known without work: for progress, and for the time that opening and committing it may take."""
        ...

    def parts(self, unit: int) -> Sequence[str]:
        """Names of the parts of a unit (clips, sources), in their order; any of them may kill the process."""
        ...

    def trial(self, unit: int, part: str) -> None:
        """Do one part alone and forget it: to learn whether it kills the process."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of a part before it is given up."""

    attempts: int = 2  # times that a part may kill its worker before it is quarantined
    part_s: float = 600.0  # wall-clock seconds per part


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolConfig:
    """Size of a pool of workers that are set up once, and what each of them is granted."""

    num_workers: int = 1
    num_cpus: float = 1.0  # per worker
    num_gpus: float = 0.0  # per worker; fractions share a GPU
    ahead: int = 1  # tasks that each worker holds beside the one that it works on: prepared meanwhile

    def __post_init__(self) -> None:
        if self.num_workers < 1 or self.ahead < 0 or min(self.num_cpus, self.num_gpus) < 0:
            raise ConfigError("--num-workers must be at least 1; --items-ahead, --num-cpus-per-worker and -gpus- not negative")
        if self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise ConfigError(f"--num-gpus-per-worker is {self.num_gpus:g}: a worker has a part of one GPU, or whole ones")


@dataclass(slots=True)
class UnitReport(Generic[Result]):
    """Results and failures of a stage's units."""

    results: dict[int, Result] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)  # unit -> why nothing was committed
    traces: dict[int, str] = field(default_factory=dict)  # unit -> traceback, where nobody foresaw that

    def fail(self, unit: int, error: Exception, trace: str | None = None) -> None:
        """Note that nothing of a unit was committed, and why."""
        self.failures[unit] = str(error)
        trace = error.trace if isinstance(error, UnexpectedError) else trace
        if trace:
            self.traces[unit] = trace


OnResult = Callable[[int, Result], None]
