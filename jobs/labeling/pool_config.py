"""How much is in the labelers' hands at a time, and what each of them is granted."""

from dataclasses import dataclass, field

from jobs.execution.units import Limits
from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolConfig:
    """Size of the pool, and what each worker is granted. In flight: workers x (1 + items ahead) x clips per batch."""

    num_workers: int = 1
    num_cpus: float = 1.0  # per worker
    num_gpus: float = 0.0  # per worker; fractions share a GPU
    clips_per_batch: int = 1
    items_ahead: int = 1  # items that each worker holds beside the one being labelled: fetched and decoded meanwhile
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.num_workers < 1 or self.clips_per_batch < 1 or self.items_ahead < 0 or min(self.num_cpus, self.num_gpus) < 0:
            raise ConfigError(
                "--num-workers and --clips-per-batch must be at least 1; --items-ahead, --num-cpus-per-worker and -gpus- not negative"
            )
        if self.num_gpus > 1 and self.num_gpus != int(self.num_gpus):
            raise ConfigError(f"--num-gpus-per-worker is {self.num_gpus:g}: a worker has a part of one GPU, or whole ones")
