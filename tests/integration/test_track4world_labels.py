"""Track4World's label sets, end to end: labelled, killed and resumed, audited, streamed at another size, joined, shown, refused."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.auditing.run_job import audit_labels
from jobs.auditing.run_plan import AuditingConfig, plan_audit
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.exporting.job import ExportConfig, export
from jobs.labeling.job import LabelingConfig, label_dataset
from jobs.running.next_step import next_step
from jobs.running.root_status import RootStatus, read_status
from jobs.showing.clips import choose_shown, find_clip
from jobs.showing.pictures import draw_clip, draw_sheet
from jobs.showing.recording import clip_scene
from labelers import QueryPolicy
from networks import build_model
from networks.weights import save_weights
from pipeline.audit.verdict import ClipRules
from pipeline.errors import ConfigError
from pipeline.export.tapvid import TapVidFormat
from pipeline.labels import read_label_set, read_label_shard, read_labels_as
from pipeline.layout import Layout
from pipeline.records import ClipSample, FlowLabels, Tracks3dLabels
from pipeline.records.views import mirror
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.join import join_labels
from pipeline.tables import write_document
from tests.labelled_dataset import LabelledClip, write_dataset
from tests.track4world_golden import e2e_config, fill

SIZE, NUM_FRAMES, NUM_QUERIES = (50, 70), 4, 8
REPO = Path(__file__).parents[2]
KEYS = ["c0", "c1"]
INLINE = Executor(name="inline", limits=Limits())
LENIENT = ClipRules(  # weights by formula follow nothing; here it counts that what is kept comes with its weights
    min_usable_tracks=0, bad_probability=1, survival_4=0, collapse_share=1, flicker=1, deaths=1, cover_entropy=0, stuck_share=1
)


def moving(seed: int, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Grey frames whose texture moves."""
    texture = np.random.default_rng(seed).integers(0, 256, (SIZE[0] + num_frames, SIZE[1])).astype(np.uint8)
    return np.stack([texture[t : t + SIZE[0]] for t in range(num_frames)])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("checkpoint") / "small.safetensors")
    save_weights(path, fill(build_model("track4world", e2e_config("pi3x"))), license="CC0")
    return path


def asked(root: Path, checkpoint: str, kind: str, **options: object) -> LabelingConfig:
    return LabelingConfig(
        root=str(root),
        labeler="track4world",
        labeler_options={"checkpoint": checkpoint, "kind": kind, "iterations": 1, "visible_above": 0.2, **options},
        queries=QueryPolicy(policy="grid", num_queries=NUM_QUERIES, num_query_frames=2),
        executor=INLINE,
    )


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, checkpoint) -> tuple[Path, str, str]:
    """Two clips, and one of a single frame, with a set of tracks in space and one of flow; the former audited."""
    root = tmp_path_factory.mktemp("track4world") / "root"
    clips = [LabelledClip(key=key, grey=moving(number), status="screened") for number, key in enumerate(KEYS)]
    write_dataset(root, [[*clips, LabelledClip(key="still", grey=moving(2, 1), status="screened")]])
    sets = []
    for kind in ("tracks3d", "flow"):
        outcome = label_dataset(asked(root, checkpoint, kind), dry_run=False)
        assert (outcome.kind, outcome.totals.ok, outcome.totals.failed) == (kind, 2, 1)
        sets.append(outcome.label_set)
    audit_labels(audit_of(root, sets[0], LENIENT), dry_run=False)
    return root, *sets


def audit_of(root: Path, label_set: str, rules: ClipRules) -> AuditingConfig:
    return AuditingConfig(root=str(root), label_set=label_set, executor=INLINE, rules=rules)


def blocks(document: str) -> list[str]:
    """Fenced Python code."""
    return re.findall(r"```python\n(.*?)```", (REPO / document).read_text(), re.DOTALL)


def samples(root: Path, **options: object) -> list[ClipSample]:
    return list(ClipStream(StreamConfig(root=root, epochs=1, shuffle=False, **options)))


