"""Both drivers against the public code's: windows, pairs, their targets; and what is ours: any reference, any pair, no lost frame."""

import numpy as np
import pytest
import torch

from labelers.track4world import EngineConfig, Track4WorldEngine
from labelers.track4world.config import plan_windows
from networks import build_model
from pipeline.errors import ConfigError, DataError
from tests.track4world_golden import arrays, e2e_config, fill, frames_of

GOLDEN_CONFIG = EngineConfig(iterations=2, pixel_offset=0.0)  # the public code's half pixel


def close(actual, expected, atol):
    torch.testing.assert_close(actual, expected, atol=atol, rtol=0)


def gathered(parts, num_frames, value):
    """One map per frame, of parts in any order."""
    found = {}
    for part in parts:
        found |= dict(zip(part.frames, value(part), strict=True))
    assert sorted(found) == list(range(num_frames))
    return torch.stack([found[frame] for frame in range(num_frames)])


def test_windows_of_a_clip(model, io, case):
    parts = list(Track4WorldEngine(model, GOLDEN_CONFIG).track_frame(frames_of(io, 9), 0, case.bundle(9, 1)))
    assert [part.frames for part in parts] == [(0, 1, 2, 3), (4, 5), (6, 7), (8,)]
    geometry = parts[0].geometry
    close(gathered(parts, 9, lambda part: part.maps.pixels)[..., ::2, ::2], io["win_flow2d_abs"], 1e-4)
    close(gathered(parts, 9, lambda part: part.maps.visconf)[..., ::2, ::2], io["win_visconf"], 1e-5)
    close(gathered(parts, 9, lambda part: part.maps.flow3d)[..., ::4, ::4], io["win_raw_flow3d"], 1e-5)
    close(geometry.intrinsics, io["win_intrinsics"], 1e-5)
    assert torch.equal(geometry.valid[0], io["win_mask_t0"])
    close(geometry.camera_poses, io["win_poses"], 1e-5)
    close(geometry.unprojected()[0, :, ::2, ::2].permute(1, 2, 0), io["win_points_unproj_t0"], 1e-5)
    target = gathered(parts, 9, lambda part: part.maps.points)
    close(target[..., ::2, ::2].permute(0, 2, 3, 1), io["win_target3d"], 1e-5)
    world = gathered(parts, 9, lambda part: part.maps.in_world(part.geometry))
    close(world[..., ::2, ::2].permute(0, 2, 3, 1), io["win_world_tracks"], 1e-5)


def test_a_clip_shorter_than_a_window_and_windows_longer_than_the_table(model, io, case):
    extra = arrays("small_extra.npz")
    for num_frames, window, copies, name in ((3, None, 1, "t3"), (9, 6, 0, "wl6")):
        config = EngineConfig(iterations=2, window=window)
        parts = list(Track4WorldEngine(model, config).track_frame(frames_of(io, num_frames), 0, case.bundle(num_frames, copies)))
        for value, suffix, atol in (("flow", "flow", 1e-4), ("flow3d", "3d", 1e-5), ("visconf", "v", 1e-5)):
            if f"{name}_{suffix}" in extra:
                found = gathered(parts, num_frames, lambda part, value=value: _value(part, value))
                close(found[..., ::3, ::3], extra[f"{name}_{suffix}"], atol)


def _value(part, name):
    if name != "flow":
        return getattr(part.maps, name)
    y, x = torch.meshgrid(*(torch.arange(side) for side in part.maps.pixels.shape[-2:]), indexing="ij")
    return part.maps.pixels - torch.stack([x, y])


@pytest.fixture(scope="module")
def pi3x_model():
    return fill(build_model("track4world", e2e_config("pi3x"))).requires_grad_(False)


def test_from_images_through_our_own_pi3x(pi3x_model):
    golden = arrays("e2e_small.npz")
    parts = list(Track4WorldEngine(pi3x_model, GOLDEN_CONFIG).track_frame(frames_of(golden, 5)))
    for value, name, atol in (("pixels", "flow2d_abs", 5e-5), ("flow3d", "raw_flow3d", 1e-5), ("visconf", "visconf", 1e-5)):
        found = gathered(parts, 5, lambda part, value=value: getattr(part.maps, value))
        close(found[..., ::2, ::2], golden[name], atol)
    close(parts[0].geometry.camera_poses, golden["poses"], 1e-5)
    close(parts[0].geometry.points[1, :, ::2, ::2], golden["points_t1"], 1e-5)


