import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from pipeline.errors import ConfigError, DataError
from pipeline.synthetic.planes import make_clip
from pipeline.synthetic.planes.clip import PlaneRequest, film_planes
from pipeline.synthetic.planes.layers import LayerView, camera_path, parallax_world
from pipeline.synthetic.source import SyntheticSource

SIZE = (96, 128)
REQUEST = PlaneRequest(seed=4, number=1, num_frames=12, size=SIZE)


@pytest.fixture(scope="module")
def filmed():
    return film_planes(REQUEST, num_tracks=60, license_text="CC0")


@pytest.mark.parametrize("index", [0, 1])
def test_followed_points_keep_their_colour_where_they_are_seen(index):
    clip = make_clip(index, num_frames=8, seed=9, size=SIZE)
    y, x = np.mgrid[6:90:7, 6:122:7]
    queries = np.stack([np.zeros(x.size), x.ravel(), y.ravel()], axis=-1)
    tracks, visibility = clip.truth(queries)
    np.testing.assert_allclose(tracks[0], queries[:, 1:], atol=1e-9)
    smooth = [gaussian_filter(frame.mean(axis=-1), 1.5) for frame in clip.frames]
    seen = visibility[7]
    assert seen.mean() > 0.5
    before, after, still = (
        map_coordinates(smooth[frame], points[seen].T[::-1], order=1) for frame, points in ((0, tracks[0]), (7, tracks[7]), (7, tracks[0]))
    )
    assert np.corrcoef(before, after)[0, 1] > 0.8  # whatever the gain, and sharper or less so
    assert np.corrcoef(before, still)[0, 1] < 0.7


def test_a_point_is_hidden_when_another_layer_passes():
    clip = make_clip(3, num_frames=24, seed=2, size=SIZE)
    y, x = np.mgrid[4:92:8, 4:124:8]
    tracks, visibility = clip.truth(np.stack([np.zeros(x.size), x.ravel(), y.ravel()], axis=-1))
    for frame in (0, 12, 23):
        seen = np.flatnonzero(visibility[frame])
        owner = clip.top_layer(0, tracks[0, seen])
        np.testing.assert_array_equal(clip.top_layer(frame, tracks[frame, seen]), owner)
        assert ((tracks[frame, seen] >= -0.5) & (tracks[frame, seen] <= np.array([127.5, 95.5]))).all()
    assert not visibility[23].all()
    np.testing.assert_array_equal(clip.dynamic_mask()[0][y, x].ravel(), [clip.layers[i].moves for i in clip.top_layer(0, tracks[0])])


def test_equal_arguments_give_equal_clips_and_the_seed_another(filmed):
    again = film_planes(REQUEST, num_tracks=60, license_text="CC0")
    assert again.frames.tobytes() == filmed.frames.tobytes()
    assert again.tracks2d.tobytes() == filmed.tracks2d.tobytes()
    other = make_clip(1, num_frames=12, seed=5, size=SIZE)
    assert (other.frames != filmed.frames).any()


def test_the_truth_is_complete_and_says_what_it_is(filmed):
    assert filmed.tracks2d.shape == (12, 60, 2)
    assert filmed.visibility[filmed.query_frame, np.arange(60)].all()
    assert sorted(set(filmed.query_frame)) == list(range(12))  # even over the frames
    assert filmed.depth is None
    assert filmed.camera_to_world is None
    assert (filmed.meta["dataset"], filmed.meta["world"], filmed.track_source) == ("synthetic-planes", "parallax", "gt")
    moving = filmed.dynamic_mask[filmed.query_frame, *filmed.tracks2d[filmed.query_frame, np.arange(60)].round().astype(int).T[::-1]]
    assert 0.2 < moving.mean() < 0.8


def test_a_window_shows_the_same_frames_with_tracks_of_its_own(filmed):
    window = film_planes(REQUEST, num_tracks=20, license_text="CC0", window=range(4, 9))
    assert window.frames.tobytes() == filmed.frames[4:9].tobytes()
    assert (window.query_frame.min(), window.query_frame.max()) == (0, 4)
    assert window.visibility[window.query_frame, np.arange(20)].all()


def test_the_domain_is_a_source_like_the_others():
    source = SyntheticSource("planes", 2, 7, num_frames=3, size=(32, 48), num_tracks=9)
    assert source.name == "synthetic-planes"
    clip = source.read(source.sequences()[1], 0, 3)
    assert clip.frames.shape == (3, 32, 48, 3)
    assert clip.license == "CC0 (synthetic, rendered by trackmill)"
    with pytest.raises(ConfigError, match="known are studio, wild, planes"):
        SyntheticSource("plane", 2, 7)


def test_a_clip_whose_camera_would_walk_through_a_layer_is_refused():
    view = LayerView(height=32, width=48, num_frames=3000)

    def film_nine() -> None:  # some walk backwards
        for seed in range(9):
            rng = np.random.default_rng(seed)
            parallax_world(rng, view, camera_path(rng, view))

    with pytest.raises(DataError, match="walks through a layer; ask for shorter clips"):
        film_nine()