def test_the_sets_say_what_they_hold_and_by_what(labelled):
    root, tracks3d, flow = labelled
    found = read_label_set(str(root), tracks3d)
    assert (found.kind, found.license, found.configuration["tracks3d_scale"]) == ("tracks3d", "CC0", "relative")
    assert found.configuration["queries"]["num_queries"] == NUM_QUERIES
    described = read_label_set(str(root), flow)
    assert described.configuration["flow_pairs"] == "t -> t + 1"
    assert not {"queries", "visibility_rule"} & set(described.configuration)
    maps = dict(read_labels_as(root, flow, FlowLabels))
    assert list(maps) == KEYS
    assert all(labels.valid[:-1].any() and not labels.valid[-1].any() for labels in maps.values())


def test_a_killed_job_ends_with_the_bytes_of_an_undisturbed_one(labelled, checkpoint, published):
    root, tracks3d, flow = labelled
    for name, kind in ((tracks3d, "tracks3d"), (flow, "flow")):
        directory = root / "labels" / name
        before = published(directory)
        (directory / "000000.parquet").unlink()
        assert label_dataset(asked(root, checkpoint, kind), dry_run=False).num_shards == 1
        assert published(directory) == before


def test_tracks_in_space_are_streamed_with_the_audit_of_their_part_in_the_image(labelled):
    root, tracks3d, flow = labelled
    stored = dict(read_labels_as(root, tracks3d, Tracks3dLabels))
    audited = samples(root, audit=tracks3d, labels=flow, num_frames=3, audit_keeps=("keep", "quarantine"))  # its set comes with it
    assert [sample.key for sample in audited] == KEYS
    for sample in audited:
        assert sample.track_weights.shape == (NUM_QUERIES,)
        assert sample.tracks3d_world.shape == (3, NUM_QUERIES, 3)
        assert sample.flow is not None
    (sample, _) = samples(root, labels=tracks3d, num_frames=3, size=(25, 35))
    frames = sample.frame_indices
    assert (sample.tracks3d_source, sample.tracks3d_scale, sample.tracks3d) == ("pseudo", "relative", None)
    np.testing.assert_array_equal(sample.tracks3d_world, stored["c0"].tracks_world[frames])
    np.testing.assert_allclose(sample.tracks2d, (stored["c0"].tracks_px[frames] + 0.5) / 2 - 0.5, atol=1e-4)
    np.testing.assert_array_equal(mirror(sample).tracks3d_world, sample.tracks3d_world * [-1, 1, 1])


def test_flow_is_streamed_for_the_pairs_that_lie_in_the_window_in_the_pixels_of_its_size(labelled):
    root, _, flow = labelled
    stored = dict(read_labels_as(root, flow, FlowLabels))["c0"]
    whole, _ = samples(root, labels=flow, num_frames=None)
    assert (whole.flow_from_frame.tolist(), whole.flow_to_frame.tolist()) == ([0, 1, 2, -1], [1, 2, 3, -1])
    (sample, _) = samples(root, labels=flow, num_frames=3, size=(25, 140), fit="stretch")
    first = int(sample.frame_indices[0])
    assert sample.flow_to_frame.tolist() == [1, 2, -1]  # the third's leads out of the window, or it has none
    assert sample.flow_from_frame[:2].tolist() == [0, 1]
    expected = stored.flow[first : first + 3, 1::2].repeat(2, axis=2) * [2, 0.5]
    np.testing.assert_allclose(sample.flow, expected, atol=1e-4)
    np.testing.assert_array_equal(sample.flow_valid, stored.valid[first : first + 3, 1::2].repeat(2, axis=2))
    np.testing.assert_array_equal(mirror(sample).flow, sample.flow[:, :, ::-1] * [-1, 1])
    assert (sample.flow_confidence.dtype, sample.flow_confidence.shape) == ("float32", (3, 25, 140))
    apart, _ = samples(root, labels=flow, num_frames=2, frame_stride=2)
    assert apart.flow_to_frame.tolist() == [-1, -1]


