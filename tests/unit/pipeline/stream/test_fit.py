"""Clips brought to a size of other proportions, against the stored clip: by projection, and pixel by pixel through the new cameras."""

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.records import ClipSample
from pipeline.stream import ClipStream, StreamConfig
from pipeline.stream.torch_adapter import TorchClipDataset

FITS = ("crop", "pad", "stretch")
MARK = 4  # pixels from a mark's centre to its sides
SIZES = [  # stored, asked for, (H, W)
    ((48, 64), (40, 24)),  # landscape to portrait
    ((64, 36), (36, 64)),  # portrait to landscape
    ((46, 62), (31, 45)),  # odd sides, and a margin that cannot be halved
    ((48, 64), (103, 161)),  # larger
]


def make_arrays(stored, num_tracks=400):
    """A camera whose axis is off the centre, points before it that it sees or not, and depth that tells where its pixel lies."""
    height, width = stored
    camera = np.array([[50.0, 0.7, 0.4 * width], [0, 44.0, 0.55 * height], [0, 0, 1]])
    draw = np.random.default_rng(5)
    pixels = draw.uniform([-0.2 * width, -0.2 * height], [1.2 * width, 1.2 * height], (num_tracks, 2))
    pixels[0] = round(0.5 * width) - 0.5, round(0.5 * height) - 0.5  # the mark's centre
    z = draw.uniform(2, 9, (num_tracks, 1))
    points = np.concatenate([pixels, np.ones_like(z)], -1) @ np.linalg.inv(camera).T * z
    y, x = np.mgrid[:height, :width]
    both = {"tracks2d": pixels, "tracks3d": points, "intrinsics": camera, "depth": 1 + x + 100 * y}
    arrays = {name: np.tile(array.astype(np.float32), (2, *[1] * array.ndim)) for name, array in both.items()}
    seen = np.ones((2, num_tracks), bool)  # the labeler that sees through the frame's edge is a bad one
    return arrays | {"visibility": seen, "track_valid": seen, "query_frame": np.arange(num_tracks, dtype=np.int32) % 2}


def make_frames(stored, centre):
    frames = np.full((2, *stored, 3), 40, np.uint8)
    left, top = (round(place + 0.5) - MARK for place in centre)
    frames[:, top : top + 2 * MARK, left : left + 2 * MARK] = 220
    return frames


@pytest.fixture(name="clip")
def _clip(make_root):
    """clip(stored, **options) -> (the sample, the stored arrays)."""

    def deliver(stored, **options) -> tuple[ClipSample, dict[str, np.ndarray]]:
        arrays = make_arrays(stored)
        videos = {"s0c0": make_frames(stored, arrays["tracks2d"][0, 0])}
        root = make_root(num_clips=(1,), videos=videos, arrays={"s0c0": arrays}, is_metric=True)
        return next(iter(ClipStream(StreamConfig(root=root, num_frames=None, **options)))), arrays

    return deliver


def stored_places(sample, arrays, pixels):
    """Places "... 2" in the stored clip of pixels of the sample: through the ray of the new camera, and back through the old one."""
    rays = np.concatenate([pixels, np.ones((*pixels.shape[:-1], 1))], -1) @ np.linalg.inv(sample.intrinsics[0].astype(np.float64)).T
    return (rays @ arrays["intrinsics"][0].astype(np.float64).T)[..., :2]


def on_image(places, size):
    return ((places >= -0.5) & (places <= np.array(size[::-1]) - 0.5)).all(-1)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("stored", "size"), SIZES)
