"""Dense tracks as records and files: what is written is read back, and .ply holds what was seen."""

import dataclasses

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.dense_tracks import read_dense_npz, read_dense_parquet, write_dense_npz, write_dense_parquet, write_trajectories
from pipeline.errors import DataError, FormatError
from pipeline.records.dense_tracks import DenseTracks


def dense_tracks(**changes) -> DenseTracks:
    """Three tracks in 4 frames: frames 0 to 2, 1 to 3, and 3 alone; the middle of the first is hidden."""
    rng = np.random.default_rng(0)
    made = DenseTracks(
        num_frames=4,
        size=(6, 8),
        space="world",
        queries=np.array([[0, 1, 2], [1, 3, 4], [3, 7, 5]], np.float32),
        starts=np.array([0, 1, 3], np.int32),
        lengths=np.array([3, 3, 1], np.int32),
        pixels=rng.uniform(0, 6, (7, 2)).astype(np.float32),
        points=rng.normal(size=(7, 3)).astype(np.float32),
        visibility=np.array([1, 0, 1, 1, 1, 1, 1], bool),
        visibility_score=rng.uniform(0, 1, 7).astype(np.float32),
        colours=np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8),
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    ("write", "read", "suffix"), [(write_dense_npz, read_dense_npz, "npz"), (write_dense_parquet, read_dense_parquet, "parquet")]
)
@pytest.mark.parametrize("changes", [{}, {"space": "camera", "colours": None}])
def test_what_is_written_is_read_back(tmp_path, write, read, suffix, changes):
    tracks, uri = dense_tracks(**changes), str(tmp_path / f"tracks.{suffix}")
    write(uri, tracks)
    found = read(uri)
    for field in dataclasses.fields(tracks):
        expected, got = getattr(tracks, field.name), getattr(found, field.name)
        if isinstance(expected, np.ndarray):
            assert got.dtype == expected.dtype, field.name
        np.testing.assert_array_equal(got, expected, err_msg=field.name)


def test_no_track_is_read_back_too(tmp_path):
    none = dense_tracks().select(np.zeros(3, bool))
    for write, read, name in ((write_dense_npz, read_dense_npz, "a.npz"), (write_dense_parquet, read_dense_parquet, "a.parquet")):
        write(str(tmp_path / name), none)
        assert read(str(tmp_path / name)).num_tracks == 0
    assert write_trajectories(str(tmp_path / "a.ply"), none, np.zeros((0, 3), np.uint8)) == 0


def test_equal_tracks_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_dense_npz(str(tmp_path / f"{name}.npz"), dense_tracks())
        write_dense_parquet(str(tmp_path / f"{name}.parquet"), dense_tracks())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_any_parquet_reader_finds_a_row_per_track(tmp_path):
    tracks = dense_tracks()
    write_dense_parquet(str(tmp_path / "tracks.parquet"), tracks)
    second = pq.read_table(tmp_path / "tracks.parquet").to_pylist()[1]
    assert (second["start"], second["length"], second["query_x"], second["green"]) == (1, 3, 3.0, 255)
    assert second["pixel_x"] == tracks.pixels[3:6, 0].tolist()
    assert second["point_z"] == tracks.points[3:6, 2].tolist()
    assert second["visibility"] == [True, True, True]


def test_frames_and_tracks_of_positions():
    tracks = dense_tracks()
    assert tracks.frame_numbers.tolist() == [0, 1, 2, 1, 2, 3, 3]
    assert tracks.track_numbers.tolist() == [0, 0, 0, 1, 1, 1, 2]
    found = tracks.in_frames(np.array([1, 3]))
    assert found.alive.tolist() == [[True, True, False], [False, True, True]]
    np.testing.assert_array_equal(found.pixels[1], [[0, 0], tracks.pixels[5], tracks.pixels[6]])
    assert found.visibility.tolist() == [[False, True, False], [False, True, True]]
    rest = tracks.select(np.array([False, True, True]))
    np.testing.assert_array_equal(rest.points, tracks.points[3:])
    assert (rest.starts.tolist(), rest.colours.tolist()) == ([1, 3], [[0, 255, 0], [0, 0, 255]])


def test_trajectories_are_edges_between_what_is_seen_in_neighbouring_frames(tmp_path):
    tracks = dense_tracks()
    assert write_trajectories(str(tmp_path / "tracks.ply"), tracks, tracks.colours) == 6
    header, body = (tmp_path / "tracks.ply").read_bytes().split(b"end_header\n")
    assert b"element vertex 6" in header
    assert b"element edge 2" in header
    vertices = np.frombuffer(body[: 6 * 15], np.dtype([("position", "<f4", 3), ("colour", "u1", 3)]))
    np.testing.assert_array_equal(vertices["position"], tracks.points[[0, 2, 3, 4, 5, 6]])
    assert vertices["colour"][[1, 2, 5]].tolist() == tracks.colours.tolist()
    edges = np.frombuffer(body[6 * 15 :], np.dtype([("ends", "<i4", 2), ("colour", "u1", 3)]))
    assert edges["ends"].tolist() == [[2, 3], [3, 4]]  # none over the hidden frame of the first track
    assert edges["colour"].tolist() == [[0, 255, 0]] * 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lengths": np.array([3, 3, 2], np.int32)}, "8 frames in all have 7 positions"),
        ({"starts": np.array([0, 2, 3], np.int32)}, "beyond the clip's frames, 0 to 3"),
        ({"points": np.full((7, 3), np.nan, np.float32)}, "points holds NaN"),
        ({"visibility": np.ones(7, np.uint8)}, "visibility is uint8"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(DataError, match=said):
        dense_tracks(**changes)


def test_files_of_another_version_or_damaged_are_refused(tmp_path):
    uri = str(tmp_path / "tracks.npz")
    write_dense_npz(uri, dense_tracks())
    with np.load(uri) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(uri, **{**arrays, "schema_version": np.array(99)})
    with pytest.raises(FormatError, match="version 99 of dense tracks"):
        read_dense_npz(uri)
    np.savez(uri, **{name: array for name, array in arrays.items() if name != "lengths"})
    with pytest.raises(DataError, match="has no lengths; run"):
        read_dense_npz(uri)
    np.savez(uri, **{**arrays, "starts": arrays["starts"] + 9})
    with pytest.raises(DataError, match=r"tracks.npz: dense tracks reach beyond"):
        read_dense_npz(uri)
    (tmp_path / "tracks.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="does not read"):
        read_dense_npz(uri)
