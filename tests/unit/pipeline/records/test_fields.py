"""The field table against the records, and every field against closed forms of resizing, cropping, mirroring and taking."""

import inspect
import typing
from dataclasses import fields, replace

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.records import ClipSample, TruthClip
from pipeline.records.fields import FIELDS, array_names, frames_taken, names_along, stored_shapes
from pipeline.records.pixel_transforms import Crop
from pipeline.records.views import crop, mirror, resize, take_frames, take_tracks

T, N, H, W = 3, 5, 12, 20
SIZES = {"T": T, "N": N, "H": H, "W": W}
FOCAL_X, FOCAL_Y = 9.0, 11.0


def is_array(kind) -> bool:
    return any(typing.get_origin(each) is np.ndarray for each in (kind, *typing.get_args(kind)))


def scalar_of(kind) -> type:
    """The scalar type that an annotation names: `npt.NDArray[np.float32]`, or that or None."""
    (array,) = (each for each in (kind, *typing.get_args(kind)) if typing.get_origin(each) is np.ndarray)
    (scalar,) = typing.get_args(typing.get_args(array)[1])
    return scalar


def make_sample() -> ClipSample:
    """Every array field, of values that tell places apart: depth and colour say where their pixel lies, one pixel is invalid."""
    draw = np.random.default_rng(0)
    arrays = {}
    for name, field in FIELDS.items():
        shape = field.shape(SIZES)
        arrays[name] = (draw.integers(0, 2, shape) if field.dtype == "bool" else draw.uniform(0, 1, shape)).astype(field.dtype)
    y, x = np.mgrid[:H, :W]
    intrinsics = np.array([[FOCAL_X, 0.5, 8.0], [0, FOCAL_Y, 5.0], [0, 0, 1]])
    poses = np.tile(np.eye(4), (T, 1, 1))
    angles = 0.1 * np.arange(T)
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(angles)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(angles), -np.sin(angles)
    poses[:, :3, 3] = draw.uniform(-1, 1, (T, 3))
    camera = draw.uniform([-1, -1, 4], [1, 1, 6], (T, N, 3))
    pixels = camera @ intrinsics.T
    depth = np.tile(1.0 + x + 100 * y, (T, 1, 1))
    depth[:, 3, 4] = 0
    arrays |= {
        "frames": np.tile(np.stack([x, y, 0 * x], -1), (T, 1, 1, 1)).astype(np.uint8),
        "frame_indices": np.arange(T),
        "query_frame": np.array([0, 2, 1, -1, 2], np.int32),
        "flow_from_frame": np.array([0, 1, 2], np.int32),
        "flow_to_frame": np.array([1, 2, -1], np.int32),
        "intrinsics": np.tile(intrinsics, (T, 1, 1)).astype(np.float32),
        "camera_to_world": poses.astype(np.float32),
        "depth": depth.astype(np.float32),
        "tracks2d": (pixels[..., :2] / pixels[..., 2:]).astype(np.float32),
        "tracks3d": camera.astype(np.float32),
        "tracks3d_world": (camera @ poses[:, :3, :3].mT + poses[:, None, :3, 3]).astype(np.float32),
    }
    return ClipSample(key="k", source="s", split="train", index=0, supervision="metric", **arrays)


def project(sample: ClipSample) -> np.ndarray:
    image = sample.tracks3d @ sample.intrinsics.mT
    return image[..., :2] / image[..., 2:]


def to_world(sample: ClipSample) -> np.ndarray:
    return sample.tracks3d @ sample.camera_to_world[:, :3, :3].mT + sample.camera_to_world[:, None, :3, 3]


CHANGES = {
    "resize": lambda sample: resize(sample, (18, 50)),  # 1.5 times as high, 2.5 times as wide
    "crop": lambda sample: crop(sample, Crop(left=3, top=2, width=11, height=7)),
    "mirror": mirror,
    "all": lambda sample: mirror(resize(crop(sample, Crop(left=3, top=2, width=10, height=8)), (4, 20))),
}


def test_the_table_and_the_array_fields_of_a_sample_are_the_same():
    kinds = typing.get_type_hints(ClipSample)
    assert set(FIELDS) == {name for name, kind in kinds.items() if is_array(kind)}
    assert set(array_names(ClipSample)) == set(FIELDS)


@pytest.mark.parametrize("record", [ClipSample, TruthClip])
def test_the_annotations_say_the_dtypes_of_the_table(record):
    kinds = typing.get_type_hints(record)
    assert {name: np.dtype(scalar_of(kinds[name])) for name in array_names(record)} == {
        name: np.dtype(FIELDS[name].dtype) for name in array_names(record)
    }


def test_what_a_dataset_may_know_is_in_the_table_and_is_what_may_be_stored():
    kinds = typing.get_type_hints(TruthClip)
    arrays = {name for name, kind in kinds.items() if is_array(kind)}
    assert set(array_names(TruthClip)) == arrays
    assert {name for name in arrays - {"frames", "frame_times"} if not FIELDS[name].stored} == set()


