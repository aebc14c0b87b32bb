"""Size and filter of the frames that a model sees: by hand and by law."""

import numpy as np
import pytest

from networks.inputs import PIXEL_BUDGET, fitted_size, resize_frames
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("stored", "fitted"),
    [
        ((1080, 1920), (378, 672)),  # 48.09 and 27.05 patches: 48 x 27, 254,016 pixels
        ((480, 640), (434, 574)),  # 41.65 and 31.24: 42 x 31 is 255,192, too many; wider than 4:3, so 41 x 31
        ((640, 480), (574, 434)),
        ((168, 224), (434, 574)),  # small ones are enlarged
        ((1, 5000), (14, 18214)),  # 2,551 columns of a row that is rounded up to one patch are too many; 1,301 fit
    ],
)
def test_sizes_are_multiples_of_a_patch_within_the_budget(stored, fitted):
    assert fitted_size(stored[1] / stored[0], PIXEL_BUDGET, patch=14) == fitted
    assert fitted[0] * fitted[1] <= 255_000


def test_a_budget_below_one_patch_is_refused():
    with pytest.raises(ConfigError, match="196 or more"):
        fitted_size(640 / 480, 195, patch=14)


def a_row(values) -> np.ndarray:
    return np.tile(np.array(values, np.uint8)[None, None, :, None], (1, 5, 1, 3))


def test_the_filter_is_lanczos():
    # made with Pillow 13.0.0; a mean over areas or a bicubic filter gives others
    row = a_row([0, 255, 30, 200, 90, 10, 250, 120])
    assert resize_frames(row, (5, 3))[0, 0, :, 0].tolist() == [121, 111, 138]
    assert resize_frames(row, (5, 12))[0, 0, :, 0].tolist() == [0, 141, 246, 53, 94, 209, 124, 4, 42, 229, 204, 101]


def test_finest_stripes_shrink_to_grey_and_constants_stay():
    stripes = a_row([0, 255] * 32)
    assert np.ptp(resize_frames(stripes, (5, 16))[..., 4:-4, :].astype(int)) <= 2
    assert (resize_frames(np.full((2, 30, 50, 3), 77, np.uint8), (14, 28)) == 77).all()


def test_a_mirrored_frame_resizes_to_the_mirrored_one():
    frames = np.random.default_rng(0).integers(0, 256, (1, 20, 30, 3), dtype=np.uint8)
    mirrored = resize_frames(frames[:, ::-1, ::-1], (14, 42))[:, ::-1, ::-1]
    assert np.abs(mirrored.astype(int) - resize_frames(frames, (14, 42))).max() <= 1


def test_nothing_happens_at_the_same_size():
    frames = np.zeros((1, 14, 28, 3), np.uint8)
    assert resize_frames(frames, (14, 28)) is frames
