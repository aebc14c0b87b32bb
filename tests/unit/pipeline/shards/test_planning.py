"""The plan: what is cut, how it is stored, where it goes."""

import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.records import ClipSpec
from pipeline.shards.known import PlannedSources
from pipeline.shards.plan import PlannedClip, assign_shards, read_plan_counts, read_shard_plan, write_plan
from pipeline.shards.plan_summary import summarise_plan
from pipeline.shards.planning import Planner, group_specs, sources_of, video_mode
from pipeline.shards.policy import ClipPolicy
from pipeline.shards.probing import ProbedSource
from pipeline.shards.source_roots import SourceRoots
from pipeline.video.groups import Span
from pipeline.video.probe import VideoProbe


def probe_of(num_frames: int, key_every: int = 30, codec: str = "h264") -> VideoProbe:
    pts = np.arange(num_frames, dtype=np.int64)
    return VideoProbe(
        codec=codec, pixel_format="yuv420p", width=640, height=360, quarter_turns=0, time_base=Fraction(1, 30),
        pts=pts, key_pts=pts[::key_every], video_bytes=1000 * num_frames,
    )  # fmt: skip


def spec(name: str, **more) -> ClipSpec:
    return ClipSpec(source_uri=f"/videos/{name}", relative_uri=name, source_id=name, **more)


def plan(specs, probes, **policy) -> tuple[list[PlannedClip], list[str]]:
    """Plan into a root that holds nothing yet."""
    chosen = ClipPolicy(**policy)
    planner = Planner(group_specs(specs), chosen, PlannedSources("/nowhere"), SourceRoots())
    probed = [
        (
            0,
            ProbedSource(
                source=source, probe=probes.get(source.relative_uri), error=None if source.relative_uri in probes else "broken: drop it"
            ),
        )
        for source in sources_of(specs)
    ]
    clips = assign_shards(planner.plan(probed), clips_per_shard=chosen.clips_per_shard, bytes_per_shard=chosen.bytes_per_shard)
    return list(clips), [row.message for row in planner.errors]


def test_sources_are_planned_in_order_and_numbered_into_shards():
    clips, errors = plan([spec("b.mp4"), spec("a.mp4")], {"a.mp4": probe_of(100), "b.mp4": probe_of(200)}, clips_per_shard=3)
    assert [(clip.source, clip.first_frame, clip.num_frames, clip.shard) for clip in clips] == [
        ("a.mp4", 0, 48, 0), ("a.mp4", 48, 48, 0), ("b.mp4", 0, 48, 0), ("b.mp4", 48, 48, 1),
        ("b.mp4", 96, 48, 1), ("b.mp4", 144, 48, 1), ("b.mp4", 192, 8, 2),
    ]  # fmt: skip
    assert errors == []
    assert [clip.key[-5:] for clip in clips[2:]] == ["w0000", "w0001", "w0002", "w0003", "w0004"]


def test_the_number_of_a_clip_does_not_depend_on_other_sources():
    probes = {"a.mp4": probe_of(100), "b.mp4": probe_of(100)}
    alone, _ = plan([spec("b.mp4")], probes)
    together, _ = plan([spec("a.mp4"), spec("b.mp4")], probes)
    assert {clip.key for clip in alone} < {clip.key for clip in together}


def test_shards_by_bytes():
    clips, _ = plan([spec("a.mp4")], {"a.mp4": probe_of(240, key_every=1)}, bytes_per_shard=100_000)
    assert [clip.shard for clip in clips] == [0, 0, 1, 1, 2]  # 48 kB a clip


def test_what_cannot_be_planned_is_an_error_and_the_rest_goes_on():
    specs = [
        spec("a.mp4", start_s=0.0, end_s=1.0, row=1),
        spec("a.mp4", start_s=99.0, end_s=100.0, row=2),
        spec("short.mp4"),
        spec("bad.mp4"),
    ]
    clips, errors = plan(specs, {"a.mp4": probe_of(100), "short.mp4": probe_of(1)})
    assert [clip.source for clip in clips] == ["a.mp4"]
    assert len(errors) == 3
    assert any("row 2 (a.mp4)" in message for message in errors)
    assert any("short.mp4: 1 frames, fewer than --min-frames 6" in message for message in errors)
    assert any("broken" in message for message in errors)


def test_auto_copies_where_every_clip_begins_at_a_key_frame_and_encodes_elsewhere():
    windows = [Span(first, 48) for first in range(0, 480, 48)]
    policy = ClipPolicy()
    assert video_mode(windows, probe_of(480, key_every=24), policy) == "copy"
    assert video_mode(windows, probe_of(480, key_every=240), policy) == "h264"  # Sekai
    assert video_mode(windows, probe_of(480, key_every=36), policy) == "h264"  # a lead-in of 12 frames in one clip is one too many
    assert video_mode([*windows, Span(24, 48)], probe_of(480, key_every=48), policy) == "h264"
    assert video_mode(windows, probe_of(480, key_every=24, codec="prores"), policy) == "h264"
    assert video_mode(windows, probe_of(480, key_every=240), replace(policy, video="copy")) == "copy"


def test_the_inflation_of_sekais_form_is_shown(tmp_path):
    clips, _ = plan([spec("a.mp4")], {"a.mp4": probe_of(1800, key_every=240)}, video="copy")
    write_plan(str(tmp_path), iter(clips))
    summary = summarise_plan(str(tmp_path))
    assert (summary.clips, summary.sources, summary.frames, summary.copied_clips) == (38, 1, 1800, 38)
    assert summary.copy_inflation == pytest.approx(2.9, abs=0.2)


def test_a_plan_is_read_back_shard_by_shard(tmp_path):
    clips, _ = plan([spec("a.mp4"), spec("b.mp4")], {"a.mp4": probe_of(400), "b.mp4": probe_of(100)}, clips_per_shard=4)
    write_plan(str(tmp_path), iter(clips))
    counts = read_plan_counts(str(tmp_path))
    assert counts.shards.tolist() == [0, 1, 2]
    assert counts.counts().tolist() == [4, 4, 3]
    assert sum(counts.counts(split).sum() for split in ("train", "val", "test")) == 11
    assert read_shard_plan(str(tmp_path), 1) == clips[4:8]


def test_the_plan_hash_names_keys_and_shards(tmp_path):
    probes = {"a.mp4": probe_of(400)}
    hashes = set()
    for place, policy in enumerate([{}, {}, {"clips_per_shard": 2}, {"clip_frames": 24}]):
        clips, _ = plan([spec("a.mp4")], probes, **policy)
        write_plan(str(tmp_path / str(place)), iter(clips))
        hashes.add(read_plan_counts(str(tmp_path / str(place))).plan_hash)
    assert len(hashes) == 3


@pytest.mark.parametrize(
    "options",
    [{"video": "av1"}, {"clip_frames": 3}, {"clips_per_shard": 0}, {"split_shares": {"train": 0.5}}, {"limit": 0}, {"clip_frames": -1}],
)
def test_a_policy_that_cannot_be_is_refused(options):
    with pytest.raises(ConfigError):
        ClipPolicy(**options)


def test_a_codec_that_mp4_cannot_hold_is_not_copied_by_force():
    clips, errors = plan([spec("a.mov"), spec("b.mp4")], {"a.mov": probe_of(60, codec="prores"), "b.mp4": probe_of(60)}, video="copy")
    assert {clip.source for clip in clips} == {"b.mp4"}
    assert errors == ["a.mov: prores video cannot be copied into mp4; use --video auto or h264"]


def test_scene_cuts_without_the_extra_name_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[scenes\]'"):
        ClipPolicy(scene_cuts=True)
