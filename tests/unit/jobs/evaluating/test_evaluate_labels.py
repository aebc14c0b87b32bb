"""The job in this process, on clips without pixels: only tracks and labels are read."""

import io
import json

import numpy as np
import pytest
import typer
from rich.console import Console

from jobs.evaluate import summary_rows, write_evaluation
from jobs.evaluating.job import EvaluatingConfig, evaluate_labels
from jobs.evaluating.report import evaluation_document
from jobs.evaluating.tables import clip_table, overall_table
from pipeline.errors import ConfigError
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.records import ClipRecord, LabelSet, TrackLabels
from pipeline.shards.index import ClipEntry, read_index, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz
from pipeline.shards.tombstones import write_tombstones

FRAMES, SIDE = 6, 256  # of the raster's own size


def true_arrays(number: int) -> dict[str, np.ndarray]:
    tracks = np.zeros((FRAMES, 4, 2), np.float32)
    tracks[..., 0] = 10 * np.arange(4) + 3 * np.arange(FRAMES)[:, None] + number
    tracks[..., 1] = 100.25
    every = np.ones((FRAMES, 4), bool)
    return {"tracks2d": tracks, "visibility": every, "track_valid": every, "query_frame": np.zeros(4, np.int32)}


@pytest.fixture(name="root")
def _root(tmp_path) -> str:
    """Two shards of three clips; the second of each is in the split train, the last clip has no arrays."""
    keys = [f"s{shard}c{clip}" for shard in range(2) for clip in range(3)]
    splits = {key: "train" if key.endswith("c1") else "val" for key in keys}
    write_plan(
        str(tmp_path),
        (PlannedClip(shard=int(key[1]), key=key, source=key, source_uri=key, source_id=key, split=splits[key]) for key in keys),
    )
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        entries = []
        with ShardWriter(tmp_path / "shards" / f"{shard:06d}.tar") as writer:
            for number, key in enumerate(keys[3 * shard : 3 * shard + 3]):
                record = ClipRecord(
                    key=key, source=key, source_id=key, split=splits[key], start_s=0.0, end_s=1.0, fps=6.0, frames=FRAMES, width=SIDE,
                    height=SIDE, codec="h264", video="h264", sha256=key, timestamps=tuple(float(t) for t in range(FRAMES)),
                )  # fmt: skip
                entry = ClipEntry(key=key, sample_key=key, tar=f"{shard:06d}.tar", source=key, source_id=key, split=splits[key])
                arrays = None if key == "s1c2" else arrays_npz(true_arrays(number))
                entries.append(writer.add(entry, TarSample(record=record, video=b"", document=b"{}", arrays=arrays)))
        write_index(str(tmp_path), shard, writer.located(entries))
    return str(tmp_path)


def label(root: str, name: str, *, off_px: float = 0.0, shards=(0, 1), failed=(), shift=0.0, extra=0, sha256=None) -> str:
    """Labels that stand `off_px` pixels beside the truth from frame 1 on."""
    label_set = LabelSet(labeler=name, configuration={"off": off_px, "shift": shift, "extra": extra})
    write_label_set(root, label_set)
    for shard in shards:
        rows = []
        for number, entry in enumerate(read_index(root, shard)):
            size = {"num_frames": FRAMES, "width": SIDE, "height": SIDE, "clip_sha256": sha256 or entry.record.sha256}
            if entry.key in failed:
                rows.append(LabelRow(key=entry.key, status="failed", error="because", **size))
                continue
            tracks = true_arrays(number)["tracks2d"] + np.float32(shift)
            tracks = np.concatenate([tracks, np.full((FRAMES, extra, 2), 200, np.float32)], axis=1)
            queries = np.column_stack([np.zeros(tracks.shape[1]), tracks[0]]).astype(np.float32)
            tracks[1:, :, 0] += np.float32(off_px)
            labels = TrackLabels(queries=queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool))
            rows.append(LabelRow(key=entry.key, status="ok", labels=labels, **size))
        write_label_shard(root, label_set.name, shard=shard, rows=rows)
    return label_set.name


def evaluate(root: str, *names: str, **options):
    return evaluate_labels(EvaluatingConfig(root=root, label_sets=names, **options))


def printed(table) -> str:
    console = Console(width=160, file=io.StringIO(), record=True)
    console.print(table)
    return console.export_text()


def test_each_clip_is_measured_and_the_errors_are_those_put_in(root):
    found = evaluate(root, label(root, "off-by-three", off_px=3.0))
    assert found.keys == ("s0c0", "s0c1", "s0c2", "s1c0", "s1c1")
    for clip in found.sets[0].clips:
        assert clip.values.average_pts_within_thresh == pytest.approx(3 / 5)  # within 4, 8, 16, not within 1, 2
        assert clip.values.median_error_px == 3
        assert clip.values.occlusion_accuracy == 1
    assert found.left_out == {"no true tracks": 1}
    assert (found.num_clips, found.clip_errors) == (6, ())


