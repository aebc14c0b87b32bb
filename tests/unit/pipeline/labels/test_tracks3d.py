"""Label sets of tracks in space: positions come back as they were, and all that takes tracks in the image takes these."""

from dataclasses import fields, replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.labels import (
    LabelRow,
    is_kind,
    read_label_set,
    read_label_shard,
    read_labels,
    read_labels_as,
    write_label_set,
    write_label_shard,
)
from pipeline.labels.kinds.tracks3d import rounded
from pipeline.records import LabelSet, TrackLabels, Tracks3dLabels


@pytest.fixture
def labels(make_labels) -> Tracks3dLabels:
    """Five tracks of six frames; the second is not known in space."""
    tracks = make_labels()
    world = np.random.default_rng(1).normal([0, 0, 4], 1, (6, 5, 3)).astype(np.float32)
    world[:, 1] = np.nan
    return Tracks3dLabels(**{field.name: getattr(tracks, field.name) for field in fields(tracks)}, tracks_world=world, scale="relative")


@pytest.fixture
def described() -> LabelSet:
    return LabelSet(labeler="by-hand", configuration={}, kind="tracks3d")


@pytest.fixture
def root(tmp_path, labels, described):
    write_label_set(str(tmp_path), described)
    row = LabelRow(key="a", status="ok", labels=labels, clip_sha256="ab" * 32, num_frames=6, width=640, height=480)
    write_label_shard(str(tmp_path), described.name, shard=0, rows=[row], kind="tracks3d")
    return str(tmp_path)


def test_positions_in_space_come_back_with_16_bits_beside_the_tracks(root, labels, described):
    ((key, found),) = read_labels_as(root, described.name, Tracks3dLabels)
    assert (key, found.scale, found.kind) == ("a", "relative", "tracks3d")
    error = np.abs(found.tracks_world / labels.tracks_world - 1)
    assert 2**-17 < np.nanmax(error) <= 2**-16
    np.testing.assert_array_equal(np.isnan(found.tracks_world), np.isnan(labels.tracks_world))
    np.testing.assert_array_equal(rounded(found.tracks_world), found.tracks_world)  # once
    np.testing.assert_allclose(found.tracks_px, labels.tracks_px, atol=1 / 64)
    np.testing.assert_array_equal(found.visibility, labels.visibility)
    np.testing.assert_array_equal(found.queries, labels.queries)


def test_any_tool_reads_the_columns(root, labels, described):
    table = pq.read_table(f"{root}/labels/{described.name}/000000.parquet")
    z = np.array(table["world_z"].to_pylist()[0]).reshape(5, 6)  # track by track
    np.testing.assert_allclose(z.T, labels.tracks_world[..., 2], rtol=2**-16)
    assert table.schema.metadata[b"label_kind"] == b"tracks3d"
    assert b"camera of the clip's first frame" in table.schema.metadata[b"world"]


def test_where_tracks_are_asked_for_they_are_tracks_and_not_the_other_way_round(root, described):
    assert (is_kind("tracks3d", "tracks"), is_kind("tracks", "tracks3d"), is_kind("depth", "tracks")) == (True, False, False)
    assert read_label_set(root, described.name, kind="tracks").kind == "tracks3d"
    assert isinstance(read_label_shard(root, described.name, 0).tracks("a"), TrackLabels)
    assert [key for key, _ in read_labels(root, described.name)] == ["a"]
    flat = LabelSet(labeler="by-hand", configuration={})
    write_label_set(root, flat)
    with pytest.raises(ConfigError, match="holds tracks, where tracks3d are asked for"):
        read_labels_as(root, flat.name, Tracks3dLabels)


def test_positions_that_are_half_known_or_infinite_are_refused(labels):
    half, infinite = labels.tracks_world.copy(), labels.tracks_world.copy()
    half[0, 0, 2], infinite[2, 2, 0] = np.nan, np.inf
    for world in (half, infinite):
        with pytest.raises(DataError, match="tracks_world holds infinity, or positions of which some coordinates are NaN"):
            replace(labels, tracks_world=world)
    with pytest.raises(DataError, match=r"tracks_world is float32\[5, 5, 3\], expected float32\[6, 5, 3\]"):
        replace(labels, tracks_world=half[:5])
    with pytest.raises(DataError, match="scale of tracks_world is 'inverse'"):
        replace(labels, scale="inverse")
    with pytest.raises(DataError, match="tracks_px holds NaN"):
        replace(labels, tracks_px=np.full_like(labels.tracks_px, np.nan))
