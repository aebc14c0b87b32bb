"""One labeler at work on clips of a small dataset, in this process."""

import sys
import threading
import time

import numpy as np
import pytest
import torch

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.shards import LabelItem, items_of
from jobs.labeling.worker import LabelledItem, LabelWorker, WorkerSettings
from jobs.sharding.job import ShardingConfig, make_shards
from labelers import QueryPolicy
from pipeline.audit.stored.screen import ScreenRow, write_screen
from pipeline.audit.verdict import verdict_of
from pipeline.errors import ConfigError
from pipeline.manifest import ManifestOptions
from pipeline.shards.index import read_index
from pipeline.shards.policy import ClipPolicy

LABELERS = """
import numpy as np, torch
from labelers import LabelerProvenance
from pipeline.errors import ConfigError, MemoryExhausted
from pipeline.records import TrackLabels

class Sized:
    '''Stands still. Fits `most` clips of `frames` frames at a time; `kinds` notes what the readers were, and torch's threads.'''

    def __init__(self, *, most=9, frames=99, gives=None, device="cpu", degraded=None, back=True):
        self.most, self.frames, self.gives, self.degraded, self.back = most, frames, gives, degraded, back
        self.kinds = []

    def label(self, clips):
        self.kinds.append((type(clips[0].reader).__name__, torch.get_num_threads()))
        if not self.back and type(clips[0].reader).__name__ == "ReversedFrames":
            raise ValueError("no way back")
        if len(clips) > self.most or max(clip.reader.shape[0] for clip in clips) > self.frames:
            raise MemoryExhausted(f"clip {clips[0].key}: too large")
        return [self.label_one(clip) for clip in clips][: self.gives]

    def label_one(self, clip):
        self.num_frames = sum(1 for _ in clip.reader)
        self.waited_s = getattr(clip.reader, "waited_s", 0.0)
        tracks = np.repeat(clip.queries[None, :, 1:], clip.reader.shape[0], axis=0)
        return TrackLabels(queries=clip.queries, tracks_px=tracks, visibility=np.ones(tracks.shape[:2], bool), degraded=self.degraded)

    def provenance(self):
        return LabelerProvenance(name="sized", options={}, visibility_rule="always")
"""


@pytest.fixture
def root(make_video, tmp_path, monkeypatch) -> str:
    """One shard of clips of 12, 12 and 6 frames."""
    (tmp_path / "sized.py").write_text(LABELERS)
    monkeypatch.syspath_prepend(tmp_path)
    make_video("v/a.mp4", num_frames=30)
    config = ShardingConfig(
        inputs=(str(tmp_path / "v"),),
        root=str(tmp_path / "root"),
        preset="auto",
        manifest=ManifestOptions(),
        policy=ClipPolicy(clip_frames=12),
        executor=Executor(name="inline", limits=Limits()),
    )
    make_shards(config, dry_run=False)
    yield str(tmp_path / "root")
    sys.modules.pop("sized", None)


def whole_shard(root: str) -> LabelItem:
    (item,) = items_of(0, read_index(root, 0), 3)
    return item


def label(root: str, labeler: str = "sized:Sized", **options) -> LabelledItem:
    return LabelWorker(settings(root, labeler, **options)).label_item(whole_shard(root))


def settings(root: str, labeler: str = "sized:Sized", *, policy: str = "grid", **options) -> WorkerSettings:
    """Settings; an option that is none of theirs is the labeler's."""
    ours = {name: options.pop(name) for name in ("frames_in_memory", "cycle", "screened") if name in options}
    queries = QueryPolicy(policy=policy, num_queries=20, num_query_frames=3)
    return WorkerSettings(root=root, labeler=labeler, labeler_options=options, queries=queries, **ours)


def rows(labelled: LabelledItem) -> list[tuple[int, str, str | None, str | None]]:
    return [tuple(row.values()) for row in labelled.table.select(["num_frames", "status", "error", "notes"]).to_pylist()]


@pytest.mark.parametrize("labeler", ["dis-flow", "lucas-kanade"])
@pytest.mark.parametrize("policy", ["grid", "corners", "sift"])
def test_labels_do_not_depend_on_whether_a_clip_lies_in_memory(root, labeler, policy):
    in_memory = label(root, labeler, policy=policy)
    assert in_memory.summary.ok == 3
    for frames_in_memory in (0, 6):
        assert label(root, labeler, policy=policy, frames_in_memory=frames_in_memory).table.equals(in_memory.table)


def cycle_errors(labelled: LabelledItem) -> list[np.ndarray]:
    return [np.array(row) for row in labelled.table["cycle_error_px"].to_pylist()]


def test_cycle_errors_do_not_depend_on_whether_a_clip_lies_in_memory(root, monkeypatch):
    labeler = "lucas-kanade"
    in_memory = label(root, labeler, cycle=True)
    errors = cycle_errors(in_memory)
    assert [error.shape for error in errors] == [(20,)] * 3
    assert all(np.isfinite(error).sum() >= 10 and np.nanmedian(error) < 0.5 for error in errors)
    monkeypatch.setattr("jobs.labeling.cycle.BLOCK_BYTES", 5 * 96 * 160 * 3)
    streamed = label(root, labeler, cycle=True, frames_in_memory=0)
    for here, there in zip(cycle_errors(streamed), errors, strict=True):
        np.testing.assert_array_equal(here, there)
    without = label(root, labeler)
    assert without.table["cycle_error_px"].null_count == 3
    for labelled in (in_memory, streamed):
        assert labelled.table.drop("cycle_error_px").equals(without.table.drop("cycle_error_px"))


