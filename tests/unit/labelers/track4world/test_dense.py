"""Dense tracks by the engine: the public code's chain from end to end, and tracks of one frame to all in one world."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labelers.chain import RoundTripRule
from labelers.track4world import EngineConfig, Track4WorldEngine
from labelers.track4world.chaining import ChainRule
from labelers.track4world.dense import ReferenceRule, chain_clip, chain_steps, frame_geometry, pixel_intrinsics, track_reference
from labelers.track4world.integer_chaining import chain_integer
from labelers.track4world.targets import ClipGeometry
from networks.track4world import Padding
from pipeline.errors import DataError
from tests.track4world_golden import frames_of


@pytest.fixture(scope="module")
def engine(model):
    return Track4WorldEngine(model, EngineConfig(iterations=2, pixel_offset=0.0))


@pytest.fixture(scope="module")
def clip(engine, io, case):
    return engine.encode(frames_of(io, 4), case.bundle(4))


def test_the_public_chain_from_images_on(engine, io, clip):
    frames = (frame_geometry(clip.geometry, t) for t in range(4))
    tracks = chain_integer(frames, chain_steps(engine, clip, returns=False), num_frames=4)
    found = np.array([tracks.num_tracks, *np.bincount(tracks.frame_numbers, minlength=4)])
    np.testing.assert_allclose(found, io["tracks_camera_count"], rtol=0.005)  # thresholds and rounding flip a few


def reprojected(tracks, geometry):
    """Pixels of the tracks' points in the cameras of their frames."""
    poses = geometry.camera_poses.double().numpy()[tracks.frame_numbers]
    camera = np.einsum("pji,pj->pi", poses[:, :3, :3], tracks.points - poses[:, :3, 3])
    pixels = camera @ pixel_intrinsics(geometry).astype(np.float64).T
    return pixels[:, :2] / pixels[:, 2:], camera[:, 2]


def test_chained_tracks_lie_in_the_world_where_their_pixels_see_them(engine, clip):
    seen = []
    tracks = chain_clip(engine, clip, ChainRule(every=2), on_frame=lambda: seen.append(1))
    assert len(seen) == 3
    assert (tracks.space, tracks.num_frames, tracks.size) == ("world", 4, (50, 70))
    assert tracks.num_tracks > 300
    pixels, depth = reprojected(tracks, clip.geometry)
    np.testing.assert_allclose(pixels, tracks.pixels, atol=1e-3)
    begun = tracks.offsets[:-1]
    x, y = tracks.queries[:, 1:].astype(int).T
    points = clip.geometry.unprojected().numpy()
    np.testing.assert_allclose(depth[begun], points[tracks.starts, 2, y, x], atol=1e-5)


def test_the_round_trip_goes_back_by_the_flow_of_the_pair_reversed(engine, clip):
    """Weights by formula give flows that return nowhere: with a check no track lasts."""
    steps = list(chain_steps(engine, clip, returns=True))
    (back,) = engine.track_pairs(clip, [(1, 0), (2, 1), (3, 2)], align=False)
    for step, pixels in zip(steps, back.pixels, strict=True):
        np.testing.assert_array_equal(step.returns, pixels.permute(1, 2, 0).numpy())
    assert chain_clip(engine, clip, ChainRule(every=5, round_trip=RoundTripRule(px=0.01, share=0.0))).num_tracks == 0


def test_one_frame_to_all_has_the_drivers_targets(engine, io, case):
    frames, bundle = frames_of(io, 9), case.bundle(9)
    centred = Track4WorldEngine(engine.model, replace(engine.config, pixel_offset=0.5))
    tracks = track_reference(centred, frames, bundle, ReferenceRule(every=7))
    assert (set(tracks.starts.tolist()), set(tracks.lengths.tolist())) == ({0}, {9})
    found = tracks.in_frames(np.arange(9))
    x, y = tracks.queries[:, 1:].astype(int).T
    depth = reprojected(tracks, ClipGeometry.of_bundle(bundle, Padding(height=50, width=70), 9))[1].reshape(-1, 9).T
    for part in centred.track_frame(frames, 0, bundle):
        world, visconf = part.maps.in_world(part.geometry).numpy(), part.maps.visconf.numpy()
        for place, frame in enumerate(part.frames):
            if frame == 0:
                continue
            np.testing.assert_allclose(found.pixels[frame].T, part.maps.pixels[place].numpy()[:, y, x], atol=1e-5)
            np.testing.assert_allclose(found.points[frame].T, world[place][:, y, x], atol=1e-4)
            score = visconf[place].prod(0)[y, x]
            inside = ((found.pixels[frame] >= -0.5) & (found.pixels[frame] <= (69.5, 49.5))).all(1)
            np.testing.assert_array_equal(found.visibility[frame], inside & (score > 0.3) & (depth[frame] > 0))
    np.testing.assert_array_equal(found.pixels[0], tracks.queries[:, 1:])
    assert found.visibility[0].all()


def test_a_later_reference_reaches_both_ends_in_one_world(engine, io, case):
    bundle = case.bundle(5)
    tracks = track_reference(engine, frames_of(io, 5), bundle, ReferenceRule(frame=2, every=10))
    assert (tracks.queries[:, 0] == 2).all()
    assert (set(tracks.starts.tolist()), set(tracks.lengths.tolist())) == ({0}, {5})
    geometry = ClipGeometry.of_bundle(bundle, Padding(height=50, width=70), 5)
    pixels, depth = reprojected(tracks, geometry)
    sound = np.abs(depth) > 0.05
    np.testing.assert_allclose(pixels[sound], tracks.pixels[sound], atol=2e-2)
    valid = geometry.valid[2].numpy()
    x, y = tracks.queries[:, 1:].astype(int).T
    assert valid[y, x].all()
    assert tracks.num_tracks == valid[5::10, 5::10].sum()


def test_clips_without_anything_to_track_are_refused(engine, io, case):
    pair = engine.encode(frames_of(io, 2), case.bundle(2))
    one = replace(pair, geometry=replace(pair.geometry, points=pair.geometry.points[:1]))
    with pytest.raises(DataError, match="clip of 1 frame has no tracks"):
        chain_clip(engine, one, ChainRule())
    masked = replace(case.bundle(3), mask=torch.zeros_like(case.bundle(3).mask))
    with pytest.raises(DataError, match="none of the clip's pixels is valid"):
        chain_clip(engine, engine.encode(frames_of(io, 3), masked), ChainRule())
    with pytest.raises(DataError, match="frame 1: none of the 20 pixels to be tracked is valid"):
        track_reference(engine, frames_of(io, 3), masked, ReferenceRule(frame=1, every=15))
    with pytest.raises(DataError, match="frame 3 is none of a clip of 3 frames"):
        track_reference(engine, frames_of(io, 3), case.bundle(3), ReferenceRule(frame=3))
