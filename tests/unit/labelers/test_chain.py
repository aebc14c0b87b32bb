"""The chain and its rule, on motion fields worked by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from labelers.chain import LinkRule, RoundTripRule, Step, confidence_of, follow
from pipeline.errors import ConfigError


@dataclass
class UniformMotion:
    """Every point moves by `there` per frame forwards; the way back, in either direction, ends `miss` from its start."""

    there: tuple[float, float]
    miss: tuple[float, float] = (0, 0)
    shape: tuple[int, int, int] = (4, 100, 200)
    bad_frame: int = 0  # from this frame on the way back misses; before, it does not
    found: bool = True

    def step(self, start, end, points):
        miss = np.array(self.miss) if max(start, end) > self.bad_frame else np.zeros(2)
        moved = points + np.array(self.there) * (end - start)
        ends = (moved.astype(np.float32), (points + miss).astype(np.float32))
        return Step(moved_px=ends[0], returned_px=ends[1], found=np.full(len(points), self.found))


def queries(*rows):
    return np.array(rows, np.float32)


def test_positions_add_up_from_the_query_to_both_ends():
    labels = follow(UniformMotion(there=(10, 2)), queries((1, 50, 50), (3, 60, 20)), RoundTripRule())
    np.testing.assert_allclose(labels.tracks_px[:, 0], [[40, 48], [50, 50], [60, 52], [70, 54]])
    np.testing.assert_allclose(labels.tracks_px[:, 1], [[30, 14], [40, 16], [50, 18], [60, 20]])
    assert labels.visibility.all()
    np.testing.assert_array_equal(labels.confidence, 1)


def test_a_miss_is_allowed_up_to_one_pixel_and_five_percent_of_the_step():
    # a step of 20 px may miss its start by 2 px
    for miss, passes in ((1.95, True), (2.05, False)):
        labels = follow(UniformMotion(there=(0, 20), miss=(miss, 0)), queries((0, 50, 10)), RoundTripRule())
        assert labels.visibility[1:].all() == passes
        assert labels.visibility[1:].any() == passes


def test_a_step_that_passes_takes_half_of_its_miss_off_and_one_that_fails_none():
    passed = follow(UniformMotion(there=(4, 0), miss=(0.5, -0.25)), queries((0, 50, 50)), RoundTripRule())
    np.testing.assert_allclose(passed.tracks_px[:, 0], [[50, 50], [53.75, 50.125], [57.5, 50.25], [61.25, 50.375]])
    failed = follow(UniformMotion(there=(4, 0), miss=(3, 0)), queries((0, 50, 50)), RoundTripRule())
    np.testing.assert_allclose(failed.tracks_px[:, 0, 0], [50, 54, 58, 62])


def test_invisible_is_for_good_even_if_later_steps_pass():
    motion = UniformMotion(there=(1, 0), miss=(5, 0), shape=(6, 100, 200))
    motion.bad_frame = 2  # steps into frames 3, 4, 5 miss; frame 2 is reached well
    labels = follow(motion, queries((0, 50, 50), (5, 50, 50)), RoundTripRule())
    np.testing.assert_array_equal(labels.visibility[:, 0], [True, True, True, False, False, False])
    # from the end the first steps fail; those between frames 2, 1 and 0 pass and change nothing
    np.testing.assert_array_equal(labels.visibility[:, 1], [False, False, False, False, False, True])


def test_outside_begins_half_a_pixel_beyond_the_outermost_centres():
    labels = follow(UniformMotion(there=(0.25, 0)), queries((0, 199.2, 50)), RoundTripRule())  # 199.45, 199.7: the image ends at 199.5
    np.testing.assert_array_equal(labels.visibility[:, 0], [True, True, False, False])


def test_what_was_not_found_is_invisible_and_predictions_stay_near_the_image():
    lost = follow(UniformMotion(there=(0, 0), found=False), queries((0, 50, 50)), RoundTripRule())
    assert not lost.visibility[1:].any()
    far = follow(UniformMotion(there=(900, -900)), queries((0, 50, 50)), RoundTripRule())
    np.testing.assert_allclose(far.tracks_px[1:, 0], [[400, -100]] * 3)


def test_confidence_follows_the_squares_of_the_strain():
    # each step misses by half of what is allowed (1 px for a point at rest): 0.25 per step
    labels = follow(UniformMotion(there=(0, 0), miss=(0, 0.5)), queries((0, 50, 50)), RoundTripRule(share=0))
    np.testing.assert_allclose(labels.confidence[:, 0], np.exp([0, -0.5, -1.0, -1.5]), rtol=1e-5)
    assert confidence_of(np.float32(1e4)) == 0


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_the_rule_describes_itself(share):
    assert f"{100 * share:g} %" in RoundTripRule(share=share).describe()


@dataclass
class MissesByLink:
    """Points rest; a link misses its start by what is said of its two frames, else by `otherwise`, along x."""

    misses: dict[tuple[int, int], float]
    otherwise: float = 0.0
    shape: tuple[int, int, int] = (6, 100, 200)

    def step(self, start, end, points):
        miss = self.misses.get((start, end), self.otherwise)
        returned = points + np.float32([miss, 0])
        return Step(moved_px=points.copy(), returned_px=returned, found=np.ones(len(points), bool))


def test_a_longer_link_passes_by_frames_that_no_link_reaches():
    blocked = {(start, hidden): 5.0 for hidden in (2, 3) for start in range(6)} | {
        (hidden, end): 5.0 for hidden in (2, 3) for end in range(6)
    }
    for lengths, seen in (((1,), [1, 1, 0, 0, 0, 0]), ((1, 2), [1, 1, 0, 0, 0, 0]), ((1, 2, 4), [1, 1, 0, 0, 1, 1])):
        labels = follow(MissesByLink(blocked), queries((0, 50, 50)), RoundTripRule(share=0), LinkRule(lengths=lengths))
        np.testing.assert_array_equal(labels.visibility[:, 0], np.array(seen, bool))
        np.testing.assert_array_equal(labels.confidence[labels.visibility], 1)


def test_links_work_alike_in_both_directions_of_time():
    links = LinkRule(lengths=(1, 2, 4))
    forth = {(0, 1): 0.9, (1, 2): 5.0, (0, 2): 0.3, (2, 3): 0.2}
    back = {(5 - start, 5 - end): miss for (start, end), miss in forth.items()}
    ahead = follow(MissesByLink(forth), queries((0, 50, 50)), RoundTripRule(share=0), links)
    behind = follow(MissesByLink(back), queries((5, 50, 50)), RoundTripRule(share=0), links)
    np.testing.assert_array_equal(behind.tracks_px[::-1], ahead.tracks_px)
    np.testing.assert_array_equal(behind.visibility[::-1], ahead.visibility)
    np.testing.assert_array_equal(behind.confidence[::-1], ahead.confidence)


def test_of_several_chains_the_one_with_the_least_strain_is_taken_and_of_two_alike_the_shorter_link():
    # frame 2 by two links: 0.6^2 + 0.6^2 = 0.72; by one: 0.8^2 = 0.64 or 0.9^2 = 0.81
    for miss, strain, x in ((0.8, 0.64, 50 - 0.4), (0.9, 0.72, 50 - 0.6)):
        labels = follow(
            MissesByLink({(0, 1): 0.6, (1, 2): 0.6, (0, 2): miss}), queries((0, 50, 50)), RoundTripRule(share=0), LinkRule(lengths=(1, 2))
        )
        np.testing.assert_allclose(labels.confidence[2], np.exp(-strain / 0.5), rtol=1e-5)
        np.testing.assert_allclose(labels.tracks_px[2, 0], [x, 50], rtol=1e-6)
    alike = follow(MissesByLink({}, otherwise=0.0), queries((0, 50, 50)), RoundTripRule(), LinkRule(lengths=(1, 2)))
    alone = follow(MissesByLink({}, otherwise=0.0), queries((0, 50, 50)), RoundTripRule())
    np.testing.assert_array_equal(alike.tracks_px, alone.tracks_px)


def test_a_limit_of_strain_hides_points_and_moves_none():
    motion = UniformMotion(there=(0, 0), miss=(0, 0.5))  # 0.25 of strain per link
    free = follow(motion, queries((0, 50, 50)), RoundTripRule(share=0))
    limited = follow(motion, queries((0, 50, 50)), RoundTripRule(share=0), LinkRule(strain_limit=0.5))
    np.testing.assert_array_equal(limited.visibility[:, 0], [True, True, True, False])
    np.testing.assert_array_equal(limited.tracks_px, free.tracks_px)
    np.testing.assert_array_equal(limited.confidence, free.confidence)


@pytest.mark.parametrize("lengths", [(), (2,), (1, 4, 2), (1, 1), (1, 65), (0, 1)])
def test_lengths_that_do_not_increase_from_one_are_refused(lengths):
    with pytest.raises(ConfigError, match="jumps is "):
        LinkRule(lengths=lengths)