def test_everything_in_pixels_follows_the_picture(stored, size, fit, clip):
    sample, arrays = clip(stored, size=size, fit=fit)
    assert sample.frames.shape == (2, *size, 3)
    image = sample.tracks3d @ sample.intrinsics.mT
    np.testing.assert_allclose(sample.tracks2d, image[..., :2] / image[..., 2:], atol=2e-4)
    np.testing.assert_array_equal(sample.tracks3d, arrays["tracks3d"])

    rows, columns = np.mgrid[: size[0], : size[1]]
    places = stored_places(sample, arrays, np.stack([columns, rows], -1).astype(np.float64))
    shown = on_image(places, stored)
    x, y = np.clip(np.floor(places + 0.5).astype(int), 0, np.array(stored[::-1]) - 1).T
    expected = np.where(shown, arrays["depth"][0][y.T, x.T], 0)
    between = np.abs(places + 0.5 - np.round(places + 0.5)).min(-1) < 1e-3  # on the edge of two pixels either will do
    assert between.mean() < 0.6
    np.testing.assert_array_equal(sample.depth[0][~between], expected[~between])

    light = np.maximum(sample.frames[0, :, :, 1].astype(float) - 60, 0)
    found = [(light.sum(0) @ np.arange(size[1])) / light.sum(), (light.sum(1) @ np.arange(size[0])) / light.sum()]
    np.testing.assert_allclose(sample.tracks2d[0, 0], found, atol=0.1)
    if fit == "pad":
        np.testing.assert_array_equal(sample.valid_mask, shown)
        assert sample.frames[0][~shown].max() == 0
        assert sample.frames[0][shown].min() > 25
    else:
        assert sample.valid_mask is None
        assert shown.all()


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize(("stored", "size"), SIZES)
def test_proportions_stay_and_the_picture_lies_in_the_middle(stored, size, fit, clip):
    sample, arrays = clip(stored, size=size, fit=fit)
    scale = (sample.intrinsics[0] / np.where(arrays["intrinsics"][0] == 0, 1, arrays["intrinsics"][0]))[[0, 1], [0, 1]]
    assert abs(scale[0] - scale[1]) * min(stored) <= 0.5 + 1e-4  # half a pixel of the side that was rounded
    corners = stored_places(sample, arrays, np.array([[-0.5, -0.5], [size[1] - 0.5, size[0] - 0.5]]))
    before, after = (corners[0] + 0.5) * scale, (np.array(stored[::-1]) - 0.5 - corners[1]) * scale  # what is cut, or less than none
    assert (np.abs(before - after) <= 1 + 1e-3).all()
    assert min(np.abs(before) + np.abs(after)) < 1e-3  # one side fits
    assert (np.stack([before, after]) * (1 if fit == "crop" else -1) > -1e-3).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("stored", "size"), SIZES)
def test_tracks_are_seen_and_asked_for_within_the_picture(stored, size, fit, clip):
    sample, arrays = clip(stored, size=size, fit=fit)
    inside = on_image(sample.tracks2d, size) & on_image(arrays["tracks2d"], stored)
    assert 0.05 < inside.mean() < 0.75
    if fit == "stretch":  # as the labeler said
        inside[:] = True
    np.testing.assert_array_equal(sample.visibility, inside)
    asked = np.arange(inside.shape[1]) % 2
    np.testing.assert_array_equal(sample.query_frame, np.where(inside[asked, np.arange(len(asked))], asked, -1))
    assert sample.track_valid.all()


@pytest.mark.parametrize(
    ("width", "seen_from", "queries", "weights"),
    [(26, (3, 2, 1), [-1, -1, 2], [0.5, 1.0, 0.0]), (20, (6, 5, 4), [-1, -1, -1], [0.0, 1.0, 0.0])],
)
def test_an_audits_weights_count_within_the_crop(width, seen_from, queries, weights, make_root, label, audit):
    """Track n is at x = n + t of 32; it is hidden, and asked, in frame n. A crop to 26 pixels cuts 3 of them from the left."""
    root = make_root(num_clips=(1,))
    name = label(root, [0])
    audit(root, name, [0])
    whole, cut = (
        next(iter(ClipStream(StreamConfig(root=root, audit=name, num_frames=None, **options)))) for options in ({}, {"size": (24, width)})
    )
    t, n = np.mgrid[:6, :3]
    inside = t >= np.array(seen_from)
    np.testing.assert_array_equal(cut.tracks2d[..., 0], n + t - (32 - width) / 2)
    np.testing.assert_array_equal(cut.visibility, inside & (t != n))
    np.testing.assert_array_equal(cut.frame_weights, np.where(inside, whole.frame_weights, 0))
    assert cut.query_frame.tolist() == queries
    np.testing.assert_array_equal(cut.track_weights, np.array(weights, np.float32))
    np.testing.assert_array_equal(cut.confidence, whole.confidence)
    assert cut.frame_weights.dtype == cut.track_weights.dtype == "float32"


@pytest.mark.parametrize("fit", FITS)
def test_without_a_size_clips_come_as_they_are_stored(fit, clip):
    sample, arrays = clip((48, 64), fit=fit)
    assert sample.frames.shape == (2, 48, 64, 3)
    assert sample.valid_mask is None
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(sample, name), array, err_msg=name)


def test_a_torch_dataset_pads_too_and_another_fit_is_refused(make_root):
    root = make_root(num_clips=(1,))
    sample = next(iter(TorchClipDataset(StreamConfig(root=root, num_frames=2, size=(40, 40), fit="pad"))))
    rows = np.flatnonzero(sample.valid_mask.any(1))
    assert (rows[0], rows[-1], sample.valid_mask.sum()) == (5, 34, 30 * 40)  # 24 x 32 becomes 30 x 40
    with pytest.raises(ConfigError, match="fit is 'squash', expected one of crop, pad, stretch"):
        StreamConfig(root=root, fit="squash")