def test_the_documents_code_runs(labelled):
    root, tracks3d, flow = labelled
    stored = dict(read_labels_as(root, flow, FlowLabels))["c1"]
    code = next(block for block in blocks("docs/formats.md") if "FLOWSET" in block)
    names: dict[str, Any] = {}
    exec(code.replace("ROOT", str(root)).replace("FLOWSET", flow).replace("KEY.0007", "c1.0001"), names)
    np.testing.assert_array_equal(names["valid"], stored.valid[1])
    np.testing.assert_array_equal(names["flow"][names["valid"]], stored.flow[1][stored.valid[1]])
    code = next(block for block in blocks("docs/track4world.md") if "flow_to_frame" in block).replace("/data/walks", str(root))
    names = {"ClipStream": ClipStream, "StreamConfig": partial(StreamConfig, num_frames=3, audit_keeps=("keep", "quarantine"))}
    exec(code.replace("track4world-1a2b3c4d", tracks3d).replace("track4world-5e6f7a8b", flow), names)
    assert names["sample"].tracks3d_world.shape == (3, NUM_QUERIES, 3)


def test_joined_samples_have_the_fields_of_the_kind(labelled):
    root, tracks3d, flow = labelled
    plain = {"__key__": "c1", "__url__": str(root / "shards/000000.tar")}
    space = join_labels(root, tracks3d, tracks3d)(plain)
    assert (space["labels.status"], space["labels.tracks_world"].shape) == ("ok", (NUM_FRAMES, NUM_QUERIES, 3))
    assert space["labels.weight"].shape == (NUM_QUERIES,)
    assert join_labels(root, flow)(plain)["labels.to_frame"].tolist() == [1, 2, 3, -1]
    assert join_labels(root, flow)({**plain, "__key__": "still"})["labels.status"] == "failed"


def test_one_frame_is_a_failed_row_that_says_why(labelled):
    root, tracks3d, flow = labelled
    for name in (tracks3d, flow):
        assert "clip still: it has one frame" in read_label_shard(str(root), name, 0).entry("still").error


def test_status_goes_on_and_what_a_kind_cannot_do_is_refused(labelled, checkpoint, tmp_path):
    root, tracks3d, flow = labelled
    write_document(Layout(str(root)).dataset, {"kind": "cut"}, "dataset")
    status = read_status(str(root))
    assert {labels.label_set.kind for labels in status.labels} == {"tracks", "tracks3d", "flow"}
    assert next_step(status, str(root)).missing == f"an audit of {by_hand_of(status)}"  # the other tracks have one, flow needs none
    with pytest.raises(ConfigError, match="holds flow, where tracks are asked for"):
        plan_audit(audit_of(root, flow, LENIENT))
    tracks = label_dataset(asked(root, checkpoint, "tracks"), dry_run=True).label_set
    assert tracks != tracks3d
    with pytest.raises(ConfigError, match="--cycle follows tracks back; labeler track4world makes flow"):
        label_dataset(replace(asked(root, checkpoint, "flow"), cycle=True), dry_run=True)
    by_hand = by_hand_of(status)
    with pytest.raises(ConfigError, match="both hold tracks; a clip has room for one of them"):
        ClipStream(StreamConfig(root=root, labels=(by_hand, tracks3d)))
    with pytest.raises(ConfigError, match="holds flow, and no format of export has a place for it"):
        export(ExportConfig(root=str(root), out=str(tmp_path / "out"), format=TapVidFormat(), labels=(flow,)))


def by_hand_of(status: RootStatus) -> str:
    """The set of tracks that the fixture wrote."""
    return next(labels.label_set.name for labels in status.labels if labels.label_set.labeler == "by-hand")


def test_flow_is_drawn_beside_the_frames_and_tracks_in_space_on_them(labelled):
    root, tracks3d, flow = labelled
    shown = choose_shown(str(root), flow, None)
    frames, _ = draw_clip(shown, "c0")
    height, width = SIZE
    assert frames.shape == (NUM_FRAMES, height + 30, 2 * width + 8, 3)
    assert draw_sheet(shown, None, 3).shape[1] > 1000
    with pytest.raises(ConfigError, match="a recording shows no flow"):
        clip_scene(shown, find_clip(str(root), "c0"))
    drawn, _ = draw_clip(choose_shown(str(root), tracks3d, None), "c0")
    assert drawn.shape[1:3] == SIZE
