"""Chaining: to the letter of the public code's golden, and ours by closed forms: sub-pixel, checked, bounded."""

import weakref

import numpy as np
import pytest

from labelers.chain import RoundTripRule
from labelers.track4world.chaining import Cells, ChainRule, ChainStep, FrameGeometry, chain_tracks
from labelers.track4world.cleaning import clean_mask
from labelers.track4world.integer_chaining import chain_integer
from pipeline.errors import ConfigError
from tests.track4world_golden import GOLDEN

HEIGHT, WIDTH, FOCAL, DEPTH = 12, 20, 16.0, 4.0
CAMERA = np.array([[FOCAL, 0, 9.5], [0, FOCAL, 5.5], [0, 0, 1]], np.float32)
X, Y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))
GRID = np.stack([X, Y], axis=-1)


def wall(clean=None, moved=None) -> FrameGeometry:
    """A frame in front of a wall, from a camera that stands `moved` (x, y, z) away from the world's origin."""
    depth = np.full((HEIGHT, WIDTH), DEPTH, np.float32)
    points = np.stack([(X - 9.5) / FOCAL * depth, (Y - 5.5) / FOCAL * depth, depth], axis=-1)
    pose = None
    if moved is not None:
        pose = np.eye(4, dtype=np.float32)
        pose[:3, 3] = moved
    clean = np.ones((HEIGHT, WIDTH), bool) if clean is None else clean
    return FrameGeometry(points=points, clean=clean, intrinsics=CAMERA, camera_to_world=pose)


def step(flow=(0.0, 0.0), back=None, score=0.9) -> ChainStep:
    """A constant flow, (x, y) in pixels."""
    returns = None if back is None else GRID + np.asarray(back, np.float32)
    score = np.broadcast_to(np.float32(score), (HEIGHT, WIDTH))
    return ChainStep(targets=GRID + np.asarray(flow, np.float32), score=score, returns=returns)


def by_track(tracks, values):
    return np.split(values, tracks.offsets[1:-1])


@pytest.mark.parametrize("space", ["camera", "world"])
def test_the_public_codes_chain_exactly(space):
    with np.load(GOLDEN / "small_io.npz") as file:
        io = {name: file[name] for name in file.files if name.startswith(("chain_", "tracks_"))}
    masks = io["chain_dyn_mask"] if space == "world" else [None] * 4
    frames = [
        FrameGeometry(points=points, clean=clean_mask(valid, points[..., 2].copy(), moves), intrinsics=CAMERA, camera_to_world=None)
        for points, valid, moves in zip(io["chain_points"], io["chain_mask"], masks, strict=True)
    ]
    steps = (
        ChainStep(targets=targets.transpose(1, 2, 0), score=visconf.prod(0))
        for targets, visconf in zip(io["chain_flow2d_abs"], io["chain_visconf_refined"], strict=True)
    )
    tracks = chain_integer(iter(frames), steps, num_frames=4)
    alive = np.bincount(tracks.frame_numbers, minlength=4)
    assert [tracks.num_tracks, *alive] == io[f"tracks_{space}_count"].tolist()
    found = tracks.in_frames(np.arange(3))
    points = np.where(found.alive[..., None], found.points, np.nan)[:, ::4]
    np.testing.assert_array_equal(points, io[f"tracks_{space}_xyz"])  # the golden holds camera axes in both


def test_the_stated_rules_chain_where_masks_are_those_of_the_frame_before():
    """The seed was made by the description, which takes frame t - 1's mask, and chains the last frame too."""
    with np.load(GOLDEN.parent / "seeds/t4w_chain.npz") as file:
        seed = {name: file[name] for name in file.files}
    masks = np.concatenate([seed["valid"][:1], seed["valid"]])
    frames = (
        FrameGeometry(points=points, clean=mask, intrinsics=CAMERA, camera_to_world=None)
        for points, mask in zip(seed["points"][[0, 1, 2, 3, 4, 4]], masks, strict=True)
    )
    steps = (ChainStep(targets=targets, score=score) for targets, score in zip(seed["target_pix"], seed["visconf"], strict=True))
    tracks = chain_integer(frames, steps, num_frames=6, visible=float(seed["threshold"]))
    np.testing.assert_array_equal(tracks.starts, seed["track_start"])
    found = tracks.in_frames(np.arange(5))
    pixels = np.where(found.alive[..., None], found.pixels, -1).transpose(1, 0, 2)
    np.testing.assert_array_equal(pixels, seed["track_pix"])
    points = np.where(found.alive[..., None], found.points, np.nan).transpose(1, 0, 2)
    np.testing.assert_allclose(points, seed["track_xyz"], rtol=1e-6)


