import numpy as np

from pipeline.synthetic.motions import rolling, standing, swinging, tilted, turning

TIMES = np.linspace(0, 2, 401)


def test_the_lowest_point_of_a_rolling_ball_does_not_slip() -> None:
    poses = rolling((1.0, 2.0, 0.5), (0.8, -0.6, 0.0), radius=0.5, times_s=TIMES)
    touching = np.linalg.inv(poses[200]) @ [1 + 0.8, 2 - 0.6, 0, 1]  # at time 1, the point of the ball that is on the ground
    velocity = (poses[201] - poses[199]) @ touching / (TIMES[201] - TIMES[199])
    np.testing.assert_allclose(velocity, 0, atol=1e-4)
    np.testing.assert_allclose((poses[201] - poses[199])[:3, 3] / (TIMES[201] - TIMES[199]), [0.8, -0.6, 0], atol=1e-9)


def test_turning_is_anticlockwise_from_above() -> None:
    pose = turning((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), turn_deg_s=90, times_s=np.array([0.0, 1.0]))[1]
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 1, 1, 1], atol=1e-12)


def test_a_swinging_thing_keeps_its_distance_and_turns_with_its_arm() -> None:
    poses = swinging((1.0, 2.0, 3.0), (0.0, 0.0, -0.5), swing_deg=(90, 0, 0), period_s=4.0, times_s=np.array([0.0, 0.3, 1.0]))
    np.testing.assert_allclose(poses[0], standing((1.0, 2.0, 2.5)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(poses[:, :3, 3] - [1, 2, 3], axis=1), 0.5)
    np.testing.assert_allclose(poses[2] @ [0, 0, 0.5, 1], [1, 2, 3, 1], atol=1e-12)  # its own top stays at the pivot
    np.testing.assert_allclose(poses[2, :3, 3], [1, 2.5, 3], atol=1e-12)


def test_tilting_about_x_lifts_what_lies_ahead() -> None:
    np.testing.assert_allclose(tilted((0.0, 0.0, 0.0), axis_angles_deg=(90, 0, 0)) @ [0, 1, 0, 1], [0, 0, 1, 1], atol=1e-12)
