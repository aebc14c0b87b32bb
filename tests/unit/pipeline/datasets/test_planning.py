import pickle
from dataclasses import dataclass

import pytest

from pipeline.datasets.planning import ConversionPolicy, identity_of, plan_sequences, sequence_of
from pipeline.datasets.source import DATASETS, SequenceInfo, make_source
from pipeline.errors import ConfigError


@dataclass
class Source:
    name: str = "set"
    license: str | None = "CC0"
    keep_images: bool = False


POLICY = ConversionPolicy(clip_frames=10, min_frames=4, clips_per_shard=3)


def plan(*sequences: SequenceInfo, policy: ConversionPolicy = POLICY, source: Source | None = None):
    return plan_sequences(source or Source(), sequences, policy)


def test_windows_of_every_sequence_in_order_and_in_shards():
    planned = plan(SequenceInfo(name="a/left", num_frames=25), SequenceInfo(name="b", num_frames=23))
    assert [(clip.source, clip.first_frame, clip.num_frames, clip.shard) for clip in planned.clips] == [
        ("a/left", 0, 10, 0),
        ("a/left", 10, 10, 0),
        ("a/left", 20, 5, 0),
        ("b", 0, 10, 1),
        ("b", 10, 10, 1),  # the tail of three is below min_frames
    ]
    assert len({clip.key for clip in planned.clips}) == 5
    assert planned.clips[0].key.startswith("a-left-")


def test_a_sequence_that_is_too_short_is_an_error():
    planned = plan(SequenceInfo(name="a", num_frames=3), SequenceInfo(name="b", num_frames=10))
    assert [clip.source for clip in planned.clips] == ["b"]
    assert planned.errors[0].source == "a"
    assert "3 frames, fewer than --min-frames 4" in planned.errors[0].message


def test_a_prescribed_split_is_obeyed_and_a_scene_shares_one_otherwise():
    policy = ConversionPolicy(clip_frames=10, split_shares={"train": 0.5, "val": 0.5})
    sequences = [SequenceInfo(name=f"{scene}/{camera}", num_frames=10, scene=str(scene)) for scene in range(40) for camera in "lr"]
    clips = plan(*sequences, policy=policy).clips
    splits = {(clip.source_id, clip.split) for clip in clips}
    assert len(splits) == 40
    assert {split for _, split in splits} == {"train", "val"}
    assert plan(SequenceInfo(name="0/l", num_frames=10, split="test"), policy=policy).clips[0].split == "test"


def test_equal_names_in_two_datasets_have_different_keys():
    one, two = (plan(SequenceInfo(name="a", num_frames=10), source=Source(name=name)).clips[0] for name in ("x", "y"))
    assert one.key != two.key


def test_a_worker_finds_the_sequence_in_the_plan():
    sequence = SequenceInfo(name="a", num_frames=25, split="val", scene="s", extra={"folder": "x/y", "fps": 12.5})
    assert sequence_of(plan(sequence).clips[1]) == sequence


def test_evaluation_sets_are_planned_as_images():
    assert plan(SequenceInfo(name="a", num_frames=10), source=Source(keep_images=True)).clips[0].video == "images"


@pytest.mark.parametrize("change", [{"num_frames": 26}, {"extra": {"pass": "clean"}}, {"split": "val"}])
def test_whatever_changes_the_content_changes_the_identity(change):
    before = {"name": "a", "num_frames": 25, "extra": {"pass": "final"}}
    one, two = (identity_of("set", [SequenceInfo(**fields)], POLICY) for fields in (before, {**before, **change}))
    assert one.inputs_sha256 != two.inputs_sha256
    assert one == identity_of("set", [SequenceInfo(**before)], POLICY)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clip_frames": 3}, "below --min-frames"),
        ({"clip_stride": 0}, "--clip-stride is 0"),
        ({"clip_frames": 0, "clip_stride": 5}, "--clip-stride needs"),
        ({"long_side": 8}, "--long-side is 8"),
        ({"quality": 52}, "--quality is 52"),
        ({"reprojected_tracks": -1}, "--reprojected-tracks is -1"),
        ({"split_shares": {"train": 0.5}}, "add up to 1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        ConversionPolicy(**fields)


def test_sources_are_made_by_name_with_their_options(tmp_path):
    source = make_source("kubric", str(tmp_path), license="mine", fps=24.0)
    assert (source.name, source.license) == ("kubric", "mine")
    with pytest.raises(ConfigError, match="unknown dataset 'kubrik'; known are .*kubric"):
        make_source("kubrik", str(tmp_path))
    with pytest.raises(ConfigError, match="dataset point-odyssey has no option trust_pickle; its options are license, fps"):
        make_source("point-odyssey", str(tmp_path), trust_pickle=True)
    with pytest.raises(ConfigError, match="cannot import 'nowhere'"):
        make_source("nowhere:Source", str(tmp_path))


@pytest.mark.parametrize("name", DATASETS)
def test_every_source_bears_its_name_travels_to_workers_and_refuses_a_folder_without_its_files(name, tmp_path):
    (tmp_path / "notes.md").write_text("nothing of a dataset")
    source = pickle.loads(pickle.dumps(make_source(name, str(tmp_path))))
    assert source.name == name
    assert source.license
    with pytest.raises(ConfigError, match=f"no {name} sequence found, expected files such as"):
        source.sequences()