def test_a_step_that_nobody_survives_keeps_all_in_their_places_unseen():
    steps = [step((1, 0)), step((1, 0), score=0.1), step((1, 0)), step()]
    tracks = chain_integer([wall()] * 5, steps, num_frames=5)
    walk = by_track(tracks, tracks.pixels)[0][:, 0].tolist()
    assert walk == [0, 1, 1, 2]  # frame 4 is left empty
    assert by_track(tracks, tracks.visibility)[0].tolist() == [True, True, False, True]
    assert tracks.num_tracks == HEIGHT * WIDTH + 2 * HEIGHT  # new columns on the left in frames 1 and 3, none in frame 2


def test_constant_flow_gives_sub_pixel_lines_that_stand_still_in_the_world():
    """A camera moves by 0.1 to the left of a wall: pixels move by 0.4 to the right, points not at all."""
    frames = [wall(moved=(-0.1 * t, 0, 0)) for t in range(6)]
    tracks = chain_tracks(iter(frames), (step((0.4, 0)) for _ in range(5)), ChainRule(), num_frames=6)
    assert tracks.space == "world"
    for (t, x, y), start, pixels, points in zip(
        tracks.queries, tracks.starts, by_track(tracks, tracks.pixels), by_track(tracks, tracks.points), strict=True
    ):
        assert start == t
        ages = np.arange(len(pixels))
        np.testing.assert_allclose(pixels, np.stack([x + 0.4 * ages, np.full(len(ages), y)], 1), atol=1e-4)
        at_query = [(x - 9.5) / FOCAL * DEPTH - 0.1 * t, (y - 5.5) / FOCAL * DEPTH, DEPTH]
        np.testing.assert_allclose(points, np.tile(at_query, (len(ages), 1)), atol=1e-4)
    first = tracks.starts == 0
    assert first.sum() == HEIGHT * WIDTH
    # the image ends at 19.5: a track of the last column is at 19.4, and then gone
    assert (tracks.lengths[first] == np.minimum(6, 1 + np.floor((WIDTH - 0.5 - tracks.queries[first, 1]) / 0.4 + 1e-4))).all()
    later = tracks.queries[~first]
    assert later[:, 1].tolist() == [0] * len(later)  # new ones on the left edge, when its cell is empty: 0, 0.4, then 0.8
    assert set(later[:, 0].tolist()) == {2, 4}


def test_a_track_is_lifted_where_it_is_on_a_slope():
    """Depth 4 + x / 10: at pixel 3.25 it is 4.325."""
    frame = wall()
    depth = 4 + X / 10
    slope = FrameGeometry(points=np.stack([X * 0, Y * 0, depth], -1), clean=frame.clean, intrinsics=CAMERA, camera_to_world=None)
    tracks = chain_tracks([slope, slope], [step((0.25, 0.5))], ChainRule(every=1), num_frames=2)
    (place,) = np.flatnonzero((tracks.pixels == (3.25, 2.5)).all(axis=1))
    np.testing.assert_allclose(tracks.points[place], [(3.25 - 9.5) / FOCAL * 4.325, (2.5 - 5.5) / FOCAL * 4.325, 4.325], rtol=1e-6)


def test_flow_is_read_between_the_pixels():
    """Flow x / 10: after two steps from 5 a track is at 5 * 1.1^2."""
    targets = np.stack([1.1 * X, Y], axis=-1)
    steps = [ChainStep(targets=targets, score=np.ones((HEIGHT, WIDTH), np.float32))] * 2
    tracks = chain_tracks([wall()] * 3, steps, ChainRule(), num_frames=3)
    track = int(np.flatnonzero((tracks.queries == (0, 5, 4)).all(axis=1))[0])
    np.testing.assert_allclose(by_track(tracks, tracks.pixels)[track][:, 0], [5, 5.5, 6.05], rtol=1e-6)


def test_cells_of_several_pixels_hold_a_track_each():
    tracks = chain_tracks([wall()] * 3, [step()] * 2, ChainRule(every=5), num_frames=3)
    assert tracks.queries[:4].tolist() == [[0, 2, 2], [0, 7, 2], [0, 12, 2], [0, 17, 2]]
    assert tracks.queries[-1].tolist() == [0, 17, 11]  # of the cut cells below, whose middle would be outside
    assert (tracks.num_tracks, set(tracks.lengths.tolist())) == (12, {3})