def test_tracks_that_were_re_seeded_are_followed_back_too(root):
    seeded = label(root, "lucas-kanade", cycle=True, reseed_below=1.0, reseed_every=4)
    num_tracks = seeded.table["num_tracks"].to_pylist()
    assert [len(errors) for errors in cycle_errors(seeded)] == num_tracks
    assert sum(num_tracks) > 3 * 20


@pytest.mark.unexpected
def test_a_way_back_that_fails_costs_the_cycle_error_not_the_labels(root):
    labelled = label(root, cycle=True, back=False, degraded="rung 2")
    assert labelled.table["cycle_error_px"].null_count == 3
    for key, (_, status, error, notes) in zip(labelled.table["key"].to_pylist(), rows(labelled), strict=True):
        assert (status, error) == ("ok", None)
        assert (
            notes == f"rung 2; no cycle error, the way back failed: clip {key}: unexpected ValueError at sized.py:17 in label: no way back"
        )
    assert (labelled.summary.ok, labelled.summary.degraded) == (3, 3)


def test_only_a_labelled_clip_is_followed_back(root):
    labelled = label(root, frames=6, cycle=True)
    assert [status for _, status, _, _ in rows(labelled)] == ["quarantined", "quarantined", "ok"]
    np.testing.assert_allclose(cycle_errors(labelled)[2], np.zeros(20), atol=0.03)  # stands still; positions are stored in 1/32 px


def test_what_the_screen_dropped_is_not_read(root):
    keys = [entry.key for entry in read_index(root, 0)]
    shas = [entry.record.sha256 for entry in read_index(root, 0)]
    found = [["static", "overlay"], ["letterbox"], []]
    screen = [
        ScreenRow(key=key, verdict=verdict_of(why), rules="r", clip_sha256=sha) for key, sha, why in zip(keys, shas, found, strict=True)
    ]
    write_screen(root, 0, screen)
    labelled = label(root, screened=True)
    assert [(status, error) for _, status, error, _ in rows(labelled)] == [
        ("screened", "dropped by the screen: static, overlay"),
        ("ok", None),
        ("ok", None),
    ]
    assert (labelled.summary.ok, labelled.summary.screened, labelled.summary.errors) == (2, 1, 0)
    assert label(root).summary.ok == 3


def test_longer_clips_are_streams(root):
    worker = LabelWorker(settings(root, frames_in_memory=11))
    for item in items_of(0, read_index(root, 0), 1):
        worker.label_item(item)
    assert [kind for kind, _ in worker._labeler.kinds] == ["ReadAhead", "ReadAhead", "FramesInMemory"]


def test_waiting_for_frames_within_a_stream_is_waiting_not_work(root):
    worker = LabelWorker(settings(root, frames_in_memory=0))
    (first, *_) = items_of(0, read_index(root, 0), 1)
    began = time.perf_counter()
    summary = worker.label_item(first).summary
    elapsed_s, within_s = time.perf_counter() - began, worker._labeler.waited_s
    assert worker._labeler.num_frames == 12
    assert 0 < within_s < summary.waited_s
    assert 0 < summary.busy_s < elapsed_s - within_s


def test_a_clip_that_does_not_fit_into_memory_is_quarantined_and_the_others_are_not(root):
    labelled = label(root, frames=6)
    assert [(frames, status) for frames, status, _, _ in rows(labelled)] == [(12, "quarantined"), (12, "quarantined"), (6, "ok")]
    assert "too large" in rows(labelled)[0][2]
    summary = labelled.summary
    assert (summary.ok, summary.quarantined, summary.failed, summary.clips, summary.errors) == (1, 2, 0, 3, 2)


def test_a_batch_that_does_not_fit_is_labelled_clip_by_clip_and_the_rows_say_so(root):
    labelled = label(root, most=1)
    note = "labelled alone: a batch of 3 clips did not fit into memory"
    assert [(status, notes) for _, status, _, notes in rows(labelled)] == [("ok", note)] * 3
    assert labelled.summary.degraded == 3
    assert rows(label(root, most=1, degraded="rung 2"))[0][3] == f"{note}; rung 2"


def test_what_a_labeler_says_of_its_labels_stands_in_the_notes(root):
    labelled = label(root, degraded="chunks of 64 points")
    assert {notes for *_, notes in rows(labelled)} == {"chunks of 64 points"}
    assert labelled.summary.degraded == 3
    assert label(root).summary.degraded == 0


def test_a_labeler_that_gives_too_few_labels_costs_its_clips_only(root):
    labelled = label(root, gives=0)
    assert [status for _, status, _, _ in rows(labelled)] == ["failed"] * 3
    assert "gave nothing for 1 clips, expected one TrackLabels for each" in rows(labelled)[0][2]


def test_torch_keeps_to_the_granted_threads_in_the_thread_that_labels(root):
    before = torch.get_num_threads()
    worker = LabelWorker(settings(root))
    thread = threading.Thread(target=worker.label_item, args=(whole_shard(root),))
    try:
        torch.set_num_threads(2)
        thread.start()
        thread.join()
        assert [threads for _, threads in worker._labeler.kinds] == [1]
    finally:
        torch.set_num_threads(before)


def test_a_device_that_is_not_there_is_said_before_any_clip_is_read(root):
    with pytest.raises(ConfigError, match="has no device 'cuda:99'"):
        LabelWorker(settings(root, device="cuda:99"))
