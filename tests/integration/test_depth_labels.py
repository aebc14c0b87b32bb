"""Depth as a label set, end to end: labelled, killed and resumed, streamed with tracks, joined, shown; the same on Ray."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.auditing.run_plan import AuditingConfig, plan_audit
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.labeling.job import LabelingConfig, LabelingOutcome, label_dataset
from jobs.showing.clips import choose_shown
from jobs.showing.pictures import draw_clip, draw_sheet
from labelers import QueryPolicy
from pipeline.drawing.depth import NO_DEPTH
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set, read_labels_as
from pipeline.records import ClipSample, DepthLabels, TrackLabels
from pipeline.records.views import mirror
from pipeline.stream import ClipStream, StreamConfig
from tests.depth_checkpoint import write_depth_checkpoint
from tests.labelled_dataset import LabelledClip, write_dataset

REPO = Path(__file__).parents[2]
SIZE, NUM_FRAMES = (36, 48), 6


OWN_LABELER = """
import numpy as np
from labelers import LabelerProvenance
from pipeline.records import DepthLabels

class Brightness:
    kind = "depth"
    fails_on = ()

    def label(self, clips):
        return [self.one(clip) for clip in clips]

    def one(self, clip):
        if clip.key in Brightness.fails_on:
            raise KeyError("depth")
        assert len(clip.queries) == 0
        return DepthLabels(depth=clip.array()[..., 0].astype(np.float32), scale="relative")

    def provenance(self):
        return LabelerProvenance(name="brightness", options={}, facts={"depth_scale": "relative"})
