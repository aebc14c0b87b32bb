"""A cluster that grows in mid-job: what waits is what makes it grow, and a worker that never comes up holds nothing back."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobs.console import ProgressLine
from jobs.execution import ray_session
from jobs.execution.ray_tasks import RayTasks
from jobs.execution.run import Executor
from jobs.execution.units import Limits, PoolConfig
from jobs.execution.whole_units import make_run, run_units
from jobs.labeling.stage import LabelStage
from jobs.labeling.worker import WorkerSettings
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.labels import labelled_shards, write_label_set
from pipeline.manifest import ManifestOptions
from pipeline.records import LabelSet
from pipeline.shards.policy import ClipPolicy


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one CPU, which is given a second node by whoever asks."""
    import ray
    import ray.cloudpickle
    from ray.cluster_utils import Cluster

    module, before = sys.modules[__name__], ray.is_initialized()
    if before:
        ray.shutdown()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_prestart_worker_first_driver", "0")  # processes without our environment, which the test would not use
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False})
        ray.init(address=made.address, log_to_driver=False)
        ray.cloudpickle.register_pickle_by_value(module)
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
    ray.cloudpickle.unregister_pickle_by_value(module)
    ray.shutdown()
    made.shutdown()
    if before:  # the one that the other tests of this process share
        ray_session._connect()


@dataclass(frozen=True)
class Noted:
    """Units that note on which node they ran."""

    folder: str

    def run(self, unit: int, crashed: Mapping[str, str]) -> str:
        import ray

        time.sleep(0.4)
        Path(self.folder, f"{unit}").write_text("done")
        return str(ray.get_runtime_context().get_node_id())

    def size(self, unit: int) -> int:
        return 1

    def parts(self, unit: int) -> Sequence[str]:
        return [str(unit)]

    def trial(self, unit: int, part: str) -> None:
        pass


def test_a_node_that_comes_in_mid_job_gets_work_and_a_labeler_that_never_comes_up_holds_none(cluster, make_video, tmp_path):
    make_video("v/a.mp4", num_frames=12, size=(48, 64))
    root = str(tmp_path / "root")
    config = ShardingConfig(
        inputs=(str(tmp_path / "v"),), root=root, preset="auto", manifest=ManifestOptions(),
        policy=ClipPolicy(clip_frames=3, min_frames=3, clips_per_shard=1), executor=Executor(name="inline", limits=Limits()),
    )  # fmt: skip
    make_shards(config, dry_run=False)
    label_set = LabelSet(labeler="lucas-kanade", configuration={})
    write_label_set(root, label_set)
    settings = WorkerSettings(
        root=root, labeler="lucas-kanade", labeler_options={}, queries=QueryPolicy(policy="grid", num_queries=4)
    )  # fmt: skip
    stage, on_ray = LabelStage(settings=settings, label_set=label_set.name), Executor(name="ray", limits=Limits())
    totals = stage.run(  # three labelers, room for one
        on_ray, range(4), pool=PoolConfig(num_workers=3), progress=ProgressLine("labelling", 4, "clips")
    )
    assert (totals.ok, totals.shards, labelled_shards(root, label_set.name)) == (4, 4, [0, 1, 2, 3])

    added = []

    def grow(unit: int, result: str) -> None:
        if not added:
            added.append(cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20))

    work, limits = Noted(str(tmp_path)), Limits(attempts=1, part_s=8.0)
    report = run_units(work, range(75), RayTasks(make_run(work), limits), limits=limits, on_result=grow)
    assert sorted(report.results) == list(range(75))
    assert len(set(report.results.values())) == 2
