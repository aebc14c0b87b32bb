"""Stages say which part they are at: all of them, by the names and in the order that the crash rule knows."""

from jobs.auditing.stages import ScreenStage
from jobs.evaluating.shard_results import ShardResults
from jobs.evaluating.stage import EvaluateStage
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from jobs.sharding.stages import CutStage, ProbeStage
from pipeline.audit.verdict import ScreenRules
from pipeline.border import noting_parts
from pipeline.manifest import ManifestOptions
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import Source
from tests.evaluated_dataset import label, write_root


class Noted:
    """Stands for PartAtWork, and remembers every part."""

    def __init__(self) -> None:
        self.names, self.changes = [], 0

    @property
    def name(self):
        return self.names[-1] if self.names else None

    @name.setter
    def name(self, value):
        self.names.append(value)


def parts_of(stage) -> list[str | None]:
    """The parts that unit 0 comes to; they must be its own, and then the commit."""
    noted = Noted()
    with noting_parts(noted):
        stage.run(0, {})
    assert noted.names == [*stage.parts(0), None]
    return noted.names[:-1]


def test_probing_cutting_and_screening_say_each_part(make_video, tmp_path):
    sources = [Source(uri=str(make_video(f"v/{name}.mp4", num_frames=12, size=(48, 64))), relative_uri=f"{name}.mp4") for name in "ab"]
    policy, root = ClipPolicy(clip_frames=4, min_frames=3), str(tmp_path / "root")
    config = ShardingConfig(
        inputs=(str(tmp_path / "v"),), root=root, preset="auto", manifest=ManifestOptions(), policy=policy,
        executor=Executor(name="inline", limits=Limits()),
    )  # fmt: skip
    make_shards(config, dry_run=False)
    assert parts_of(ProbeStage(None, {0: sources}, policy)) == ["a.mp4", "b.mp4"]
    cut = parts_of(CutStage(root, policy, {0: 6}))
    assert len(cut) == 6
    assert parts_of(ScreenStage(root, ScreenRules(), {0: 6})) == cut


def test_evaluating_says_each_part(tmp_path):
    root = write_root(tmp_path)
    results = ShardResults(folder=None, made_from={0: ""})
    stage = EvaluateStage(root=root, label_sets=(label(root, "off"),), split=None, query_mode="first", sizes={0: 3}, results=results)
    assert parts_of(stage) == ["s0c0", "s0c1", "s0c2"]