def test_trajvg_below_the_same_decoder_gives_the_same_flow_where_its_geometry_is_the_same(pi3x_model):
    """TrajVG's geometry has Pi3X's names: with weights by formula both say the same, and so does the decoder."""
    frames, config = frames_of(arrays("e2e_small.npz"), 2), EngineConfig(iterations=1)
    with torch.device("meta"):
        other = build_model("track4world", e2e_config("trajvg"))
    other.to_empty(device="cpu").fill_constants()
    other.load_state_dict(pi3x_model.state_dict(), strict=False)
    found = [next(Track4WorldEngine(model, config).track_frame(frames)) for model in (pi3x_model, other.requires_grad_(False))]
    close(found[1].maps.pixels, found[0].maps.pixels, 1e-5)
    close(found[1].maps.in_camera_of(0, found[1].geometry), found[0].maps.in_camera_of(0, found[0].geometry), 1e-5)


def test_pairs_of_neighbours_aligned_and_not(model, io, case):
    engine = Track4WorldEngine(model, GOLDEN_CONFIG)
    clip = engine.encode(frames_of(io, 4), case.bundle(4))
    (raw,) = engine.track_pairs(clip, align=False)
    close(raw.flow3d[..., ::2, ::2], io["chain_raw_flow3d"], 1e-5)
    close(raw.visconf[..., ::2, ::2], io["chain_raw_visconf"], 1e-5)
    close(raw.pixels, io["chain_flow2d_abs"], 1e-4)
    close(raw.points[..., ::2, ::2].permute(0, 2, 3, 1), io["chain_target3d_noalign"], 1e-5)
    (aligned,) = engine.track_pairs(clip)
    close(aligned.points[..., ::2, ::2].permute(0, 2, 3, 1), io["chain_target3d"], 1e-5)
    close(aligned.visconf, io["chain_visconf_refined"], 1e-4)
    close(clip.geometry.intrinsics, io["chain_intrinsics"], 1e-5)
    close(clip.geometry.unprojected().permute(0, 2, 3, 1), io["chain_points"], 1e-5)
    assert torch.equal(clip.geometry.valid, io["chain_mask"])


def test_the_public_training_driver(model, io, case):
    """Second halves from no motion, and frames written anew by later windows."""
    extra = arrays("small_extra.npz")
    engine = Track4WorldEngine(model, EngineConfig(iterations=2, later_windows="restart"))
    parts = list(engine.track_frame(frames_of(io, 9), 0, case.bundle(9, 1)))
    for value, name, atol in (("flow", "fwd_flow", 1e-4), ("flow3d", "fwd_3d", 1e-5), ("visconf", "fwd_v", 1e-5)):
        found = gathered(parts, 9, lambda part, value=value: _value(part, value))
        close(found[..., ::3, ::3], extra[name], atol)


def test_a_later_reference_is_tracked_both_ways(model, io, case):
    engine, frames, bundle = Track4WorldEngine(model, EngineConfig(iterations=1)), frames_of(io, 6), case.bundle(6)
    parts = list(engine.track_frame(frames, 3, bundle))
    assert sorted(frame for part in parts for frame in part.frames) == [0, 1, 2, 3, 4, 5]
    found = gathered(parts, 6, lambda part: part.maps.pixels)
    forward = gathered(engine.track_frame(frames[3:], 0, bundle.frames(slice(3, 6))), 3, lambda part: part.maps.pixels)
    backward = gathered(
        engine.track_frame(frames[3::-1].copy(), 0, bundle.frames(torch.tensor([3, 2, 1, 0]))), 4, lambda part: part.maps.pixels
    )
    close(found, torch.cat([backward[1:].flip(0), forward]), 0)
    in_camera = next(part.maps.in_camera_of(0, part.geometry) for part in parts if 3 in part.frames)
    close(in_camera[0], next(part.maps.points[0] for part in parts if 3 in part.frames), 1e-5)  # of the reference frame: its own axes