"""


def blocks(document: str, language: str) -> list[str]:
    """Fenced code of one language."""
    return re.findall(rf"```{language}\n(.*?)```", (REPO / document).read_text(), re.DOTALL)


def moving(seed: int) -> np.ndarray:
    """Grey frames whose texture moves."""
    texture = np.random.default_rng(seed).integers(0, 256, (SIZE[0] + NUM_FRAMES, SIZE[1])).astype(np.uint8)
    return np.stack([texture[t : t + SIZE[0]] for t in range(NUM_FRAMES)])


def tracks(num_tracks: int = 4) -> TrackLabels:
    positions = np.full((NUM_FRAMES, num_tracks, 2), 10, np.float32)
    queries = np.concatenate([np.zeros((num_tracks, 1)), positions[0]], axis=1).astype(np.float32)
    return TrackLabels(queries=queries, tracks_px=positions, visibility=np.ones((NUM_FRAMES, num_tracks), bool))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return write_depth_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny", depth_type="relative")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, checkpoint) -> tuple[Path, str, LabelingOutcome]:
    """Three clips in two shards, and one that was not cut, with a set of tracks and one of depth."""
    root = tmp_path_factory.mktemp("depth") / "root"
    clips = [LabelledClip(key=f"c{index}", grey=moving(index), labels=tracks()) for index in range(3)]
    by_hand = write_dataset(root, [[clips[0], LabelledClip(key="uncut"), clips[1]], clips[2:]])
    return root, by_hand, label_dataset(asked(root, checkpoint), dry_run=False)


def asked(root: Path, checkpoint: Path, executor: str = "inline", **options: object) -> LabelingConfig:
    return LabelingConfig(
        root=str(root),
        labeler="transformers-depth",
        labeler_options={"checkpoint": str(checkpoint), **options},
        queries=QueryPolicy(policy="grid", num_queries=16),
        executor=Executor(name=executor, limits=Limits()),
    )


def sample_of(root: Path, **options: object) -> ClipSample:
    found = list(ClipStream(StreamConfig(root=root, epochs=1, shuffle=False, **options)))
    assert [sample.key for sample in found] == ["c0", "c1", "c2"]
    return found[1]


def test_every_clip_is_labelled_and_the_set_says_what_its_depth_is(labelled):
    root, _, outcome = labelled
    assert (outcome.totals.ok, outcome.totals.failed, outcome.totals.values) == (3, 1, 3 * NUM_FRAMES * SIZE[0] * SIZE[1])
    found = read_label_set(str(root), outcome.label_set)
    assert (found.kind, found.configuration["depth_scale"]) == ("depth", "inverse")
    assert not {"queries", "visibility_rule"} & set(found.configuration)
    depths = dict(read_labels_as(root, outcome.label_set, DepthLabels))
    assert list(depths) == ["c0", "c1", "c2"]
    assert all(labels.depth.shape == (NUM_FRAMES, *SIZE) and labels.depth.std() > 0 for labels in depths.values())


def test_a_killed_job_ends_with_the_bytes_of_an_undisturbed_one(labelled, checkpoint, published):
    root, _, outcome = labelled
    directory = root / "labels" / outcome.label_set
    before = published(directory)
    (directory / "000001.parquet").unlink()
    tar = directory / "000001.tar"
    tar.write_bytes(tar.read_bytes()[:700])
    assert label_dataset(asked(root, checkpoint), dry_run=False).num_shards == 1
    assert published(directory) == before


@pytest.mark.unexpected
def test_a_labeler_of_ones_own_and_a_clip_that_is_tried_again_beside_those_that_are_kept(tmp_path, monkeypatch, published):
    (tmp_path / "brightness.py").write_text(OWN_LABELER)
    monkeypatch.syspath_prepend(tmp_path)
    import brightness

    found = []
    for folder, fails_on in (("undisturbed", ()), ("tried_again", ("c1",))):
        root = tmp_path / folder
        clips = [LabelledClip(key=f"c{index}", grey=moving(index), labels=tracks()) for index in range(3)]
        write_dataset(root, [clips])
        config = replace(asked(root, Path()), labeler="brightness:Brightness", labeler_options={})
        for brightness.Brightness.fails_on in (fails_on, ()):
            outcome = label_dataset(config, dry_run=False)
        assert outcome.totals.ok == len(fails_on)
        found.append(published(root / "labels" / outcome.label_set))
    assert found[0] == found[1]
    with pytest.raises(ConfigError, match="--cycle follows tracks back; labeler brightness:Brightness makes depth"):
        label_dataset(replace(config, cycle=True), dry_run=True)
    monkeypatch.setattr(brightness.Brightness, "kind", "smell")
    with pytest.raises(ConfigError, match="makes labels of kind 'smell'; there are tracks, depth, cameras"):
        label_dataset(config, dry_run=True)


@pytest.mark.soak
def test_on_ray_the_bytes_are_the_same(labelled, checkpoint, published, local_ray):
    root, _, outcome = labelled
    directory = root / "labels" / outcome.label_set
    before = published(directory)
    for path in directory.glob("0*"):
        path.unlink()
    assert label_dataset(asked(root, checkpoint, "ray"), dry_run=False).totals.ok == 3
    assert published(directory) == before


def test_depth_is_streamed_with_tracks_in_the_window_at_the_size_asked_for(labelled):
    root, by_hand, outcome = labelled
    stored = dict(read_labels_as(root, outcome.label_set, DepthLabels))["c1"].depth
    sample = sample_of(root, labels=(outcome.label_set, by_hand), num_frames=3, size=(18, 24))
    assert (sample.depth_source, sample.depth_scale, sample.supervision) == ("pseudo", "inverse", "pseudo")
    # every other pixel is centred on the edge between two stored ones: the later of them
    np.testing.assert_array_equal(sample.depth, stored[sample.frame_indices][:, 1::2, 1::2])
    assert 0 < (sample.depth == 0).mean() < 1
    np.testing.assert_array_equal(sample.tracks2d, np.full((3, 4, 2), 10.5 / 2 - 0.5, np.float32))
    np.testing.assert_array_equal(mirror(sample).depth, sample.depth[:, :, ::-1])


def test_the_documents_code_runs(labelled):
    root, by_hand, outcome = labelled
    stored = dict(read_labels_as(root, outcome.label_set, DepthLabels))["c1"].depth
    code = next(block for block in blocks("docs/formats.md", "python") if "DEPTHSET" in block)
    names: dict[str, Any] = {}
    exec(code.replace("ROOT", str(root)).replace("DEPTHSET", outcome.label_set).replace("KEY.0007", "c1.0005"), names)
    np.testing.assert_allclose(names["depth"], stored[5], rtol=1e-6)
    code = blocks("docs/depth.md", "python")[0].replace("/data/walks", str(root))
    code = code.replace("dis-flow-1a2b3c4d", by_hand).replace("transformers-depth-1a2b3c4d", outcome.label_set)
    names = {"ClipStream": ClipStream, "StreamConfig": StreamConfig}
    exec(code, names)
    assert (names["sample"].depth.shape, names["sample"].depth_source) == ((NUM_FRAMES, 288, 512), "pseudo")


def test_a_state_knows_the_sets_in_whatever_order_they_are_named(labelled):
    root, by_hand, outcome = labelled
    first, second = (
        ClipStream(StreamConfig(root=root, labels=names))
        for names in ([by_hand, outcome.label_set], [outcome.label_set, by_hand])
    )  # fmt: skip
    next(iter(first))
    second.load_state_dict(first.state_dict())
    with pytest.raises(ConfigError, match="labels is"):
        ClipStream(StreamConfig(root=root, labels=by_hand)).load_state_dict(first.state_dict())


def test_a_stream_of_depth_alone_warns_of_no_missing_audit(labelled, caplog):
    root, by_hand, outcome = labelled
    with caplog.at_level(logging.WARNING):
        ClipStream(StreamConfig(root=root, labels=outcome.label_set))
    assert not caplog.records
    ClipStream(StreamConfig(root=root, labels=(outcome.label_set, by_hand)))
    assert f"the labels {by_hand} are used without an audit" in caplog.text


def test_two_sets_of_one_kind_are_refused_as_is_an_audit_of_depth(labelled, checkpoint):
    root, _, outcome = labelled
    other = label_dataset(asked(root, checkpoint, scale="relative"), dry_run=False).label_set
    with pytest.raises(ConfigError, match="both hold depth; a stream takes one set per kind"):
        ClipStream(StreamConfig(root=root, labels=(outcome.label_set, other)))
    with pytest.raises(ConfigError, match="holds depth, where tracks are asked for"):
        plan_audit(AuditingConfig(root=str(root), label_set=outcome.label_set, executor=asked(root, checkpoint).executor))


def test_it_is_drawn_beside_the_frames_with_a_legend(labelled):
    root, _, outcome = labelled
    shown = choose_shown(str(root), outcome.label_set, None)
    frames, _ = draw_clip(shown, "c1")
    height, width = SIZE
    assert frames.shape[1] > height  # the legend
    assert frames.shape[2] == 2 * width + 8
    depth = dict(read_labels_as(root, outcome.label_set, DepthLabels))["c1"].depth
    pictures = frames[:, :height, width + 8 :]
    np.testing.assert_array_equal((pictures == NO_DEPTH).all(-1), depth == 0)
    valid = depth[0] > 0
    near, far = (pictures[0][valid & (depth[0] == pick(depth[0][valid]))].astype(int).sum(-1).mean() for pick in (np.min, np.max))
    assert near > far
    assert draw_sheet(shown, None, 3).shape[1] > 1000
