"""Our metrics beside the public packages that define them, on drawn cases: the largest difference of every value.

Run by hand, in an environment of its own (evo brings much, and is GPL) with numpy, scipy, opencv-python-headless and what INSTALL says:
`PYTHONPATH=. python benchmarks/metrics_live.py`. What is not installed is named and left out. A checkout of tapnet on PYTHONPATH serves.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.metrics import Tapvid3dConfig, Tracks3d, tapvid3d_metrics, tapvid3d_trackwise_metrics, tapvid_metrics, trajectory_metrics

CASES = 40
INSTALL = {"evo": "pip install evo", "tapnet": 'pip install einops "tapnet @ git+https://github.com/google-deepmind/tapnet"'}
SCALINGS = ("median", "mean", "median_on_queries", "per_trajectory", "local_neighborhood", "none", "reproduce_2d")
TRACK_VALUES = ("occlusion_accuracy", "average_jaccard", "average_pts_within_thresh")
Pair = tuple[str, np.ndarray, np.ndarray]  # name of a value, ours, theirs


def compare_evo(rng: np.random.Generator) -> Iterator[Pair]:
    """ATE and RPE of a drawn path and a noisy one in another unit and world, after a similarity."""
    metrics, trajectory = import_module("evo.core.metrics"), import_module("evo.core.trajectory")
    length = int(rng.integers(3, 60))
    true, predicted = _path(rng, length), _path(rng, length)
    predicted[:, :3, 3] = 0.3 * true[:, :3, 3] + 0.02 * predicted[:, :3, 3]
    predicted[:, :3, :3] = true[:, :3, :3] @ Rotation.from_rotvec(0.05 * rng.normal(size=(length, 3))).as_matrix()
    turn = Rotation.random(random_state=rng).as_matrix()
    predicted[:, :3] = turn @ predicted[:, :3]
    both = [
        trajectory.PoseTrajectory3D(
            positions_xyz=poses[:, :3, 3],
            orientations_quat_wxyz=np.roll(Rotation.from_matrix(poses[:, :3, :3]).as_quat(), 1, axis=1),
            timestamps=np.arange(length, dtype=float),
        )
        for poses in (true, predicted)
    ]
    both[1].align(both[0], correct_scale=True)
    ours = trajectory_metrics(predicted, true)
    relation = metrics.PoseRelation
    for name, metric in (
        ("ate", metrics.APE(relation.translation_part)),
        ("rpe_trans", metrics.RPE(relation.translation_part, delta=1, delta_unit=metrics.Unit.frames)),
        ("rpe_rot_deg", metrics.RPE(relation.rotation_angle_deg, delta=1, delta_unit=metrics.Unit.frames)),
    ):
        metric.process_data(tuple(both))
        yield name, np.asarray(getattr(ours, name)), np.asarray(metric.get_statistic(metrics.StatisticsType.rmse))


def compare_tapnet_3d(rng: np.random.Generator) -> Iterator[Pair]:
    """TAPVid-3D's values of drawn tracks, by video and by track, under every scaling; one track is never seen."""
    reference = import_module("tapnet.tapvid3d.evaluation.metrics").compute_tapvid3d_metrics
    tracks, length = int(rng.integers(2, 9)), int(rng.integers(2, 20))
    true = rng.normal([0, 0, 4], [0.05, 0.05, 0.3], (tracks, length, 3))
    predicted = (true + rng.normal(0, 0.03, true.shape)) / 2.7
    hidden, guessed = rng.random((2, tracks, length)) < 0.3
    hidden[0] = True
    queries = rng.integers(0, length, tracks)
    points = np.concatenate([queries[:, None], np.zeros((tracks, 2))], axis=1)
    pair = [Tracks3d.of_tracks(positions, ~gone) for positions, gone in ((true, hidden), (predicted, guessed))]
    for scaling in SCALINGS:
        for by_track in (False, True):
            if scaling == "local_neighborhood" and not by_track:
                continue  # the public code refuses it
            config = Tapvid3dConfig(scaling=scaling)
            measure = tapvid3d_trackwise_metrics if by_track else tapvid3d_metrics
            ours = measure(pair[0], pair[1], focal_px=200.0, query_frames=queries, config=config)
            theirs = reference(
                hidden,
                true,
                guessed,
                predicted,
                np.array([200.0, 200.0, 128.0, 128.0]),
                get_trackwise_metrics=by_track,
                scaling=scaling,
                query_points=points if scaling == "local_neighborhood" else points[None],
            )
            for name in TRACK_VALUES:
                yield f"{scaling}{', by track' * by_track}: {name}", getattr(ours, name), np.asarray(theirs[name]).reshape(-1)


def compare_tapnet_2d(rng: np.random.Generator) -> Iterator[Pair]:
    """TAP-Vid's values of drawn tracks on the 256 x 256 raster, in both query modes."""
    reference = import_module("tapnet.tapvid.evaluation_datasets").compute_tapvid_metrics
    tracks, length = int(rng.integers(1, 9)), int(rng.integers(2, 20))
    true = rng.uniform(0, 256, (1, tracks, length, 2))
    hidden, guessed = rng.random((2, 1, tracks, length)) < 0.3
    queries = np.concatenate([rng.integers(0, length, (1, tracks, 1)), np.zeros((1, tracks, 2))], axis=-1).astype(float)
    given = (queries, hidden, true, guessed, true + rng.normal(0, 4, true.shape))
    for mode in ("first", "strided"):
        ours, theirs = tapvid_metrics(*given, query_mode=mode), reference(*given, mode)
        for name in TRACK_VALUES:
            yield f"{mode}: {name}", getattr(ours, name), np.asarray(theirs[name])


SIDES: Mapping[str, tuple[str, Callable[[np.random.Generator], Iterator[Pair]]]] = {
    "trajectories": ("evo", compare_evo),
    "TAPVid-3D": ("tapnet", compare_tapnet_3d),
    "TAP-Vid": ("tapnet", compare_tapnet_2d),
}


def largest_differences(compare: Callable[[np.random.Generator], Iterator[Pair]]) -> dict[str, float]:
    """Over all cases, by value; infinite where one side alone is undefined."""
    found: dict[str, float] = {}
    for seed in range(CASES):
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of the public code, where a value is undefined
            for name, ours, theirs in compare(np.random.default_rng(seed)):
                ours = np.atleast_1d(ours)
                undefined = np.isnan(ours) & np.isnan(theirs)
                difference = np.where(undefined, 0.0, np.abs(ours - theirs))
                found[name] = max(found.get(name, 0.0), float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0)))
    return found


def _path(rng: np.random.Generator, length: int) -> np.ndarray:
    """A random walk, "T 4 4"."""
    poses = np.tile(np.eye(4), (length, 1, 1))
    poses[:, :3, 3] = np.cumsum(rng.normal(size=(length, 3)), axis=0)
    poses[:, :3, :3] = Rotation.from_rotvec(np.cumsum(0.1 * rng.normal(size=(length, 3)), axis=0)).as_matrix()
    return poses


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "a checkout"


def main() -> int:
    """Print one JSON; 2 if there is nothing to compare with."""
    results = {}
    for name, (package, compare) in SIDES.items():
        try:
            differences = largest_differences(compare)
        except ImportError as error:
            print(f"{name}: not compared, {package} cannot be imported here ({error}); {INSTALL[package]}", file=sys.stderr)
            continue
        results[name] = {"against": f"{package} {_installed(package)}", "largest differences": differences}
    print(json.dumps({"what": f"our metrics against public packages, {CASES} drawn cases", "results": results}, indent=1))
    return 0 if results else 2


if __name__ == "__main__":
    sys.exit(main())