@pytest.mark.parametrize(
    ("num_frames", "reference", "expected"), [(2, 0, [1]), (2, 1, [0]), (3, 1, [2, 0]), (3, 2, [2, 1, 0]), (4, 2, [3, 2, 1, 0])]
)
def test_every_frame_is_reached_once(num_frames, reference, expected, model, io, case):
    parts = Track4WorldEngine(model, EngineConfig(iterations=1)).track_frame(frames_of(io, num_frames), reference, case.bundle(num_frames))
    assert sorted(frame for part in parts for frame in part.frames) == sorted(expected)


@pytest.mark.parametrize("num_frames", [12, 13, 25, 37])
def test_plans_and_pairs_keep_all_frames(num_frames):
    plan = plan_windows(num_frames, 8 if num_frames == 12 else 16)
    assert len(plan.starts) == 2 or num_frames != 12
    written = [plan.starts[k] + place for k in range(len(plan.starts)) for place in range(*plan.new_frames(k).indices(plan.length))]
    assert written == list(range(num_frames + plan.num_copies))
    assert all(start + plan.length < num_frames for start in plan.starts[:-1])


def test_twelve_frames_in_two_windows_and_thirteen_in_pairs(model, io, case):
    """The public pair entry loses the last frame of 13, 25, 37."""
    many = np.concatenate([frames_of(io, 9), frames_of(io, 4)])
    bundle = case.bundle(9).frames(torch.arange(13) % 9)
    engine = Track4WorldEngine(model, EngineConfig(iterations=1, window=8))
    parts = list(engine.track_frame(many[:12], 0, bundle.frames(slice(0, 12))))
    assert [part.frames for part in parts] == [tuple(range(8)), (8, 9, 10, 11)]
    clip = engine.encode(many, bundle)
    maps = list(engine.track_pairs(clip, align=False))
    assert [len(part.targets) for part in maps] == [12]
    assert clip.geometry.points.shape[0] == clip.geometry.camera_poses.shape[0] == 13
    (last,) = engine.track_pairs(clip, [(11, 12)], align=False)
    close(maps[0].pixels[11], last.pixels[0], 1e-4)


def test_backward_pairs_and_distant_ones(model, io, case):
    engine = Track4WorldEngine(model, EngineConfig(iterations=1, pairs_at_once=2))
    clip = engine.encode(frames_of(io, 4), case.bundle(4))
    parts = list(engine.track_pairs(clip, [(3, 2), (0, 3), (2, 1)]))
    assert [(part.sources, part.targets) for part in parts] == [((3, 0), (2, 3)), ((2,), (1,))]
    reversed_clip = engine.encode(frames_of(io, 4)[::-1].copy(), case.bundle(4).frames(torch.tensor([3, 2, 1, 0])))
    (same,) = engine.track_pairs(reversed_clip, [(0, 1)])
    close(parts[0].pixels[0], same.pixels[0], 1e-4)  # attention knows no order of frames


def test_bad_clips_are_refused(model, io, case):
    engine = Track4WorldEngine(model)
    with pytest.raises(DataError, match="frame 0 of a clip of 1 frames"):
        next(engine.track_frame(frames_of(io, 1), 0, case.bundle(1)))
    with pytest.raises(DataError, match="frame 4 of a clip of 4 frames"):
        next(engine.track_frame(frames_of(io, 4), 4, case.bundle(4)))
    with pytest.raises(DataError, match=r"pair \(1, 4\) of a clip of 4 frames"):
        next(engine.track_pairs(engine.encode(frames_of(io, 4), case.bundle(4)), [(1, 4)]))
    with pytest.raises(ConfigError, match="built without backbone; give it a geometry bundle"):
        engine.encode(frames_of(io, 4))
    with pytest.raises(DataError, match="expected .*make it of these frames"):
        engine.encode(frames_of(io, 4), case.bundle(3))
    with pytest.raises(ConfigError, match="later_windows is 'loop', expected one of hold, restart"):
        EngineConfig(later_windows="loop")
