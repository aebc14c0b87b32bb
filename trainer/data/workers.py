"""Number of the processes that decode and prepare clips."""

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota: Path = _QUOTA) -> int:
    """CPUs that this process may use: by its affinity, and by the quota of its container, if it has one.

    Args:
        quota: file "MICROSECONDS PERIOD" or "max PERIOD" of Linux's control groups.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota_cpus(quota)))


def _quota_cpus(file: Path) -> int:
    """Whole CPUs of a quota; those of no quota are more than any machine has."""
    try:
        share, period = file.read_text().split()
        return math.floor(int(share) / int(period))
    except (OSError, ValueError):  # another system, or "max"
        return 1 << 16


def loader_workers(asked: int | None, cpus: int) -> int:
    """Processes that a rank's loader starts.

    Args:
        asked: of the configuration; None: all of the rank's CPUs but one, which trains, and at least one.
        cpus: of the rank.
    """
    return max(cpus - 1, 1) if asked is None else asked


def split_workers(num_workers: int, num_clips: tuple[int, ...]) -> tuple[int, ...]:
    """Workers of each side, in proportion to its clips, at least one each; 0 for all is 0 for each.

    Args:
        num_clips: of one or two sides.
    """
    if num_workers == 0:
        return (0,) * len(num_clips)
    first = min(max(round(num_workers * num_clips[0] / sum(num_clips)), 1), max(num_workers - len(num_clips) + 1, 1))
    return (first, max(num_workers - first, 1))[: len(num_clips)]
