from dataclasses import dataclass

import numpy as np
import pytest

from jobs.converting.job import ConvertingConfig, convert
from jobs.converting.report import report
from jobs.execution.held import BrokenStageError
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from pipeline.datasets.planning import ConversionPolicy
from pipeline.datasets.source import SequenceInfo
from pipeline.errors import ConfigError, DataError
from pipeline.records.truth import TruthClip
from pipeline.shards.plan import read_plan_counts


@dataclass
class Shades:
    """Grey clips; those of `bad` do not read."""

    num: int = 4
    bad: tuple[str, ...] = ()
    keep_images: bool = False
    name: str = "shades"
    license: str | None = None

    def sequences(self):
        return [SequenceInfo(name=f"s{number}", num_frames=8) for number in range(self.num)]

    def read(self, sequence, first_frame, num_frames):
        if sequence.name in self.bad:
            raise DataError(f"{sequence.name} is gone; fetch it again")
        frames = np.full((num_frames, 32, 32, 3), 10 * int(sequence.name[1:]), np.uint8)
        return TruthClip(frames=frames, frame_times=np.arange(num_frames) / 25)


def config(tmp_path, **policy) -> ConvertingConfig:
    chosen = ConversionPolicy(clip_frames=8, clips_per_shard=2, **policy)
    return ConvertingConfig(root=str(tmp_path), executor=Executor(name="inline", limits=Limits()), policy=chosen)


def test_what_fails_is_counted_and_the_rest_committed(tmp_path):
    outcome = convert(Shades(bad=("s1",)), config(tmp_path), dry_run=False)
    assert (outcome.plan.clips, outcome.num_errors, outcome.failed_clips) == (4, 1, 1)
    assert "s1 is gone" in outcome.first_errors[0].message
    assert report(outcome, str(tmp_path), 0.5) == 0
    assert report(outcome, str(tmp_path), 0.05) == 3


def test_a_source_that_is_repaired_needs_another_root_only_if_its_listing_changed(tmp_path):
    convert(Shades(), config(tmp_path), dry_run=False)
    convert(Shades(), config(tmp_path), dry_run=False)
    with pytest.raises(ConfigError, match="made with other inputs or options"):
        convert(Shades(num=5), config(tmp_path), dry_run=False)


def test_a_dry_run_that_cannot_convert_its_first_clip_fails(tmp_path):
    outcome = convert(Shades(bad=("s0",)), config(tmp_path), dry_run=True)
    assert "s0 is gone" in str(outcome.estimate.error)
    assert report(outcome, str(tmp_path), 0.5) == 1
    assert not (tmp_path / "shards").exists()
    assert read_plan_counts(str(tmp_path)).counts().tolist() == [2, 2]


def test_an_evaluation_set_is_never_made_smaller(tmp_path):
    with pytest.raises(ConfigError, match="leave --long-side out"):
        convert(Shades(keep_images=True), config(tmp_path, long_side=64), dry_run=False)


def test_a_source_without_sequences_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no sequence found"):
        convert(Shades(num=0), config(tmp_path), dry_run=False)


@dataclass
class Mistaken(Shades):
    """A reader with a mistake in it."""

    def read(self, sequence, first_frame, num_frames):
        if sequence.name in self.bad:
            raise KeyError("depth")
        return super().read(sequence, first_frame, num_frames)


@pytest.mark.unexpected
def test_a_mistake_in_a_reader_is_counted_apart_and_costs_its_clip(tmp_path, capsys):
    outcome = convert(Mistaken(bad=("s1",)), config(tmp_path), dry_run=False)
    (row,) = outcome.unexpected
    assert (row.source, row.exception, outcome.failed_clips) == ("s1", "KeyError", 1)
    assert row.message.startswith(f"clip {row.key}: unexpected KeyError at test_converting_job.py:")
    assert report(outcome, str(tmp_path), 0.05) == 3
    assert "KeyError: 'depth'" in capsys.readouterr().err


@pytest.mark.unexpected
def test_a_reader_that_reads_nothing_stops_the_conversion(tmp_path):
    with pytest.raises(BrokenStageError, match="the first 20 parts .*KeyError at .*test_converting_job.py"):
        convert(Mistaken(num=30, bad=tuple(f"s{number}" for number in range(30))), config(tmp_path), dry_run=False)
    assert not list(tmp_path.glob("shards/*"))
