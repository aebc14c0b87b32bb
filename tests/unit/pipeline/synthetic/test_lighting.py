from dataclasses import replace

import numpy as np
import pytest

from pipeline.synthetic.lighting import SurfaceSamples, openness, shade, sky
from pipeline.synthetic.mesh import Mesh, box
from pipeline.synthetic.raycast import JointCaster, RayCaster
from pipeline.synthetic.scene import Light

NOON = Light(to_sun=(0, 0, 2), sun=(1, 1, 1), zenith=(0, 0, 0), horizon=(0, 0, 0), bounce=(0, 0, 0))


def make_ground(num_points: int) -> SurfaceSamples:
    x = np.arange(num_points, dtype=np.float32)
    ones = np.ones(num_points, np.float32)
    points = np.stack([x, 0 * x, 0 * x], axis=-1)
    normals = np.tile(np.array([0, 0, 1], np.float32), (num_points, 1))
    return SurfaceSamples(
        points=points, normals=normals, albedo=np.full((num_points, 3), 0.5, np.float32), openness=ones, distance_m=0 * ones
    )


def caster_of(mesh: Mesh, offset: tuple[float, float, float]) -> RayCaster:
    return RayCaster(mesh.vertices + np.array(offset), mesh.faces)


def test_a_box_overhead_shades_only_what_is_below_it() -> None:
    roof = JointCaster([caster_of(box((1, 1, 1)), (0, 0, 3))])
    radiance = shade(make_ground(3), NOON, roof, sun_jitter=np.zeros((3, 3), np.float32))
    np.testing.assert_allclose(radiance[:, 0], [0, 0.5, 0.5], atol=1e-6)


def test_a_surface_turned_by_60_degrees_gets_half_the_sun() -> None:
    aside = JointCaster([caster_of(box((1, 1, 1)), (50, 50, 0))])
    turned = np.array([[0, 3**0.5 / 2, 0.5]], np.float32)
    surface = replace(make_ground(1), normals=turned)
    radiance = shade(surface, NOON, aside, sun_jitter=np.zeros((1, 3), np.float32))
    assert radiance[0, 0] == pytest.approx(0.25, abs=1e-6)


def test_haze_takes_over_with_distance() -> None:
    light = replace(NOON, horizon=(1, 1, 1), haze_m=10)
    surface = replace(make_ground(2), albedo=np.zeros((2, 3), np.float32), distance_m=np.array([10, 1000], np.float32))
    aside = JointCaster([caster_of(box((1, 1, 1)), (50, 50, 0))])
    radiance = shade(surface, light, aside, sun_jitter=np.zeros((2, 3), np.float32))
    np.testing.assert_allclose(radiance[:, 0], [0.8 * (1 - np.exp(-1)), 0.8], rtol=1e-5)


def test_the_foot_of_a_wall_gets_half_of_the_light_of_the_open() -> None:
    wall = caster_of(box((40, 1, 40)), (0, 0.5, 0))  # fills the half of the dome with y > 0, at once
    points = np.array([[0, -1e-4, 0], [0, -30.0, 0]])
    found = openness(wall, points, np.tile([0.0, 0, 1], (2, 1)), rng=np.random.default_rng(0))
    assert found[0] == pytest.approx(0.5, abs=0.05)
    assert found[1] == 1


def test_the_sky_goes_from_the_horizons_colour_to_the_zeniths() -> None:
    light = Light(to_sun=(0, -1, 0.1), zenith=(0, 0, 1), horizon=(1, 1, 1))
    colours = sky(np.array([[0, 1, 0], [0, 0, 1]], np.float32), light, None, clouds=None)
    np.testing.assert_allclose(colours, [[1, 1, 1], [0, 0, 1]], atol=1e-4)
