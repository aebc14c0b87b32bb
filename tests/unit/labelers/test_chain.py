"""The chain and its rule, on motion fields worked by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from labelers.chained import RoundTripRule, Step, confidence_of, follow


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
