"""The labeler against the engine that it asks, its maps at the queries' pixels, and laws of projection and scale; what it refuses."""

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from labelers import kind_of, make_labeler
from labelers.track4world import EngineConfig, Track4WorldEngine
from labelers.track4world.targets import ClipGeometry
from networks import build_model
from networks.inputs import resize_frames
from networks.track4world.bundle import Padding
from networks.weights import TrainingOrigin, load_model, save_weights
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, FlowLabels, FramesInMemory, TrackLabels, Tracks3dLabels
from pipeline.records.pixel_transforms import resize_points
from tests.tiny_network import TINY
from tests.track4world_golden import arrays, e2e_config, fill

SIZE, NUM_FRAMES = (50, 70), 5
HEIGHT, WIDTH = SIZE
CONFIG = EngineConfig(iterations=1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    path = str(tmp_path_factory.mktemp("track4world") / "small.safetensors")
    save_weights(path, fill(build_model("track4world", e2e_config("pi3x"))), license="CC0", origin=TrainingOrigin(licenses=("CC BY 4.0",)))
    return path


@pytest.fixture(scope="module")
def engine(checkpoint) -> Track4WorldEngine:
    return Track4WorldEngine(load_model(checkpoint).requires_grad_(False), CONFIG)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return arrays("e2e_small.npz")["images"][:NUM_FRAMES].permute(0, 2, 3, 1).numpy()


def labeler(checkpoint: str, **options):
    return make_labeler("track4world", checkpoint=checkpoint, **{"iterations": 1, **options})


def clip_of(frames: np.ndarray, queries=()) -> ClipFrames:
    return ClipFrames(key="a", reader=FramesInMemory(frames), queries=np.array(queries, np.float32).reshape(-1, 3))


def gathered(engine, frames, reference):
    """Target pixels "T 2 H W" and visibility and confidence of one frame's pixels, dense."""
    pixels, visconf = (torch.zeros(len(frames), 2, *frames.shape[1:3]) for _ in range(2))
    depth = torch.zeros(len(frames), *frames.shape[1:3])
    for part in engine.track_frame(frames, reference, engine.geometry(frames)):
        pixels[list(part.frames)], visconf[list(part.frames)] = part.maps.pixels, part.maps.visconf
        depth[list(part.frames)] = part.maps.points[:, 2] - part.geometry.camera.shift
    return pixels, visconf, depth


def test_tracks_are_the_dense_maps_at_the_queries_pixels_and_pass_through_the_queries(checkpoint, engine, frames):
    queries = [(0, 12, 30), (2, 40, 8), (2, 3, 44), (4, 69, 49), (2, 20.25, 17)]
    (labels,) = labeler(checkpoint).label([clip_of(frames, queries)])
    assert type(labels) is TrackLabels
    pixels, visconf, _ = gathered(engine, frames, 2)
    for track, (_, x, y) in list(enumerate(queries))[1:3]:
        others = [0, 1, 3, 4]
        np.testing.assert_allclose(labels.tracks_px[others, track], pixels[others, :, y, x], atol=1e-4)
        np.testing.assert_allclose(labels.visibility_score[others, track], visconf[others, 0, y, x], atol=1e-6)
        np.testing.assert_allclose(labels.confidence[others, track], visconf[others, 1, y, x], atol=1e-6)
    between = 0.75 * pixels[4, :, 17, 20] + 0.25 * pixels[4, :, 17, 21]  # of a query between two pixels: so is its track
    np.testing.assert_allclose(labels.tracks_px[4, 4], between, atol=1e-4)
    at = [query[0] for query in queries], np.arange(5)
    np.testing.assert_array_equal(labels.tracks_px[at], np.array(queries, np.float32)[:, 1:])
    assert labels.visibility[at].all()
    assert (labels.visibility_score[at] == 1).all()
    expected = labels.visibility_score * labels.confidence > 0.5
    np.testing.assert_array_equal(labels.visibility, expected)
    assert 0 < expected.mean() < 1


def test_positions_in_the_world_project_onto_the_tracks_at_the_depth_of_the_3d_flow(checkpoint, engine, frames):
    queries = [(0, 12, 30), (2, 40, 8), (2, 3, 44), (4, 69, 49)]
    clip = ClipGeometry.of_bundle(engine.geometry(frames), Padding(height=HEIGHT, width=WIDTH), NUM_FRAMES)
    (labels,) = labeler(checkpoint, kind="tracks3d").label([clip_of(frames, queries)])
    (flat,) = labeler(checkpoint).label([clip_of(frames, queries)])
    assert (type(labels), labels.scale) == (Tracks3dLabels, "relative")
    np.testing.assert_array_equal(labels.tracks_px, flat.tracks_px)
    np.testing.assert_array_equal(labels.visibility, flat.visibility)
    poses = clip.poses().double().numpy()
    to_first = np.linalg.solve(poses[:1], poses)  # camera t to camera 0
    in_camera = np.einsum("tij,tnj->tni", np.linalg.inv(to_first)[:, :3, :3], labels.tracks_world - to_first[:, None, :3, 3])
    focal = clip.intrinsics.numpy()[[0, 1], [0, 1]] * [WIDTH, HEIGHT]
    projected = in_camera[..., :2] / in_camera[..., 2:] * focal + np.array([WIDTH, HEIGHT]) / 2 - 0.5
    known = np.isfinite(labels.tracks_world).all(-1)
    assert known.mean() > 0.5
    np.testing.assert_allclose(projected[known], labels.tracks_px[known], atol=1e-3)
    depth = gathered(engine, frames, 2)[2]
    for track, (_, x, y) in list(enumerate(queries))[1:3]:
        assert bool(clip.valid[2, y, x]) == bool(known[2, track])
        z = depth[[0, 1, 3, 4], y, x] + clip.camera.shift
        np.testing.assert_allclose(in_camera[[0, 1, 3, 4], track, 2][known[[0, 1, 3, 4], track]], z[known[[0, 1, 3, 4], track]], atol=1e-4)
    own = clip.unprojected()[0, :, 30, 12].numpy()  # frame 0 is the world
    np.testing.assert_allclose(labels.tracks_world[0, 0], own, atol=1e-5)


def test_a_query_on_a_pixel_without_geometry_has_no_position_in_the_world_and_keeps_its_track(checkpoint, frames, monkeypatch):
    padding, geometry = Padding(height=HEIGHT, width=WIDTH), Track4WorldEngine.geometry

    def without_one_pixel(engine, frames):
        bundle = geometry(engine, frames)
        mask = bundle.mask.clone()
        padding.crop(mask)[0, 1, 20, 30] = 0
        return dataclasses.replace(bundle, mask=mask)

    monkeypatch.setattr(Track4WorldEngine, "geometry", without_one_pixel)
    (labels,) = labeler(checkpoint, kind="tracks3d").label([clip_of(frames[:3], [(1, 30.4, 19.6), (1, 31, 20), (2, 30, 20)])])
    assert np.isnan(labels.tracks_world).all(axis=(0, 2)).tolist() == [True, False, False]
    assert np.isfinite(labels.tracks_px).all()


def test_a_larger_clip_is_labelled_as_its_smaller_copy_and_brought_to_its_size(checkpoint):
    large = np.random.default_rng(0).integers(0, 256, (3, 96, 144, 3)).astype(np.uint8)
    small, queries = resize_frames(large, (48, 72)), np.array([(0, 30, 40), (1, 100.5, 61)], np.float32)
    queries_small = np.column_stack([queries[:, 0], resize_points(queries[:, 1:], (96, 144), (48, 72))])
    budget = {"pixel_budget": 48 * 72, "visible_above": 0.0}
    (labels,), (expected,) = (
        labeler(checkpoint, kind="tracks3d", **budget).label([clip_of(*clip)]) for clip in ((large, queries), (small, queries_small))
    )
    np.testing.assert_allclose(labels.tracks_px, resize_points(expected.tracks_px, (48, 72), (96, 144)), atol=1e-3)
    np.testing.assert_allclose(labels.tracks_world, expected.tracks_world, atol=1e-5)
    (flow,), (below,) = (labeler(checkpoint, kind="flow", **budget).label([clip_of(each)]) for each in (large, small))
    assert flow.valid[:2].all()
    np.testing.assert_allclose(flow.flow[1], 2 * cv2.resize(below.flow[1], (144, 96), interpolation=cv2.INTER_LINEAR), atol=1e-3)


def test_flow_to_the_next_frames_is_that_of_the_pairs(checkpoint, engine, frames):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for stride in (1, -2):
        (labels,) = labeler(checkpoint, kind="flow", stride=stride, visible_above=0.2).label([clip_of(frames)])
        assert type(labels) is FlowLabels
        pairs = [(t, t + stride) for t in range(NUM_FRAMES) if 0 <= t + stride < NUM_FRAMES]
        ends = {frame: (start, end) for frame, start, end in zip(range(NUM_FRAMES), labels.from_frame, labels.to_frame, strict=True)}
        assert ends == {t: (t, t + stride) if 0 <= t + stride < NUM_FRAMES else (-1, -1) for t in range(NUM_FRAMES)}
        (maps,) = engine.track_pairs(engine.encode(frames), pairs, align=False)
        for place, (start, _) in enumerate(pairs):
            score = maps.visconf[place].prod(dim=0).numpy()
            np.testing.assert_allclose(labels.confidence[start], score, atol=1e-6)
            np.testing.assert_array_equal(labels.valid[start], score > 0.2)
            target = np.stack([x, y], -1) + labels.flow[start]
            np.testing.assert_allclose(target[score > 0.2], maps.pixels[place].permute(1, 2, 0).numpy()[score > 0.2], atol=1e-4)
        assert 0 < labels.valid.mean() < 1


def test_flow_from_one_frame_is_that_of_its_runs_and_kept_at_the_other_frame(checkpoint, engine, frames):
    (labels,) = labeler(checkpoint, kind="flow", pairs="reference", reference=2, visible_above=0.0).label([clip_of(frames)])
    assert (labels.from_frame.tolist(), labels.to_frame.tolist()) == ([2, 2, -1, 2, 2], [0, 1, -1, 3, 4])
    pixels, _, _ = gathered(engine, frames, 2)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for frame in (0, 4):
        assert labels.valid[frame].all()
        np.testing.assert_allclose(np.stack([x, y], 0) + labels.flow[frame].transpose(2, 0, 1), pixels[frame], atol=1e-4)
    assert not labels.flow[2].any()


def test_provenance_says_by_what_and_what_the_labels_mean(checkpoint):
    made = labeler(checkpoint, kind="tracks3d", visible_above=0.25).provenance()
    assert made.checkpoint_sha256 == hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    assert made.license == "CC0; CC BY 4.0"
    assert made.parents == {"sources": [], "licenses": ["CC BY 4.0"]}
    assert made.options == {"kind": "tracks3d", "visible_above": 0.25, "iterations": 1, "pixel_budget": 255_000}
    assert made.visibility_rule == "visibility x confidence > 0.25; visible at the query itself"
    assert made.facts["tracks3d_scale"] == "relative"
    assert made.facts["tracks3d_world"].startswith("camera of the clip's first frame")
    flow = labeler(checkpoint, kind="flow", stride=-3)
    assert (kind_of(flow), flow.provenance().visibility_rule) == ("flow", None)
    assert flow.provenance().facts == {"flow_pairs": "t -> t - 3", "flow_valid": "visibility x confidence > 0.5, within 511 px"}
    assert flow.provenance().options["stride"] == -3
    assert labeler(checkpoint, kind="flow", pairs="reference", reference=7).provenance().facts["flow_pairs"] == "7 -> t"


def test_clips_that_hold_no_motion_are_refused_by_name(checkpoint, frames):
    with pytest.raises(DataError, match="clip a: it has one frame"):
        labeler(checkpoint).label([clip_of(frames[:1], [(0, 1, 1)])])
    with pytest.raises(DataError, match=r"clip a: 5 frames hold no pair t -> t \+ 5; cut longer clips"):
        labeler(checkpoint, kind="flow", stride=5).label([clip_of(frames)])
    with pytest.raises(DataError, match="clip a: 5 frames hold no pair 5 -> t"):
        labeler(checkpoint, kind="flow", pairs="reference", reference=5).label([clip_of(frames)])
    (labels,) = labeler(checkpoint, kind="tracks3d").label([clip_of(frames[:2])])  # no queries, no tracks
    assert labels.tracks_world.shape == (2, 0, 3)


def test_frames_too_small_for_the_pyramid_are_refused_with_the_size_that_it_needs(tmp_path, frames):
    path = str(tmp_path / "public_levels.safetensors")
    save_weights(path, build_model("track4world", {**e2e_config("pi3x"), "levels": 5}))
    message = r"clip a: frames of 70x50 are too small .*: both sides must have 65 pixels or more; cut clips from larger videos"
    with pytest.raises(DataError, match=message):
        labeler(path).label([clip_of(frames, [(0, 1, 1)])])
    large = np.zeros((2, 200, 300, 3), np.uint8)
    with pytest.raises(DataError, match=r"300x200, seen as 72x48 under pixel_budget=3500 .* 65 pixels or more; raise pixel_budget"):
        labeler(path, kind="flow", pixel_budget=3500).label([clip_of(large)])


def test_other_weights_are_refused_before_any_clip(tmp_path, checkpoint):
    save_weights(str(tmp_path / "pi3.safetensors"), build_model("pi3", TINY))
    with pytest.raises(ConfigError, match="holds weights of pi3; labeler track4world needs those of track4world, such as hf://TencentARC"):
        labeler(str(tmp_path / "pi3.safetensors"))
    save_weights(str(tmp_path / "bare.safetensors"), build_model("track4world", {**e2e_config("none")}))
    with pytest.raises(ConfigError, match="over a backbone that is not here, such as Depth-Anything-3"):
        labeler(str(tmp_path / "bare.safetensors"))
    with pytest.raises(ConfigError, match="missing.safetensors"):
        labeler(str(tmp_path / "missing.safetensors"))
    with pytest.raises(ConfigError, match="labeler track4world needs the option checkpoint"):
        make_labeler("track4world")
    with pytest.raises(ConfigError, match="sha256"):
        labeler(checkpoint, sha256="0" * 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "depth"}, "kind is 'depth', expected one of tracks, tracks3d, flow"),
        ({"stride": 2}, "stride says nothing to kind=tracks"),
        ({"kind": "flow", "pairs": "reference", "stride": 2}, "stride says nothing to kind=flow and pairs=reference"),
        ({"kind": "flow", "reference": 3}, "reference says nothing to kind=flow and pairs=stride"),
        ({"kind": "flow", "stride": 0}, "stride is 0, expected a whole number of frames other than 0"),
        ({"visible_above": 1.5}, "visible_above is 1.5"),
        ({"iterations": 0}, "iterations is 0"),
    ],
)
def test_options_out_of_range_and_without_meaning_are_refused(checkpoint, options, message):
    with pytest.raises(ConfigError, match=message):
        labeler(checkpoint, **options)
