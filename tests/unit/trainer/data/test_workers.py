"""Workers by the CPUs that there are."""

import os
from pathlib import Path

from trainer.data.workers import available_cpus, loader_workers, split_workers


def test_a_rank_trains_on_one_cpu_and_loads_on_the_others():
    assert [loader_workers(None, cpus) for cpus in (12, 2, 1, 0)] == [11, 1, 1, 1]
    assert [loader_workers(asked, 12) for asked in (0, 3, 40)] == [0, 3, 40]


def test_a_container_has_the_cpus_of_its_quota(tmp_path: Path):
    allowed, quota = len(os.sched_getaffinity(0)), tmp_path / "cpu.max"
    for text, expected in (("max 100000", allowed), ("100000 100000", 1), ("50000 100000", 1), (f"{allowed}99000 1000", allowed)):
        quota.write_text(text + "\n")
        assert available_cpus(quota) == expected
    assert available_cpus(tmp_path / "none") == allowed


def test_both_sides_get_workers_by_their_clips():
    assert split_workers(8, (3, 1)) == (6, 2)
    assert split_workers(1, (3, 1)) == (1, 1)
    assert split_workers(5, (4,)) == (5,)
    assert split_workers(0, (3, 1)) == (0, 0)
