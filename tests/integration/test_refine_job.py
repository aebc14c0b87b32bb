"""Poses refined by the job: rows of every kind of clip, gates, starts, resuming, any number of workers, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.refining.job import RefiningConfig, RefiningOutcome, refine_dataset
from pipeline.errors import ConfigError
from pipeline.labels import read_label_set, read_label_shard, read_labels_as
from pipeline.metrics.trajectories import trajectory_metrics
from pipeline.records import CameraLabels, LabelSet
from pipeline.stream import ClipStream, StreamConfig
from tests.filmed_points import FOCAL_PX
from tests.refined_dataset import CAMERAS, DEPTH, TRACKS, clips, write_labels, write_root
from trainer.geometry.pose_refinement import RefinementSettings

SETS = (TRACKS.name, DEPTH.name, CAMERAS.name)


def asked(root: Path, labels: tuple[str, ...] = SETS, executor: str = "inline", **options: object) -> RefiningConfig:
    runs = Executor(name=executor, limits=Limits())
    return RefiningConfig(root=str(root), labels=labels, refinement=RefinementSettings(), executor=runs, **options)


def cameras(root: Path, outcome: RefiningOutcome) -> dict[str, CameraLabels]:
    return dict(read_labels_as(root, outcome.label_set, CameraLabels))


def ate(key: str, found: CameraLabels) -> float:
    return trajectory_metrics(found.camera_to_world, clips()[key].points.camera_to_world).ate


@pytest.fixture(scope="module")
def refined(tmp_path_factory) -> tuple[Path, RefiningOutcome]:
    root = tmp_path_factory.mktemp("refine") / "root"
    write_root(root)
    return root, refine_dataset(asked(root), dry_run=False)


def test_every_clip_has_a_row_and_poses_come_nearer_to_the_truth(refined):
    root, outcome = refined
    assert (outcome.totals.ok, outcome.totals.failed, outcome.totals.screened, outcome.totals.degraded) == (4, 1, 1, 2)
    found = cameras(root, outcome)
    for key in ("plain", "movers"):
        assert ate(key, clips()[key].cameras) > 5 * ate(key, found[key])
        assert (found[key].scale, bool(found[key].pose_valid.all())) == ("metric", True)
        assert np.nanmax(found[key].reprojection_px) < 1.5
    assert outcome.error_px == pytest.approx(np.median(np.concatenate([found[key].reprojection_px for key in ("plain", "movers")])))


def test_a_clip_of_one_frame_and_one_of_few_static_tracks_keep_their_poses_and_the_row_says_why(refined):
    root, outcome = refined
    found, notes = cameras(root, outcome), {}
    for shard in range(2):
        notes |= {key: entry.notes or entry.error for key, entry in read_label_shard(str(root), outcome.label_set, shard).entries.items()}
    for key in ("one", "few"):
        np.testing.assert_array_equal(found[key].camera_to_world, clips()[key].cameras.camera_to_world)
        assert found[key].reprojection_px is None
    assert notes["one"] == "not refined, poses as they came: the clip has one frame"
    assert notes["few"] == "not refined, poses as they came: 6 static tracks with depth, expected 12 or more"
    assert notes["unlabelled"] == f"no tracks in {TRACKS.name}: failed (because)"
    assert "not cut" in notes["uncut"]


def test_movers_bend_the_poses_unless_a_gate_leaves_them_out(refined):
    root, outcome = refined
    errors = {"audit": ate("movers", cameras(root, outcome)["movers"])}
    for static in ("not-moving", "mask", "off"):
        errors[static] = ate("movers", cameras(root, refine_dataset(asked(root, static=static), dry_run=False))["movers"])
    gated = [errors.pop(static) for static in ("audit", "not-moving", "mask")]
    assert len({*gated}) == 3  # tracks of unknown motion count in one only; the mask also covers tracks that pass a mover
    assert errors["off"] > 2 * max(gated)


def test_the_set_says_what_it_was_made_from_and_is_streamed_beside_it(refined):
    root, outcome = refined
    made = read_label_set(str(root), outcome.label_set)
    assert (made.labeler, made.kind) == ("refine", "cameras")
    assert [made.configuration[name] for name in ("tracks", "depth", "cameras", "static")] == [*SETS, "audit"]
    assert made.configuration["audit"]["name"] == TRACKS.name
    stream = ClipStream(
        StreamConfig(root=root, labels=(TRACKS.name, DEPTH.name, outcome.label_set), num_frames=None, epochs=1, shuffle=False)
    )
    sample = next(each for each in stream if each.key == "plain")
    np.testing.assert_array_equal(sample.camera_to_world, cameras(root, outcome)["plain"].camera_to_world)
    assert (sample.pose_source, sample.pose_scale, sample.depth_scale) == ("pseudo", "metric", "metric")


def test_a_killed_job_ends_with_the_bytes_of_an_undisturbed_one(refined, published):
    root, outcome = refined
    directory = root / "labels" / outcome.label_set
    before = published(directory)
    (directory / "000001.parquet").unlink()
    again = refine_dataset(asked(root), dry_run=False)
    assert (again.num_shards, again.already_done) == (1, 1)
    assert published(directory) == before
    assert refine_dataset(asked(root), dry_run=False).num_shards == 0


def test_two_workers_on_ray_make_the_bytes_of_one_in_this_process(refined, published, local_ray):
    root, outcome = refined
    directory = root / "labels" / outcome.label_set
    before = published(directory)
    for path in directory.glob("0*"):
        path.unlink()
    config = asked(root, executor="ray", num_workers=2, num_cpus_per_worker=0.5)
    assert refine_dataset(config, dry_run=False).totals.ok == 4
    assert published(directory) == before


def test_the_clips_own_cameras_are_the_start_where_no_set_is_named(refined):
    root, outcome = refined
    own = refine_dataset(asked(root, SETS[:2]), dry_run=False)
    assert own.label_set != outcome.label_set
    for key, found in cameras(root, own).items():
        np.testing.assert_array_equal(found.camera_to_world, cameras(root, outcome)[key].camera_to_world)


@pytest.fixture(scope="module")
def without_cameras(tmp_path_factory) -> Path:
    """A root whose clips have no cameras of their own."""
    root = tmp_path_factory.mktemp("without_cameras") / "root"
    write_root(root, own_cameras=False)
    return root


def test_poses_in_another_unit_without_intrinsics_come_out_in_that_of_depth_with_a_focal_length(without_cameras):
    start = clips()["plain"].cameras
    poses = start.camera_to_world.copy()
    poses[:, :3, 3] /= 37
    relative = replace(start, camera_to_world=poses, scale="relative", intrinsics=None)
    name = write_labels(without_cameras, LabelSet(labeler="relative", configuration={}, kind="cameras"), {"plain": relative})
    found = cameras(without_cameras, refine_dataset(asked(without_cameras, (*SETS[:2], name)), dry_run=False))["plain"]
    assert found.scale == "metric"
    assert found.intrinsics[0, 0, 0] == pytest.approx(FOCAL_PX, rel=0.05)
    truth = clips()["plain"].points.camera_to_world
    moved, expected = (np.linalg.norm(each[-1, :3, 3] - each[0, :3, 3]) for each in (found.camera_to_world, truth))
    assert moved == pytest.approx(expected, rel=0.1)


def test_the_command_prints_the_set_s_name_last_and_what_is_next(refined, run_job):
    root, outcome = refined
    words = [word for name in SETS for word in ("--labels", name)]
    (root / "labels" / outcome.label_set / "000001.parquet").unlink()
    said = run_job("refine.py", "--root", root, *words, "--executor", "inline").stdout
    assert said.splitlines()[-1] == outcome.label_set
    assert f"export.py tapip3d --root {root} --labels {TRACKS.name} --labels {DEPTH.name} --labels {outcome.label_set}" in said
    dry = run_job("refine.py", "--root", root, *words, "--static", "displacement", "--dry-run").stdout
    assert "6 clips in 2 shards" in dry
    assert not (root / "labels" / dry.splitlines()[-1]).exists()


def inverse_set(root: Path) -> str:
    return write_labels(root, LabelSet(labeler="disparity", configuration={"depth_scale": "inverse"}, kind="depth"), {})


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ((TRACKS.name, CAMERAS.name), {}, "no label set of depth is among --labels; name one, or make it with jobs/pseudolabel.py"),
        ((DEPTH.name, CAMERAS.name), {}, "no label set of tracks is among --labels"),
        ((*SETS, CAMERAS.name), {}, "both hold cameras"),
        ((*SETS[:2], "nobody-1a2b3c4d"), {}, "no label set 'nobody-1a2b3c4d'"),
        (SETS, {"audit": "other"}, "no audit 'other'"),
        (SETS, {"static": "guess"}, "--static is 'guess', expected one of audit, not-moving, mask"),
    ],
)
def test_what_does_not_make_a_refinement_is_refused(refined, labels, options, message):
    with pytest.raises(ConfigError, match=message):
        refine_dataset(asked(refined[0], labels, **options), dry_run=True)


def test_tracks_without_an_audit_inverse_depth_and_clips_without_cameras_are_refused(without_cameras):
    root = without_cameras
    with pytest.raises(ConfigError, match="no clip of .* has cameras of its own to start from .* name a label set of cameras"):
        refine_dataset(asked(root, SETS[:2]), dry_run=True)
    with pytest.raises(ConfigError, match="holds inverse depth"):
        refine_dataset(asked(root, (TRACKS.name, inverse_set(root))), dry_run=True)
    (root / "audit" / TRACKS.name / "audit.json").unlink()
    with pytest.raises(ConfigError, match=r"have no audit .* run jobs/audit.py run --root .* choose another gate with --static"):
        refine_dataset(asked(root), dry_run=True)
    assert refine_dataset(asked(root, static="off"), dry_run=True).num_clips == 6