def test_what_ends_a_track():
    """Score at the threshold, an unclean landing, the way out; each alone."""
    clean = np.ones((HEIGHT, WIDTH), bool)
    clean[:, 10:] = False
    score = np.full((HEIGHT, WIDTH), 0.9, np.float32)
    score[:, :3] = 0.3
    tracks = chain_tracks([wall(), wall(clean)], [step((2, 0), score=score)], ChainRule(shortest=1), num_frames=2)
    first = tracks.queries[:, 0] == 0
    going_on = tracks.lengths == 2
    assert sorted(set(tracks.queries[first & going_on, 1].tolist())) == [3, 4, 5, 6, 7]
    assert first.all()  # none begins in the last frame
    shifted = chain_tracks([wall(), wall()], [step((0, 1.5))], ChainRule(shortest=1), num_frames=2)
    assert set(shifted.queries[shifted.lengths == 1, 2].tolist()) == {HEIGHT - 1}  # 10 + 1.5 = 11.5 is the very edge
    begun = chain_tracks([wall(clean), wall()], [step()], ChainRule(), num_frames=2)
    assert begun.queries[:, 1].max() == 9


def test_the_round_trip_ends_what_does_not_come_back():
    back = np.where(X[..., None] < 10, (-2.0, 0.0), (-2.0, 1.5))  # on the right the way back misses by 1.5
    given = {"num_frames": 2}
    steps = [step((2, 0), back=back)]
    checked = chain_tracks([wall()] * 2, steps, ChainRule(round_trip=RoundTripRule(px=1, share=0.1)), **given)
    assert set(checked.queries[:, 1].tolist()) == set(range(8))  # those that land left of 10
    assert set(chain_tracks([wall()] * 2, steps, ChainRule(), **given).queries[:, 1].tolist()) == set(range(18))
    loose = ChainRule(round_trip=RoundTripRule(px=1.4, share=0.1))  # 1.4 + 0.1 * 2 > 1.5
    assert set(chain_tracks([wall()] * 2, steps, loose, **given).queries[:, 1].tolist()) == set(range(18))


def test_tracks_that_crowd_end_the_youngest_first_so_that_memory_is_bounded():
    """Everything runs to the middle, and new tracks follow for ever."""
    targets = np.stack([(X - 9.5) / 2 + 9.5, (Y - 5.5) / 2 + 5.5], axis=-1)
    steps = (ChainStep(targets=targets, score=np.ones((HEIGHT, WIDTH), np.float32)) for _ in range(12))
    tracks = chain_tracks(iter([wall()] * 13), steps, ChainRule(every=2, most_per_cell=2, shortest=1), num_frames=13)
    alive = np.bincount(tracks.frame_numbers)
    cells = Cells(size=(HEIGHT, WIDTH), every=2)
    for frame in range(13):
        assert np.bincount(cells.of(tracks.pixels[tracks.frame_numbers == frame])).max() <= 2
    assert alive.max() <= 2 * 60
    middle = cells.of(tracks.pixels) == cells.of(np.array([[9.4, 5.4]]))
    last = middle & (tracks.frame_numbers == 12)
    assert set(tracks.starts[tracks.track_numbers[last]].tolist()) == {0}


def test_one_step_is_held_at_a_time():
    made, most = [], 0

    class Map(np.ndarray):  # of which there can be weak references
        pass

    def steps():
        nonlocal most
        for _ in range(12):
            targets = (GRID + 0.1).view(Map)
            made.append(weakref.ref(targets))
            most = max(most, sum(reference() is not None for reference in made))
            yield ChainStep(targets=targets, score=np.ones((HEIGHT, WIDTH), np.float32))

    chain_tracks((wall() for _ in range(13)), steps(), ChainRule(), num_frames=13)
    assert most <= 3  # the one that is made, and those that the loop still names


def test_edges_of_depth_and_borders_of_what_moves_are_not_clean():
    valid, depth = np.ones((10, 12), bool), np.full((10, 12), 1.0, np.float32)
    depth[:, 6:] = 1.05
    assert np.flatnonzero(~clean_mask(valid, depth)[4]).tolist() == [5, 6]
    depth[:, 6:] = 1.039
    assert clean_mask(valid, depth).all()
    moving = np.zeros((10, 24), bool)
    moving[:, 12:] = True
    valid, depth = np.ones((10, 24), bool), np.ones((10, 24), np.float32)
    kept = clean_mask(valid, depth, moving)[5]
    assert np.flatnonzero(~kept).tolist() == [*range(8, 14)]  # four times one column to the right of what rests; two of what moves


@pytest.mark.parametrize(
    ("wrong", "said"), [({"every": 0}, "every is 0"), ({"visible": 1.5}, "visible is 1.5"), ({"shortest": 0}, "shortest")]
)
def test_rules_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        ChainRule(**wrong)