def test_sets_are_compared_on_the_clips_that_both_have(root):
    names = label(root, "one", failed=("s0c0",)), label(root, "two", off_px=1.5, shards=(0,))
    found = evaluate(root, *names)
    assert found.keys == ("s0c1", "s0c2")
    assert [[clip.key for clip in one.clips] for one in found.sets] == [["s0c1", "s0c2"]] * 2
    assert found.left_out == {f"{names[0]}: failed": 1, f"{names[1]}: not labelled": 2, "no true tracks": 1}


def test_split_and_tombstones_are_obeyed(root):
    write_tombstones(root, ["s0c1"])
    name = label(root, "one")
    assert evaluate(root, name, split="train").keys == ("s1c1",)
    assert evaluate(root, name, split="val").keys == ("s0c0", "s0c2", "s1c0")


def test_labels_that_are_no_true_points_are_left_out_and_counted(root):
    found = evaluate(root, label(root, "reseeding", extra=3))
    assert [(clip.num_tracks, clip.num_unmatched) for clip in found.sets[0].clips] == [(4, 3)] * 5
    assert any("15 labels of reseeding" in str(value) for _, value in summary_rows(found, None))


def test_a_set_on_other_points_is_bad_usage_that_names_the_policy(root):
    with pytest.raises(ConfigError, match=r"clip s0c0: none of its 4 queries is a true point .* --query-policy truth"):
        evaluate(root, label(root, "grid", shift=0.5))


def test_labels_of_another_video_are_a_clip_error(root):
    found = evaluate(root, label(root, "old", sha256="0" * 64))
    assert len(found.clip_errors) == 5
    assert "labelled on another video" in found.clip_errors[0].message
    assert found.left_out == {"cannot be read": 5, "no true tracks": 1}
    assert "0 clips" in printed(overall_table(found))
    assert evaluation_document(found)["label_sets"][0]["clips"] == []


def test_nothing_to_evaluate_is_bad_usage_that_says_why(root):
    name = label(root, "one", shards=())
    with pytest.raises(ConfigError, match=r"none of the 6 clips can be evaluated \(1 no true tracks, 5 one-[0-9a-f]{8}: not labelled\)"):
        evaluate(root, name)
    with pytest.raises(ConfigError, match="none of the 0 clips of split test can be evaluated"):
        evaluate(root, name, split="test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_sets": ()}, "no label set was given"),
        ({"label_sets": ("a", "a")}, "a label set was given twice"),
        ({"query_mode": "last"}, "--mode is 'last', expected one of first, strided"),
    ],
)
def test_a_wrong_configuration_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        EvaluatingConfig(**{"root": "r", "label_sets": ("a",), **options})


def test_the_document_holds_numbers_settings_and_who_made_the_labels(root):
    document = evaluation_document(evaluate(root, label(root, "off", off_px=3.0), query_mode="strided", split="val"))
    json.dumps(document, allow_nan=False)
    assert (document["settings"]["query_mode"], document["settings"]["split"]) == ("strided", "val")
    (one,) = document["label_sets"]
    assert one["provenance"]["configuration"] == {"off": 3.0, "shift": 0.0, "extra": 0}
    assert one["pooled"]["pts_within"] == {"1": 0.0, "2": 0.0, "4": 1.0, "8": 1.0, "16": 1.0}
    assert one["mean_over_clips"]["median_error_px"] == 3
    assert one["clips_where_defined"]["median_error_px"] == 3
    assert one["by_frames_from_query"]["num_points"] == [0, 12, 12, 12, 12, 12]


def test_the_tables_show_percent_and_the_worst_clips_first(root):
    found = evaluate(root, label(root, "good"), label(root, "off", off_px=3.0))
    overall, clips = printed(overall_table(found)), printed(clip_table(found, num_clips=2))
    assert "100.0" in overall
    assert "60.0" in overall
    assert "3.00" in overall
    assert "the 2 worst of 5 clips" in clips
    assert "s0c0" in clips
    assert "s1c1" not in clips
    assert "5 clips" in printed(clip_table(found, num_clips=9))


def test_json_and_picture_are_the_same_bytes_every_time(root, tmp_path):
    name = label(root, "off", off_px=3.0)
    for folder in ("a", "b"):
        write_evaluation(str(tmp_path / folder), evaluate(root, name))
    for file in ("evaluation.json", "evaluation.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_too_many_clips_that_cannot_be_read_are_exit_code_three(root, capsys):
    from jobs.evaluate import labels_command

    name = label(root, "old", sha256="0" * 64)
    with pytest.raises(typer.Exit) as found:
        labels_command(root=root, labels=[name], split=None, out=None, mode="first", clips=0, max_error_rate=0.05)
    assert found.value.exit_code == 3
    assert "5 of 6 went wrong, more than --max-error-rate 0.05; see the warnings above" in capsys.readouterr().err
