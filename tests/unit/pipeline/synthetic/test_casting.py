import numpy as np

from pipeline.synthetic.domains import domain_named
from pipeline.synthetic.sampling import CameraView, place_movers
from pipeline.synthetic.worlds.materials import WILD_LOOKS, MaterialBook
from pipeline.synthetic.worlds.objects import World, level

TIMES = np.arange(12) / 12
FORWARD = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.6], [0, 0, 0, 1]])  # 1.6 m up, looking along y


def test_movers_keep_apart_from_each_other_from_the_camera_and_to_free_ground() -> None:
    world = World(
        kind="terrain",
        objects=(),
        ground=level(),
        is_free=lambda places: np.abs(places[..., 0]) < 3.0,
        start=(0, 0),
        focus=(0, 8),
        has_sky=True,
    )
    view = CameraView(poses=np.tile(FORWARD, (12, 1, 1)), times_s=TIMES, fov_deg=70.0)
    seen = 0
    for seed in range(6):
        book = MaterialBook(WILD_LOOKS, seed=(seed,))
        cast = place_movers(domain_named("wild"), world, book=book, view=view, rng=np.random.default_rng(seed))
        assert "car" not in cast.kinds  # there is no street
        leads = [next(item for item in cast.objects if item.name.startswith(f"{kind}{i}")) for i, kind in enumerate(cast.kinds)]
        places = [lead.poses[..., :2, 3] * np.ones((12, 1)) for lead in leads]
        for i, place in enumerate(places):
            assert np.linalg.norm(place, axis=1).min() > 1.2
            assert np.abs(place[:, 0]).max() < 3.0 + 1e-9
            assert (place[:, 1] > 0).any()
            for other in places[:i]:
                assert np.linalg.norm(place - other, axis=1).min() > 0.7
        seen += len(places)
    assert seen >= 12


def test_where_nothing_is_free_nobody_appears() -> None:
    world = World(
        kind="room",
        objects=(),
        ground=level(),
        is_free=lambda places: np.zeros(places.shape[:-1], bool),
        start=(0, 0),
        focus=(0, 3),
        has_sky=False,
    )
    view = CameraView(poses=np.tile(FORWARD, (12, 1, 1)), times_s=TIMES, fov_deg=70.0)
    cast = place_movers(domain_named("wild"), world, book=MaterialBook(WILD_LOOKS, seed=(0,)), view=view, rng=np.random.default_rng(0))
    assert cast.objects == ()
