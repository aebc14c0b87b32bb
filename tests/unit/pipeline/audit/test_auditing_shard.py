"""One shard through the audit: every way in which a clip can be without usable labels ends as its verdict, and the others go on."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.audit.auditing_shard import audit_clip, audit_shard
from pipeline.audit.labelled_clips import AuditSettings
from pipeline.audit.stored.audit_rows import iterate_audit_shard
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.stored.screen import ScreenRow, write_screen
from pipeline.audit.verdict import ClipRules, verdict_of
from pipeline.errors import DataError, StorageError
from pipeline.labels import LabelRow, write_label_shard
from pipeline.layout import Layout
from pipeline.records import ClipFrames, TrackLabels
from pipeline.shards.errors_table import read_errors
from pipeline.shards.index import read_index
from pipeline.shards.tombstones import write_tombstones
from tests.labelled_dataset import LabelledClip, write_dataset, write_labels
from tests.made_frames import peak_bytes


@pytest.fixture
def good(moving_plane) -> LabelledClip:
    return LabelledClip(key="good", grey=moving_plane.grey, labels=moving_plane.labels, license="CC0-1.0")


def settings(root, label_set: str, **changed: object) -> AuditSettings:
    default = AuditSettings(
        root=str(root), audit="judged", label_set=label_set, rules=ClipRules(), calibration=None, cycle="none", second=None, screened=False
    )
    return replace(default, **changed)


def audited(to_do: AuditSettings, **arguments) -> dict[str, ClipAudit]:
    audit_shard(to_do, 0, arguments.pop("crashed", {}), **arguments)
    return {clip.key: clip for clip in iterate_audit_shard(to_do.root, to_do.audit, 0)}


def test_good_labels_are_kept_with_all_that_is_known_of_the_clip(tmp_path, good):
    to_do = settings(tmp_path, write_dataset(tmp_path, [[good]]))
    done = audit_shard(to_do, 0, {})
    (clip,) = iterate_audit_shard(str(tmp_path), "judged", 0)
    assert (clip.verdict.decision, clip.verdict.reasons, clip.error) == ("keep", (), None)
    assert (clip.num_frames, clip.width, clip.height, clip.license, clip.video_s) == (24, 128, 96, "CC0-1.0", pytest.approx(0.8))
    assert clip.clip_sha256 == read_index(str(tmp_path), 0)[0].record.sha256
    assert (done.clips, done.errors, done.video_s) == (1, 0, pytest.approx(0.8))
    assert clip.tracks.weight.shape == (64,)
    assert read_errors(str(tmp_path), "audit/judged") == []


def test_clips_without_labels_say_why_and_are_no_errors(tmp_path, good):
    statuses = {
        "screened": ("drop", "screened"),
        "failed": ("quarantine", "label_failed"),
        "quarantined": ("quarantine", "label_quarantined"),
    }
    clips = [LabelledClip(key=status, grey=good.grey, status=status) for status in statuses]
    to_do = settings(tmp_path, write_dataset(tmp_path, [[*clips, LabelledClip(key="never-cut"), good, replace(good, key="forgotten")]]))
    write_tombstones(str(tmp_path), keys=["forgotten"])
    found = audited(to_do)
    for status, (decision, reason) in statuses.items():
        assert (found[status].verdict.decision, found[status].verdict.reasons) == (decision, (reason,))
        assert found[status].tracks is None
    assert found["failed"].error == "the labeler gave up"
    assert found["never-cut"].verdict.reasons == ("label_failed",)
    assert found["forgotten"].verdict.reasons == ("tombstoned",)
    assert found["forgotten"].clip_sha256 is None
    assert found["good"].verdict.decision == "keep"
    assert list(found) == [*statuses, "never-cut", "good", "forgotten"]


def of_another_video(root, label_set, clip):
    write_label_shard(
        str(root), label_set, shard=0,
        rows=[LabelRow(key="good", status="ok", labels=clip.labels, clip_sha256="ab" * 32, num_frames=24, width=128, height=96)],
    )  # fmt: skip


def of_another_size(root, label_set, clip):
    sha256 = read_index(str(root), 0)[0].record.sha256
    write_label_shard(
        str(root), label_set, shard=0,
        rows=[LabelRow(key="good", status="ok", labels=clip.labels, clip_sha256=sha256, num_frames=24, width=256, height=96)],
    )  # fmt: skip


def of_other_clips(root, label_set, clip):
    write_labels(root, label_set, 0, [replace(clip, key="another")])


def rewritten(root, label_set, change):
    """Change a column of the label file as another tool could."""
    import pyarrow.parquet as pq

    uri = Layout(str(root)).label_shard(label_set, 0)
    table = pq.read_table(uri)
    name, column = change(table)
    pq.write_table(table.set_column(table.schema.names.index(name), name, column), uri)


def with_nan(root, label_set, clip):
    import pyarrow as pa

    rewritten(root, label_set, lambda table: ("query_x", pa.array([[float("nan")] * 64], table.schema.field("query_x").type)))


def with_short_lists(root, label_set, clip):
    import pyarrow as pa

    rewritten(root, label_set, lambda table: ("tracks_y", pa.array([[1, 2, 3]], table.schema.field("tracks_y").type)))


def with_nulls(root, label_set, clip):
    import pyarrow as pa

    rewritten(root, label_set, lambda table: ("visibility", pa.array([None], table.schema.field("visibility").type)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (of_another_video, "labelled on another video"),
        (of_another_size, "labels are for"),
        (of_other_clips, "no row for clip good"),
        (with_nan, "queries holds NaN"),
        (with_short_lists, "cannot reshape"),
        (with_nulls, "visibility is null"),
    ],
)
def test_labels_that_contradict_the_clip_or_the_format_are_errors(tmp_path, good, spoil, message):
    name = write_dataset(tmp_path, [[good]])
    spoil(tmp_path, name, good)
    (clip,) = audited(settings(tmp_path, name)).values()
    assert clip.verdict.reasons == ("contract",)
    assert message in clip.error
    assert "good" in clip.error
    (row,) = read_errors(str(tmp_path), "audit/judged")
    assert (row.key, row.source, row.exception, row.message) == ("good", "good.mp4", "contract", clip.error)


def test_a_damaged_video_and_one_that_kills_are_unreadable(tmp_path, good):
    to_do = settings(tmp_path, write_dataset(tmp_path, [[good, replace(good, key="deadly"), replace(good, key="whole")]]))
    with (tmp_path / "shards/000000.tar").open("r+b") as tar:
        tar.seek(read_index(str(tmp_path), 0)[0].images[3].offset + 40)
        tar.write(b"damage")
    found = audited(to_do, crashed={"deadly": "deadly: killed its worker 2 times"})
    assert [found[key].verdict.reasons for key in ("good", "deadly", "whole")] == [("unreadable",), ("unreadable",), ()]
    assert "damaged or replaced" in found["good"].error
    assert found["deadly"].error == "deadly: killed its worker 2 times"


def test_a_missing_tar_commits_nothing(tmp_path, good):
    to_do = settings(tmp_path, write_dataset(tmp_path, [[good]]))
    (tmp_path / "shards/000000.tar").unlink()
    with pytest.raises(StorageError, match=r"000000\.tar"):
        audit_shard(to_do, 0, {})
    assert not list((tmp_path / "audit/judged").glob("*"))


def test_the_screen_counts(tmp_path, good):
    to_do = settings(tmp_path, write_dataset(tmp_path, [[good, replace(good, key="second"), replace(good, key="third")]]), screened=True)
    sha256 = read_index(str(tmp_path), 0)[0].record.sha256
    write_screen(
        str(tmp_path),
        0,
        [
            ScreenRow(key="good", verdict=verdict_of(["letterbox"]), rules="screen-1", clip_sha256=sha256),
            ScreenRow(key="second", verdict=verdict_of([]), rules="screen-1", clip_sha256="cd" * 32),
            ScreenRow(key="third", verdict=verdict_of(["unreadable"]), rules="screen-1", clip_sha256=sha256, error="does not decode"),
        ],
    )
    found = audited(to_do)
    assert (found["good"].verdict.decision, found["good"].verdict.reasons) == ("quarantine", ("letterbox",))
    assert found["good"].tracks is not None
    assert "screened on another video" in found["second"].error
    assert (found["third"].verdict.reasons, found["third"].error) == (("unreadable",), "does not decode")


def test_a_stored_cycle_counts_only_where_it_is_asked_for(tmp_path, good, moving_plane):
    error = np.full(64, 3.0, np.float32)
    clip = replace(good, labels=replace(moving_plane.labels, cycle_error_px=error))
    name = write_dataset(tmp_path, [[clip]])
    stored = audit_clip(settings(tmp_path, name, cycle="stored"), 0, "good")
    ignored = audit_clip(settings(tmp_path, name, cycle="none"), 0, "good")
    np.testing.assert_allclose(stored.tracks.measures["fb_cycle"], 3.0 * 256 / np.sqrt(96 * 128), rtol=1e-6)
    assert stored.measures.survival_4 == 0.0
    assert np.isnan(ignored.tracks.measures["fb_cycle"]).all()


def test_tracks_are_followed_back_again_and_a_way_back_that_fails_costs_the_cycle_alone(tmp_path, good, moving_plane):
    from pipeline.audit.tracks.cycle import cycle_queries

    def back(clip: ClipFrames, labels: TrackLabels) -> TrackLabels:
        assert clip.reader.shape == (24, 96, 128)
        assert len(list(clip.reader)) == 24
        return moving_plane.follow_reversed(cycle_queries(labels, height=96, width=128))

    def lost(clip: ClipFrames, labels: TrackLabels) -> TrackLabels:
        raise DataError("no way back")

    to_do = settings(tmp_path, write_dataset(tmp_path, [[good]]), cycle="retrack")
    assert audit_shard(to_do, 0, {}, back).ways_lost == 0
    (clip,) = iterate_audit_shard(str(tmp_path), "judged", 0)
    assert clip.tracks.measures["fb_cycle"].max() < 0.1
    assert clip.measures.survival_4 == 1.0
    assert audit_shard(to_do, 0, {}, lost).ways_lost == 1
    (clip,) = iterate_audit_shard(str(tmp_path), "judged", 0)
    assert clip.verdict.decision == "keep"
    assert np.isnan(clip.tracks.measures["fb_cycle"]).all()


def test_a_second_label_set_is_asked_where_it_has_labels(tmp_path, good, moving_plane):
    shifted = replace(moving_plane.labels, tracks_px=moving_plane.labels.tracks_px + np.float32([3.0, 0.0]))
    first = write_dataset(tmp_path, [[good, replace(good, key="alone")]])
    second = write_dataset(
        tmp_path, [[replace(good, labels=shifted), replace(good, key="alone", labels=None, status="failed")]], labeler="other"
    )
    found = audited(settings(tmp_path, first, second=second))
    known = ~np.isnan(found["good"].tracks.measures["disagree_median"])
    assert known.all()
    np.testing.assert_allclose(found["good"].tracks.measures["disagree_median"], 6.0, rtol=0.02)  # 3 px of 128 on the raster
    assert np.isnan(found["alone"].tracks.measures["disagree_median"]).all()


def test_a_clip_that_the_shard_does_not_have_is_named(tmp_path, good):
    with pytest.raises(DataError, match="no clip elsewhere"):
        audit_clip(settings(tmp_path, write_dataset(tmp_path, [[good]])), 0, "elsewhere")


def test_the_smallest_clips_are_judged_like_others(tmp_path, good, moving_plane):
    whole = moving_plane.labels
    one_frame = replace(whole, tracks_px=whole.tracks_px[:1], visibility=whole.visibility[:1])
    no_tracks = replace(whole, queries=whole.queries[:0], tracks_px=whole.tracks_px[:, :0], visibility=whole.visibility[:, :0])
    clips = [
        LabelledClip(key="one-frame", grey=good.grey[:1], labels=one_frame),
        LabelledClip(key="no-tracks", grey=good.grey, labels=no_tracks),
    ]
    found = audited(settings(tmp_path, write_dataset(tmp_path, [clips])))
    assert found["one-frame"].verdict.decision == "keep"  # its 64 points were asked for in this frame: nothing is known against them
    assert not found["one-frame"].tracks.weight.any()  # and nothing for them
    assert found["no-tracks"].verdict.reasons == ("few_tracks",)
    assert found["no-tracks"].tracks.ncc.shape == (24, 0)


def test_of_a_stored_clip_no_more_pictures_are_held_the_longer_it_is(tmp_path):
    def clip(num_frames: int) -> LabelledClip:
        grey = np.full((num_frames, 120, 160), 40, np.uint8)
        for frame, picture in enumerate(grey):
            picture[30:90, frame % 60 :][:, :60] = 200  # so plain that its encoded pictures weigh next to nothing
        labels = TrackLabels(
            queries=np.array([[0, 80, 60]], np.float32),
            tracks_px=np.full((num_frames, 1, 2), (80, 60), np.float32),
            visibility=np.ones((num_frames, 1), bool),
        )
        return LabelledClip(key=f"long-{num_frames}", grey=grey, labels=labels)

    to_do = settings(tmp_path, write_dataset(tmp_path, [[clip(30), clip(150)]]))
    audit_clip(to_do, 0, "long-30")  # what is allocated once
    grown = peak_bytes(audit_clip, to_do, 0, "long-150") - peak_bytes(audit_clip, to_do, 0, "long-30")
    assert grown < 20 * 120 * 160  # a sixth of the grey frames that were added
