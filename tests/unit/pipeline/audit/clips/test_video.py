"""Faults planted in a clip that otherwise passes: each is found, by the measure meant for it, and by that one alone."""

import cv2
import numpy as np
import pytest

from pipeline.audit.clips import frame_rate, measure_video
from pipeline.audit.verdict import ScreenRules, screen_verdict
from pipeline.errors import DataError
from pipeline.records import FramesInMemory
from tests.made_frames import MadeFrames, peak_bytes


def judge(frames: np.ndarray, **rules) -> tuple[str, tuple[str, ...]]:
    verdict = screen_verdict(measure_video(FramesInMemory(frames)), ScreenRules(**rules))
    return verdict.decision, verdict.reasons


def noisy(frames: np.ndarray, std: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(7).normal(0, std, frames.shape)
    return np.clip(frames + noise, 0, 255).astype(np.uint8)


def rolling_text(num_frames: int) -> np.ndarray:
    page = np.zeros((400, 160, 3), np.uint8)
    for line in range(20):
        cv2.putText(page, f"NAME {line * 37 % 100} AND {line}", (10, 20 + 18 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return np.stack([page[2 * t : 2 * t + 96] for t in range(num_frames)])


def test_a_clean_moving_clip_passes(moving_clip):
    assert judge(moving_clip()) == ("keep", ())
    assert judge(noisy(moving_clip(seed=1))) == ("keep", ())


def test_a_dark_clip_is_dropped_and_not_taken_for_one_with_bars(moving_clip):
    decision, reasons = judge((moving_clip() * 0.08).astype(np.uint8))
    assert decision == "drop"
    assert "dark" in reasons
    assert "letterbox" not in reasons


def test_a_clip_with_a_third_of_its_frames_blank_is_dropped(moving_clip):
    frames = moving_clip()
    frames[-8:] = 120
    decision, reasons = judge(frames)
    assert decision == "drop"
    assert "blank" in reasons
    frames = moving_clip()
    frames[-4:] = 120  # a sixth is not enough
    assert "blank" not in judge(frames)[1]


def test_bars_are_found_and_measured(moving_clip):
    frames = moving_clip()
    frames[:, :12] = 0
    frames[:, -12:] = 5
    assert judge(noisy(frames)) == ("quarantine", ("letterbox",))
    measures = measure_video(FramesInMemory(frames))
    assert (measures.border_top, measures.border_bottom) == (0.125, 0.125)
    assert (measures.border_left, measures.border_right) == (0.0, 0.0)
    assert measures.letterbox_share == pytest.approx(0.25)


def test_rolling_credits_are_dropped():
    decision, reasons = judge(rolling_text(24))
    assert decision == "drop"
    assert "credits" in reasons
    measures = measure_video(FramesInMemory(rolling_text(24)))
    assert measures.text_vertical_px == pytest.approx(2 * 256 / 160, abs=0.05)


def test_text_that_stands_still_is_no_rolling_credits():
    frames = np.repeat(rolling_text(1), 24, axis=0)
    assert "credits" not in judge(frames)[1]
    assert "static" in judge(frames)[1]


def test_a_frozen_clip_is_dropped_with_or_without_noise_unless_allowed(moving_clip):
    frozen = np.repeat(moving_clip(num_frames=1), 24, axis=0)
    assert judge(frozen) == ("drop", ("static",))
    assert judge(noisy(frozen, 4.0)) == ("drop", ("static",))
    assert judge(noisy(frozen, 4.0), allow_static=True) == ("keep", ("static_allowed",))


def test_something_that_moves_before_a_fixed_camera_is_no_static_clip(moving_clip):
    frames = np.repeat(moving_clip(num_frames=1), 24, axis=0)
    for t in range(24):
        frames[t, 30:54, 10 + 4 * t : 34 + 4 * t] = 230
    assert judge(noisy(frames)) == ("keep", ("fixed_camera",))


def test_doubled_frames_are_found(moving_clip):
    doubled = np.repeat(moving_clip(num_frames=12), 2, axis=0)
    assert judge(noisy(doubled, 1.0)) == ("quarantine", ("duplicate_frames",))
    assert measure_video(FramesInMemory(doubled)).duplicate_share == pytest.approx(12 / 23)


def test_a_hard_cut_is_found_at_its_frame(moving_clip):
    frames = np.concatenate([moving_clip(num_frames=10), moving_clip(num_frames=14, seed=5)])
    assert judge(frames) == ("drop", ("cut_inside",))
    assert measure_video(FramesInMemory(frames)).cut_frames == (10,)


@pytest.mark.parametrize("flash", ["bright", "blinding"])
def test_a_flash_is_no_cut_but_a_jump_of_exposure(moving_clip, flash):
    frames = moving_clip()
    frames[11] = 255 if flash == "blinding" else np.clip(frames[11].astype(int) * 2 + 60, 0, 255)
    assert judge(frames) == ("keep", ("exposure_jump",))
    assert measure_video(FramesInMemory(frames)).cut_frames == ()


def test_a_step_of_the_exposure_is_remarked(moving_clip):
    frames = moving_clip()
    frames[12:] = (frames[12:] * 0.6).astype(np.uint8)
    assert judge(frames) == ("keep", ("exposure_jump",))
    assert measure_video(FramesInMemory(frames)).exposure_step == pytest.approx(0.4, abs=0.02)


def test_a_pan_of_an_eighth_of_the_width_per_frame_is_too_fast(moving_clip):
    assert "fast_pan" in judge(moving_clip(num_frames=12, step=(20, 0)))[1]


def test_the_pan_is_measured_in_pixels_of_a_long_side_of_256(moving_clip):
    measures = measure_video(FramesInMemory(moving_clip(num_frames=17, step=(3, 0))))
    assert measures.pan_px == pytest.approx(3 * 256 / 160, abs=0.05)
    assert measures.pan_width_share == pytest.approx(3 / 160, abs=0.001)
    assert measures.path_px == pytest.approx(16 * 3 * 256 / 160, abs=0.5)
    assert measures.roll_deg < 0.05
    slow = measure_video(FramesInMemory(moving_clip(num_frames=17, step=(1, 0))))
    assert slow.displacement_px == pytest.approx(8 * 256 / 160, abs=0.2)
    assert slow.homography_share > 0.95


def test_a_logo_over_a_moving_picture_is_remarked(moving_clip):
    frames = moving_clip(num_frames=24, step=(4, 2))
    logo = np.kron(np.random.default_rng(0).integers(0, 2, (4, 8, 1)), np.ones((4, 4, 1))) * 255
    frames[:, 4:20, 120:152] = logo.astype(np.uint8)
    measures = measure_video(FramesInMemory(frames))
    assert 0.5 * 16 * 32 / (96 * 160) < measures.overlay_share < 2 * 16 * 32 / (96 * 160)
    assert measure_video(FramesInMemory(moving_clip(num_frames=24, step=(4, 2)))).overlay_share == 0


def test_one_frame_is_measured_as_far_as_it_goes(moving_clip):
    measures = measure_video(FramesInMemory(moving_clip(num_frames=1)))
    assert measures.num_frames == 1
    assert measures.cut_frames == ()
    assert np.isnan([measures.displacement_px, measures.exposure_step, measures.duplicate_share, measures.letterbox_share]).all()
    assert judge(moving_clip(num_frames=1)) == ("keep", ())


def test_large_frames_give_nearly_the_measures_of_shrunk_ones(moving_clip):
    small = moving_clip(num_frames=9, step=(2, 0), size=(144, 256))
    large = np.stack([cv2.resize(frame, (512, 288), interpolation=cv2.INTER_NEAREST) for frame in small])
    of_small, of_large = (measure_video(FramesInMemory(frames)) for frames in (small, large))
    assert of_small == of_large


def test_pictures_are_let_go_of_however_long_the_clip_is():
    short, long = MadeFrames(30, 120, 160), MadeFrames(150, 120, 160)
    peak_bytes(measure_video, short)  # what is allocated once
    grown = peak_bytes(measure_video, long) - peak_bytes(measure_video, short)
    assert short.most_alive == long.most_alive <= 6
    assert grown < 10 * 120 * 160  # a twelfth of the grey frames that were added


def test_no_frames_and_frames_of_changing_size_are_refused(moving_clip):
    class Changing:
        shape = (2, 96, 160)

        def __iter__(self):
            yield moving_clip(num_frames=1)[0]
            yield moving_clip(num_frames=1, size=(90, 160))[0]

    with pytest.raises(DataError, match="frame 1"):
        measure_video(Changing())
    with pytest.raises(DataError, match="no frames"):
        measure_video(FramesInMemory(np.zeros((0, 8, 8, 3), np.uint8)))


def test_a_clip_of_one_frame_per_second_is_not_dropped_for_its_large_steps(moving_clip):
    scenes = np.concatenate([moving_clip(num_frames=1, seed=seed) for seed in range(6)])
    assert judge(scenes)[0] == "drop"
    slow = screen_verdict(measure_video(FramesInMemory(scenes), fps=1.0), ScreenRules())
    assert (slow.decision, slow.reasons) == ("keep", ("low_frame_rate", "cut_uncertain"))


@pytest.mark.parametrize(
    ("timestamps", "fps"),
    [
        ([0.0, 0.2, 0.4, 0.6000000001], 5.0),
        ([7.0, 8.0, 9.0], 1.0),
        ([0.0, 0.04, 0.08, 9.0, 9.04], 25.0),  # a pause
        ([0.0, 0.05], 20.0),
    ],
)
def test_the_rate_is_that_of_the_median_step(timestamps, fps):
    assert frame_rate(timestamps) == fps


def test_a_single_frame_has_no_rate():
    assert np.isnan(frame_rate([3.0]))
