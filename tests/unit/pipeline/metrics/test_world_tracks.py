from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.metrics.world_tracks import (
    ALIGNMENTS,
    THRESHOLDS_M,
    dynamic_tracks,
    tracks_in_first_camera,
    world_reconstruction_metrics,
    world_track_metrics,
    world_track_queries,
)

GOLDEN = Path(__file__).parents[3] / "golden" / "seeds" / "st4_worldtrack_metrics.npz"
GOLDEN_ALIGNMENTS = {"median_scale": "global", "per_trajectory": "per_traj", "sim3": "sim3_closed", "sim3_repository": "sim3_closed"}


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("points", ["all", "dyn"])
def test_every_golden_value_of_the_reference_is_met(alignment: str, points: str) -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        tracks = golden["dynamic_mask"] if points == "dyn" else None
        measured = world_track_metrics(golden["pred"], golden["gt"], alignment=alignment, tracks=tracks)
        prefix = f"{points}_{GOLDEN_ALIGNMENTS[alignment]}_"
        expected = {key.removeprefix(prefix): golden[key] for key in golden.files if key.startswith(prefix)}
        np.testing.assert_array_equal(golden["thresholds_m"], THRESHOLDS_M)
    assert expected.keys() == {"APD", "fractions", "EPE", "scale", "R", "t"}
    assert measured.apd == pytest.approx(float(expected["APD"]), rel=1e-6)
    np.testing.assert_allclose(list(measured.within.values()), expected["fractions"], rtol=1e-6)
    assert measured.epe_m == pytest.approx(float(expected["EPE"]), rel=1e-6)
    if alignment != "per_trajectory":  # there the golden holds a 1: no single factor
        assert measured.scale == pytest.approx(float(expected["scale"]), rel=1e-6)
    if measured.similarity is not None:
        np.testing.assert_allclose(measured.similarity.rotation, expected["R"], rtol=1e-6)
        np.testing.assert_allclose(measured.similarity.translation, expected["t"], rtol=1e-6)


def test_of_a_mirrored_cloud_ours_is_the_true_fit_and_the_repositorys_scale_is_too_large() -> None:
    with np.load(GOLDEN, allow_pickle=False) as golden:
        source, target = golden["refl_A"][None], golden["refl_B"][None]
        expected = {key: golden[key] for key in ("refl_R", "refl_scale_umeyama", "refl_scale_repo")}
    ours, theirs = (world_track_metrics(source, target, alignment=name) for name in ("sim3", "sim3_repository"))
    assert ours.similarity is not None
    assert theirs.similarity is not None
    assert ours.scale == pytest.approx(float(expected["refl_scale_umeyama"]), rel=1e-6)
    assert theirs.scale == pytest.approx(float(expected["refl_scale_repo"]), rel=1e-6)
    for fit in (ours.similarity, theirs.similarity):
        np.testing.assert_allclose(fit.rotation, expected["refl_R"], rtol=1e-6)
    squared = [np.square(fit.apply(source[0]) - target[0]).sum() for fit in (ours.similarity, theirs.similarity)]
    assert squared[0] < squared[1]


def test_distances_worked_by_hand() -> None:
    truth = np.zeros((2, 2, 3)) + [0, 0, 2.0]
    prediction = truth.copy()
    prediction[:, :, 0] = [[0, 0.125], [0, 2]]
    measured = world_track_metrics(prediction, truth)  # distances to the camera: 2, sqrt(4.0156), 2, sqrt(8)
    scale = 2 / np.median([2, np.hypot(0.125, 2), 2, np.sqrt(8)])
    assert measured.scale == pytest.approx(scale)
    distances = [2 - 2 * scale, np.hypot(0.125 * scale, 2 - 2 * scale), 2 - 2 * scale, np.hypot(2 * scale, 2 - 2 * scale)]
    assert measured.epe_m == pytest.approx(np.mean(distances))
    assert measured.within == {0.1: 0.5, 0.3: 0.75, 0.5: 0.75, 1.0: 0.75}
    assert measured.apd == pytest.approx((0.5 + 3 * 0.75) / 4)


def test_a_distance_of_exactly_the_threshold_counts() -> None:
    truth, prediction = np.array([[[0, 0, 2], [4.0, 0, 0], [0, 4, 0]]]), np.array([[[1.0, 0, 2], [4, 0, 0], [0, 4, 0]]])
    assert world_track_metrics(prediction, truth).scale == 1
    assert world_track_metrics(prediction, truth).within[1.0] == 1


