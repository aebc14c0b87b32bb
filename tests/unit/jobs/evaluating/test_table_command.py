"""Tables 1 to 10, each by its command, on a scene that is known: what is shown to the model, and what is made of its answers."""

import csv
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from jobs.evaluate import app
from jobs.evaluating import subjects
from jobs.evaluating.paper_tables import TABLES
from jobs.loading_models import load_checkpoint
from networks import build_model
from networks.weights import save_weights
from pipeline.metrics import trajectory_metrics
from tests.paper_dataset import PIXELS, Oracle, T, frames, poses, write_root
from tests.tiny_network import TINY
from trainer.evaluation import MEASURES, predicting
from trainer.inference import predict

CAMERAS = ("intrinsics", "camera_to_world", "pose_valid")
GEOMETRY = (*CAMERAS, "depth")
TRACKED = (*CAMERAS, "tracks2d", "tracks3d", "visibility", "track_valid", "query_frame")
DATASETS = {  # name -> sources, of which some are not the protocol's; arrays; what the record says
    "tapvid3d": (("adt/a", "drivetrack/b", "pstudio/c"), TRACKED, {}),
    "real_estate10k": (("test/a",), CAMERAS, {"is_metric": False}),
    "co3d": (("apple/a",), CAMERAS, {"is_metric": False}),
    "sintel": (("final/alley_2", "final/bamboo_1", "clean/alley_2"), GEOMETRY, {}),
    "tum": (("rgbd_dataset_freiburg3_walking_xyz", "rgbd_dataset_freiburg3_walking_xyz_validation"), GEOMETRY, {}),
    "scannet": (("scene0707_00",), GEOMETRY, {}),
    "dtu": (("scan1",), GEOMETRY, {}),
    "eth3d": (("office",), GEOMETRY, {}),
    "seven_scenes": (("chess/seq-03",), GEOMETRY, {}),
    "nrgbd": (("kitchen",), GEOMETRY, {}),
    "bonn": (("rgbd_bonn_balloon2", "rgbd_bonn_balloon"), GEOMETRY, {}),
    "kitti_depth": (("val/drive", "train/drive"), ("depth",), {}),
    "nyu_v2": (("00001",), ("depth",), {}),
    "sekai": (("walk",), CAMERAS, {"pose_source": "pseudo", "is_metric": False}),
    "dynamic_replica": (("test/scene/left",), (*GEOMETRY, *TRACKED[3:]), {}),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tables")
    for name, (sources, fields, record) in DATASETS.items():
        write_root(folder / name, sources, fields=fields, **record)
    for name in ("trajvg", "pi3"):
        save_weights(str(folder / f"{name}.safetensors"), build_model(name, TINY))
    return folder


loaded_once = functools.cache(load_checkpoint)


@pytest.fixture
def oracle(monkeypatch) -> Oracle:
    """Stands for the network, which is loaded once for all tests."""
    made = Oracle(shown=[])
    monkeypatch.setattr(predicting, "predict", made)
    monkeypatch.setattr(subjects, "load_checkpoint", loaded_once)
    return made


def table(work: Path, number: int, *arguments: object, datasets=None, code: int = 0, checkpoint: str = "trajvg") -> Result:
    roots = [f"--root={name}={work / name}" for name in datasets or TABLES[number].datasets]
    weights = ("--checkpoint", work / f"{checkpoint}.safetensors", "--device", "cpu", "--pixels", PIXELS)
    done = CliRunner().invoke(app, ["table", str(number), *map(str, weights), *roots, *map(str, arguments)])
    assert done.exit_code == code, (done.output, done.stderr, done.exception)
    return done


@pytest.mark.parametrize("number", TABLES)
def test_a_perfect_model_fills_every_table_with_perfect_rows(work, oracle, tmp_path, number):
    done = table(work, number, "--out", tmp_path)
    document = json.loads((tmp_path / f"table_{number}.json").read_text())
    assert [section["title"] for section in document["sections"]] == [section.title for section in TABLES[number].sections]
    better = {measure.name: measure.better for measure in MEASURES}
    for section in document["sections"]:
        ((row, values),) = [(one["row"], one["values"]) for one in section["rows"]]
        assert row.endswith("trajvg.safetensors")
        for name, value in zip(section["measures"], values, strict=True):
            whole = 1 if name.startswith("normal") else 100
            expected = pytest.approx(whole, rel=3e-3) if better[name] == "higher" else pytest.approx(0, abs=2e-2)
            assert value == expected, (section["title"], name)
        assert all(f"{paper['row']} (paper)" in done.stdout for paper in section["published"])
    with (tmp_path / f"table_{number}.csv").open() as file:
        lines = list(csv.DictReader(file))
    sections = TABLES[number].sections
    assert len(lines) == sum(len(one.measures) * (1 + len(one.published)) for one in sections)
    assert {line["kind"] for line in lines} == ({"measured", "published"} if number in (1, 8, 9, 10) else {"measured"})
    assert ("numbers are not at hand" in done.stdout) == (number not in (1, 8, 9, 10))


def test_the_models_are_shown_what_the_protocols_say(work, oracle):
    def shown(number, *datasets):
        oracle.shown.clear()
        table(work, number, datasets=datasets)
        return oracle.shown

    everything = list(range(T))
    assert shown(3, "sintel") == [everything]  # neither another sequence nor the other pass
    assert shown(3, "tum", "scannet") == [[*range(0, T, 3)]] * 2
    for name in ("dtu", "eth3d"):
        assert shown(4, name) == [[*range(0, T, 5)]]
    assert shown(5, "nrgbd", "seven_scenes") == [[0]] * 4
    assert shown(6, "bonn", "kitti_depth") == [[30, 31, 32, 33], everything]
    assert shown(7, "bonn") == [[30], [31], [32], [33]]
    assert shown(9, "sekai") == [everything]
    assert shown(10, "dynamic_replica") == [[*range(24)]]
    (first,), (again,) = list(shown(2, "co3d")), list(shown(2, "co3d"))
    assert len(set(first)) == 10
    assert first == sorted(first) == again
    others = [0, *range(1, T)], [3, 0, 1, 2, *range(4, T)], [7, *range(7), *range(8, T)]
    assert shown(1, "tapvid3d") == [*map(list, others)] * 3  # each track is asked for in its own frame


def test_a_wrong_scale_of_each_frame_harms_videos_and_not_images(work, oracle, tmp_path):
    oracle.depth_factor = np.where(np.arange(T) % 4 == 0, 1.3, 1.0)
    table(work, 6, "--out", tmp_path, datasets=["kitti_depth"])
    table(work, 7, "--out", tmp_path, datasets=["kitti_depth"])
    video, images = ({line["measure"]: line["value"] for line in read_csv(tmp_path / f"table_{n}.csv")} for n in (6, 7))
    wrong = len(range(0, T, 4)) / T
    assert float(video["abs_rel_scale"]) == pytest.approx(0.3 * wrong, rel=1e-3)
    assert float(video["delta_1_scale"]) == pytest.approx(100 * (1 - wrong), rel=1e-4)
    assert float(images["abs_rel_median"]) == pytest.approx(0, abs=1e-5)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_millimetres_are_printed_where_the_paper_prints_them(work, oracle, tmp_path):
    oracle.depth_factor = np.where(np.arange(T) == 5, 1.004, 1.0)
    table(work, 4, "--out", tmp_path)
    values = {(line["dataset"], line["measure"]): float(line["value"]) for line in read_csv(tmp_path / "table_4.csv")}
    for name in ("accuracy_mean", "completion_mean"):
        assert values["dtu", name] == pytest.approx(1000 * values["eth3d", name], rel=1e-3)
        assert values["dtu", name] > 0.1
    assert values["dtu", "normal_consistency_mean"] == pytest.approx(values["eth3d", "normal_consistency_mean"], rel=1e-6)


def test_a_network_is_measured_by_the_metrics_alone_and_one_that_cannot_track_says_so(work, tmp_path):
    table(work, 9, "--out", tmp_path, "--checkpoint", work / "pi3.safetensors")
    document = json.loads((tmp_path / "table_9.json").read_text())
    rows = document["sections"][0]["rows"]
    for row, name in zip(rows, ("trajvg", "pi3"), strict=True):
        model, _ = load_checkpoint(str(work / f"{name}.safetensors"), torch.device("cpu"))
        metrics = trajectory_metrics(predict(model, frames()).camera_to_world, poses())
        assert row["values"] == pytest.approx([metrics.ate, metrics.rpe_trans, metrics.rpe_rot_deg], rel=1e-3)
    done = table(work, 10, checkpoint="pi3")
    assert "pi3.safetensors: values are undefined: the model tracks nothing" in " ".join(done.stdout.split())
    assert "estimates" in TABLES[9].sections[0].protocol.origin


def test_what_was_not_given_is_left_out_with_the_option_that_fills_it(work, oracle, tmp_path):
    done = table(work, 3, "--out", tmp_path, datasets=["tum"])
    assert "--root sintel=PATH fills it" in done.stdout
    assert "--root scannet=PATH fills it" in done.stdout
    document = json.loads((tmp_path / "table_3.json").read_text())
    assert [section["evaluation"] is None for section in document["sections"]] == [True, False, True]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    oracle.shown.clear()
    table(work, 3, "--out", tmp_path, datasets=["tum"])
    assert oracle.shown == []  # kept by shard
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("number", "roots", "said"),
    [
        (3, ["kinetics=x"], "--root kinetics: no such dataset; known are tapvid3d, real_estate10k, co3d, sintel"),
        (3, ["sintel"], "--root 'sintel' names no dataset; write NAME=PATH"),
        (3, ["sintel=a", "sintel=b"], "--root sintel was given twice"),
        (3, ["co3d=a"], "give one or more of --root sintel=PATH --root tum=PATH --root scannet=PATH"),
        (11, ["co3d=a"], "there is no table 11; known are 1, 2, 3"),
    ],
)
def test_mistakes_are_refused(work, number, roots, said):
    asked = [each for root in roots for each in ("--root", root)]
    done = CliRunner().invoke(app, ["table", str(number), "--checkpoint", str(work / "pi3.safetensors"), *asked])
    assert done.exit_code == 2
    assert said in done.stderr


def test_recordings_in_pieces_and_roots_of_other_things_are_refused(work, oracle):
    write_root(work / "pieces", ["final/alley_2"], fields=CAMERAS, clip_frames=48)
    write_root(work / "train", ["scene0001_00"], fields=CAMERAS, split="train")
    asked = ("table", "3", "--checkpoint", str(work / "pi3.safetensors"), "--device", "cpu")
    done = CliRunner().invoke(app, [*asked, "--root", f"sintel={work / 'pieces'}"])
    assert done.exit_code == 2
    assert "were cut into clips of 48 frames, table 3 is of whole ones; convert it with --clip-frames 0" in done.stderr
    done = CliRunner().invoke(app, [*asked, "--root", f"scannet={work / 'train'}"])
    assert done.exit_code == 2
    assert f"--root scannet={work / 'train'}: none of the 0 clips of split test can be evaluated" in done.stderr