def test_the_comments_of_the_sample_say_what_the_table_says():
    lines = {line.strip().partition(":")[0]: line for line in inspect.getsource(ClipSample).splitlines()}
    wrong = [name for name, field in FIELDS.items() if f'{field.dtype} "{field.axes}"' not in lines[name]]
    assert not wrong


@pytest.mark.parametrize("change", CHANGES)
def test_projected_points_are_the_tracks_and_points_in_cameras_are_those_of_the_world(change):
    sample = CHANGES[change](make_sample())
    np.testing.assert_allclose(sample.tracks2d, project(sample), atol=1e-4)
    np.testing.assert_allclose(sample.tracks3d_world, to_world(sample), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "x", "y"),
    [
        ("resize", lambda x: (x + 0.5) * 2.5 - 0.5, lambda y: (y + 0.5) * 1.5 - 0.5),
        ("crop", lambda x: x - 3, lambda y: y - 2),
        ("mirror", lambda x: W - 1 - x, lambda y: y),
        ("all", lambda x: 19 - ((x - 3 + 0.5) * 2 - 0.5), lambda y: (y - 2 + 0.5) / 2 - 0.5),
    ],
)
def test_tracks_and_principal_points_go_where_their_pixel_goes(change, x, y):
    before = make_sample()
    after = CHANGES[change](before)
    for old, new in ((before.tracks2d, after.tracks2d), (before.intrinsics[:, :2, 2], after.intrinsics[:, :2, 2])):
        np.testing.assert_allclose(new[..., 0], x(old[..., 0]), atol=1e-5)
        np.testing.assert_allclose(new[..., 1], y(old[..., 1]), atol=1e-5)


@pytest.mark.parametrize(("change", "scale_x", "scale_y"), [("resize", 2.5, 1.5), ("crop", 1, 1), ("mirror", 1, 1), ("all", 2, 0.5)])
def test_focal_lengths_scale_with_their_axis(change, scale_x, scale_y):
    focal = CHANGES[change](make_sample()).intrinsics[:, [0, 1], [0, 1]]
    np.testing.assert_allclose(focal, np.tile([FOCAL_X * scale_x, FOCAL_Y * scale_y], (T, 1)), rtol=1e-6)


def test_maps_are_those_of_the_pixels_that_lie_there():
    sample = make_sample()
    cropped, mirrored = crop(sample, Crop(left=3, top=2, width=11, height=7)), mirror(sample)
    for name in names_along_pixels():
        before = getattr(sample, name)
        np.testing.assert_array_equal(getattr(cropped, name), before[at(name, slice(2, 9), slice(3, 14))])
        np.testing.assert_array_equal(getattr(mirrored, name), before[at(name, slice(None), slice(None, None, -1))])
    resized = resize(sample, (6, 10))  # by halves: a new centre lies on the corner of four pixels, the last of them is taken
    for name in set(names_along_pixels()) - {"frames"}:
        np.testing.assert_array_equal(getattr(resized, name), getattr(sample, name)[at(name, slice(1, None, 2), slice(1, None, 2))])
    np.testing.assert_allclose(resized.frames[0, 2, 3], [6.5, 4.5, 0], atol=0.51)  # the mean of the four


def test_a_rectangle_that_reaches_beyond_the_image_holds_nothing_there():
    sample = make_sample()
    wider = crop(sample, Crop(left=-4, top=6, width=30, height=9))  # of 20 x 12 pixels: 4 and 6 columns beside them, 3 rows below
    for name in names_along_pixels():
        after, held = getattr(wider, name), at(name, slice(0, 6), slice(4, 24))
        np.testing.assert_array_equal(after[held], getattr(sample, name)[at(name, slice(6, 12), slice(None))], err_msg=name)
        outside = np.ones(after.shape, bool)
        outside[held] = False
        assert not after[outside].any()
    np.testing.assert_array_equal(wider.tracks2d, sample.tracks2d - np.array([-4, 6], np.float32))
    np.testing.assert_allclose(wider.tracks2d, project(wider), atol=1e-4)


def at(name: str, rows: slice, columns: slice) -> tuple[slice, ...]:
    """The index of a rectangle of a field that has pixels."""
    return (*[slice(None)] * FIELDS[name].axis("H"), rows, columns)


def names_along_pixels() -> list[str]:
    """Fields whose values are those of their pixels; a flow's vectors change too."""
    return [name for name, field in FIELDS.items() if field.axis("H") is not None and name != "flow"]