def test_each_alignment_forgives_what_it_fits() -> None:
    rng = np.random.default_rng(2)
    truth = rng.uniform(-3, 3, (6, 8, 3)) + [0, 0, 5]
    per_track = truth * rng.uniform(0.5, 2, (8, 1))
    turned = truth @ np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]]) * 3 + [1, 2, 3]
    for prediction, perfect in ((0.2 * truth, set(ALIGNMENTS)), (per_track, {"per_trajectory"}), (turned, {"sim3", "sim3_repository"})):
        for alignment in ALIGNMENTS:
            measured = world_track_metrics(prediction, truth, alignment=alignment)
            assert (measured.epe_m < 1e-9) == (alignment in perfect)


def test_only_tracks_that_move_are_dynamic() -> None:
    truth = np.zeros((4, 3, 3))
    truth[:, 1, 0] = [0, 0.004, 0, 0.004]  # adds up to 12 mm though it never goes far
    truth[:, 2, 1] = 0.003 * np.arange(4)  # 9 mm
    np.testing.assert_array_equal(dynamic_tracks(truth), [False, True, False])
    np.testing.assert_array_equal(dynamic_tracks(truth, threshold_m=0.005), [False, True, True])


def test_queries_are_seen_in_the_first_frame_inside_the_image() -> None:
    tracks_px = np.array([[[-0.5, 0], [9.5, 0], [3, 3], [3, 7.4], [3, -0.6]]])
    visible = np.array([[True, True, False, True, True]])
    np.testing.assert_array_equal(world_track_queries(visible, tracks_px, height=8, width=10), [True, False, False, True, False])


def test_a_static_point_stands_still_in_the_first_camera() -> None:
    camera_to_world = np.tile(np.eye(4), (2, 1, 1))
    camera_to_world[0, :3, 3] = [0, 0, 1]
    camera_to_world[1] = [[0, 0, 1, 2], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]  # 2 m to the right, looking along +x
    seen = np.array([[[2, 0, 4.0]], [[-5, 0, 0]]])  # the world's point (2, 0, 5) in each camera, by hand
    np.testing.assert_allclose(tracks_in_first_camera(seen, camera_to_world), [[[2, 0, 4]], [[2, 0, 4]]])


def test_a_reconstruction_is_judged_where_the_true_depth_is_in_range() -> None:
    rng = np.random.default_rng(9)
    truth = rng.uniform(-1, 1, (2, 6, 7, 3)) + [0, 0, 3]
    depth = np.full((2, 6, 7), 2.0)
    depth[0, 0, :4] = [0, 0.1, 5, 80]
    prediction = 0.5 * truth + [1, 0, 0]
    prediction[depth != 2.0] = np.nan  # would be refused if it counted
    prediction[1, 5] += 30  # seven wrong pixels, which a plain fit would follow
    measured = world_reconstruction_metrics(prediction, truth, depth_m=depth, generator=np.random.default_rng(0))
    assert measured.num_points == 2 * 6 * 7 - 4
    assert measured.scale == pytest.approx(2)
    assert measured.within[0.1] == pytest.approx(1 - 7 / 80)


def test_undefined_values_have_their_reason() -> None:
    truth = np.ones((3, 1, 3)) + np.arange(3)[:, None, None]  # one track on a line: a similarity is not determined
    for alignment, prediction, why in (
        ("sim3", truth, "rank 1"),
        ("median_scale", np.zeros_like(truth), "lie in the first camera"),
        ("per_trajectory", np.zeros_like(truth), "of 1 tracks lie in the first camera"),
    ):
        measured = world_track_metrics(prediction, truth, alignment=alignment)
        assert np.isnan([measured.apd, measured.epe_m, *measured.within.values()]).all()
        assert why in measured.undefined["apd"]
        assert measured.num_points == 3
    nobody = world_track_metrics(truth, truth, tracks=np.array([False]))
    assert nobody.undefined["epe_m"] == "no alignment: there are no points"


def test_a_still_point_is_not_perfect_by_shrinking_the_prediction_onto_it() -> None:
    still = np.ones((9, 1, 3))
    measured = world_track_metrics(np.random.default_rng(0).normal(0, 1, (9, 1, 3)), still, alignment="sim3")
    assert np.isnan(measured.apd)
    assert "coincide" in measured.undefined["apd"]


def test_bad_input_is_refused() -> None:
    good = np.ones((2, 3, 3))
    with pytest.raises(ConfigError, match="'icp'"):
        world_track_metrics(good, good, alignment="icp")
    with pytest.raises(DataError, match="expected"):
        world_track_metrics(good[:, :2], good)
    with pytest.raises(DataError, match=r"bool\[3\]"):
        world_track_metrics(good, good, tracks=np.ones(2, bool))
    with pytest.raises(DataError, match="predicted points hold NaN"):
        world_track_metrics(good * np.nan, good)
    with pytest.raises(DataError, match="depth"):
        world_reconstruction_metrics(good[None], good[None], depth_m=good, generator=np.random.default_rng(0))
