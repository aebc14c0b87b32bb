"""What jobs/pseudolabel.py makes of its options, and what it says at its end."""

import sys
from dataclasses import replace

import pytest

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, LabelingOutcome, describe
from jobs.labeling.screened import ScreenedShards
from jobs.labeling.stage import LabelTotals
from jobs.pseudolabel import summary_rows
from labelers import QueryPolicy
from pipeline.errors import ConfigError

PLACED = """
from labelers import LabelerProvenance

class Placed:
    def __init__(self, *, window=3, device="cpu"):
        assert device == "cpu", "the driver has no GPU"
        self.window, self.device = window, device

    def label(self, clips): ...

    def provenance(self):
        return LabelerProvenance(name="placed", options={"window": self.window, "device": self.device}, visibility_rule="always")
"""


@pytest.fixture
def _placed(tmp_path, monkeypatch):
    (tmp_path / "placed_labeler.py").write_text(PLACED)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("placed_labeler", None)


def config(labeler: str = "placed_labeler:Placed", executor: str = "inline", **fields) -> LabelingConfig:
    options = fields.pop("options", {})
    runs = Executor(name=executor, limits=Limits())
    return LabelingConfig(root="r", labeler=labeler, labeler_options=options, queries=QueryPolicy(), executor=runs, **fields)


@pytest.mark.usefixtures("_placed")
def test_where_the_labels_are_made_does_not_change_the_label_set():
    on_cpu = describe(config())
    assert describe(config(num_gpus_per_worker=1)) == on_cpu
    assert describe(config(options={"device": "cuda:3"})) == on_cpu
    assert describe(config(options={"window": 4})).name != on_cpu.name


@pytest.mark.usefixtures("_placed")
def test_the_screen_and_the_way_back_are_part_of_the_label_set_where_there_are_any():
    plain = describe(config())
    assert set(plain.configuration) == {"options", "queries", "visibility_rule"}
    assert describe(config(screen="ignore")) == plain
    screened, back = describe(config(), screen="0123456789abcdef"), describe(config(cycle=True))
    assert screened.configuration == {**plain.configuration, "screen": "0123456789abcdef"}
    assert back.configuration == {**plain.configuration, "cycle": True}
    assert len({plain.name, screened.name, back.name}) == 3


@pytest.mark.parametrize(
    ("queries", "name"),
    [
        (QueryPolicy(policy="truth"), "dis-flow-4b0339b1"),
        (QueryPolicy(num_query_frames=1), "dis-flow-cffc4e13"),
        (QueryPolicy(policy="grid", num_queries=100, num_query_frames=1), "dis-flow-0aac7930"),
    ],
)
def test_the_options_of_older_label_sets_still_give_their_names(queries, name):
    assert describe(replace(config("dis-flow"), queries=queries)).name == name


@pytest.mark.usefixtures("_placed")
def test_the_grant_of_a_worker_is_its_threads_and_its_device():
    settings = config(num_cpus_per_worker=2.5, num_gpus_per_worker=0.5, frames_in_memory=7).worker("r")
    assert (settings.threads, settings.labeler_options, settings.frames_in_memory) == (2, {"device": "cuda"}, 7)
    assert config(num_cpus_per_worker=0.5).worker("r").threads == 1
    with pytest.raises(ConfigError, match="dis-flow runs on the CPU"):
        config("dis-flow", num_gpus_per_worker=1).worker("r")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"num_gpus_per_worker": 1.5}, "--num-gpus-per-worker is 1.5: a worker has a part of one GPU, or whole ones"),
        ({"num_gpus_per_worker": -1}, "not negative"),
        ({"executor": "ray", "num_workers": 0}, "--num-workers must be at least 1"),
        ({"clips_per_batch": 0}, "--clips-per-batch is 0, expected at least 1"),
        ({"frames_in_memory": -1}, "--frames-in-memory is -1, expected 0"),
        ({"num_workers": 2}, "inline has one worker"),
        ({"screen": "perhaps"}, "--screen is 'perhaps', expected obey or ignore"),
    ],
)
def test_a_grant_that_cannot_be_is_refused(fields, says):
    with pytest.raises(ConfigError, match=says):
        config(**fields)


def outcome(**totals) -> LabelingOutcome:
    sums = LabelTotals(ok=4, quarantined=1, values=6000, busy_s=30.0, waited_s=10.0, **totals)
    return LabelingOutcome(label_set="s", totals=sums, num_clips=5, num_shards=1, already_done=0, not_cut=0, elapsed_s=20.0)


def test_the_summary_says_speed_and_who_stood_idle():
    rows = dict(summary_rows(outcome(), 0))
    assert rows["speed"] == "300 points per second in all, 200 of one labeler at work"
    assert rows["waiting"] == "25% of the labelers' time went by waiting for frames"
    assert dict(summary_rows(outcome(), 1))["waiting"] == "the GPUs stood idle 25% of the time, waiting for frames"
    assert "at most" in dict(summary_rows(outcome(), 0.5))["waiting"]
    assert "quarantined 1" in rows["failed"]


def test_the_summary_counts_degraded_clips_when_there_are_any():
    assert "degraded" not in dict(summary_rows(outcome(), 0))
    assert dict(summary_rows(outcome(degraded=2), 0))["degraded"].startswith("2 clips labelled otherwise")


def test_the_summary_says_what_the_screen_saved():
    saved = ScreenedShards(clips=10, frames=400, clips_dropped=3, frames_dropped=100, reasons=(("static", 2), ("dark", 1)))
    assert "screen" not in dict(summary_rows(outcome(), 0))
    rows = dict(summary_rows(replace(outcome(), screened=saved), 0))
    assert rows["screen"] == "3 of 10 clips left out (2 static, 1 dark): 100 of 400 frames (25.0%)"