def test_flow_goes_with_its_pixels_and_its_vectors_with_their_axes():
    y, x = np.mgrid[:H, :W].astype(np.float32)
    sample = replace(make_sample(), flow=np.tile(np.stack([3 + x, 2 * y], -1), (T, 1, 1, 1)))
    cropped = crop(sample, Crop(left=3, top=-1, width=4, height=5)).flow
    np.testing.assert_array_equal(cropped[0, 1:, :, 0], np.tile([6, 7, 8, 9], (4, 1)))
    np.testing.assert_array_equal(cropped[0, :, 0, 1], [0, 0, 2, 4, 6])  # beyond the image there is none
    np.testing.assert_array_equal(mirror(sample).flow[1, 5], np.stack([-(22 - x[5]), 2 * y[5]], -1))
    resized = resize(sample, (2 * H, W // 2)).flow  # a column of two becomes one, of which the second is taken
    np.testing.assert_array_equal(resized[2, 7], np.stack([(3 + x[3, 1::2]) / 2, np.full(W // 2, 2 * (2 * 3))], -1))
    assert resized.dtype == "float32"


@pytest.mark.parametrize(
    ("size", "invalid"), [((24, 40), [(6, 8), (6, 9), (7, 8), (7, 9)]), ((12, 20), [(3, 4)]), ((5, 7), [(1, 1)]), ((4, 7), [])]
)
def test_invalid_depth_stays_invalid_and_spreads_to_no_other_pixel(size, invalid):
    depth = resize(make_sample(), size).depth
    assert [tuple(place) for place in np.argwhere(depth[0] == 0)] == invalid
    assert np.isin(depth, make_sample().depth).all()


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_lie_in_pixels_stays_as_it_is(change):
    before = make_sample()
    after = CHANGES[change](before)
    for name in ("frame_times", "pose_valid", "visibility", "track_valid", "query_frame", "confidence", "frame_weights", "static_score"):
        assert getattr(after, name) is getattr(before, name)
    if change in ("resize", "crop"):
        for name in ("tracks3d", "tracks3d_world", "camera_to_world"):
            assert getattr(after, name) is getattr(before, name)


def test_two_mirrors_are_the_identity_and_one_keeps_poses_rigid():
    sample = make_sample()
    once = mirror(sample)
    rotations = once.camera_to_world[:, :3, :3]
    np.testing.assert_allclose(rotations @ rotations.mT, np.tile(np.eye(3), (T, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-6)
    np.testing.assert_allclose(once.tracks3d_world, sample.tracks3d_world * [-1, 1, 1])
    twice = mirror(once)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(twice, name), getattr(sample, name), atol=1e-5, err_msg=name)


def test_frames_and_tracks_are_taken_along_the_axis_that_the_table_names():
    sample = make_sample()
    taken = take_tracks(take_frames(sample, np.array([2, 0])), np.array([4, 1, 0]))
    for name, field in FIELDS.items():
        expected = getattr(sample, name)
        if field.axes.startswith("T N"):
            expected = expected[[2, 0]][:, [4, 1, 0]]
        elif field.holds_frames and field.axes == "T":
            expected = {"flow_from_frame": np.array([0, 1]), "flow_to_frame": np.array([-1, -1])}[name]  # 2 and 0, to none and to 1
        elif field.axes.startswith("T"):
            expected = expected[[2, 0]]
        elif "N" not in field.axes:
            pass
        elif name == "query_frame":
            expected = np.array([0, 0, 1])  # of tracks asked in frames 2, 2 and 0
        else:
            expected = expected[[4, 1, 0]]
        np.testing.assert_array_equal(getattr(taken, name), expected, err_msg=name)


def test_frames_are_found_among_those_taken():
    asked = np.array([0, 2, 3, 4, 6, 9, -1])
    assert frames_taken(asked, np.array([2, 4, 6])).tolist() == [-1, 0, -1, 1, 2, -1, -1]
    assert frames_taken(asked, np.array([6, 2, 6, 0])).tolist() == [3, 1, -1, -1, 0, -1, -1]
    assert frames_taken(np.array([0.0]), np.array([0])).dtype == "int32"


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_of_another_shape_or_dtype_is_refused_by_name(name):
    sample = make_sample()
    array = getattr(sample, name)
    other = "float32" if array.dtype == "bool" else "bool"
    for wrong in (array.astype(other), array[..., None], np.concatenate([array, array], axis=-1)):
        with pytest.raises(DataError, match="clip k: "):
            replace(sample, **{name: wrong})


def test_the_shapes_of_a_stored_clip_leave_the_number_of_tracks_open():
    shapes = stored_shapes(frames=T, height=H, width=W)
    assert shapes["tracks3d"] == (T, None, 3)
    assert shapes["query_frame"] == (None,)
    assert shapes["depth"] == (T, H, W)
    assert "frames" not in shapes
    assert "frame_weights" not in shapes


def test_tracks_are_the_fields_of_the_axis_n():
    assert set(names_along("N")) == {field.name for field in fields(ClipSample)} & {
        *("tracks2d", "tracks3d", "tracks3d_world", "visibility", "track_valid", "query_frame", "visibility_score", "confidence"),
        *("track_weights", "frame_weights", "static_score"),
    }
