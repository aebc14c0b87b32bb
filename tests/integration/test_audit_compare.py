"""jobs/audit.py compare and jobs/show.py --audit as a user runs them, in this process."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.audit import app as audit_app
from jobs.pseudolabel import app as pseudolabel_app
from jobs.shard import app as shard_app
from jobs.show import app as show_app
from pipeline.labels import LabelRow, read_label_set, read_label_shard, write_label_set, write_label_shard
from pipeline.shards.index import read_index
from tests.conftest import write_video


def run(app, *arguments: object, code: int = 0):
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done


def moving(seed: int) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((112, 200, 3)), (0, 0), 3.0)
    scene = np.clip(120 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.stack([scene[t : t + 96, 2 * t : 2 * t + 160] for t in range(12)])


def planted_set(root: Path, original: str, name: str, shift_px: float) -> str:
    """A label set like another one, its tracks moved to the right after their first frame; `name` is an option that makes it another."""
    label_set = read_label_set(str(root), original)
    label_set = replace(label_set, configuration={**label_set.configuration, **({name: 1} if name == "screen" else {"options": {name: 1}})})
    shard, rows = read_label_shard(str(root), original, 0), []
    for key, entry in shard.entries.items():
        labels = shard.labels(key)
        tracks = labels.tracks_px.copy()
        tracks[1:, :, 0] += shift_px
        size = {"num_frames": entry.num_frames, "width": entry.width, "height": entry.height}
        rows.append(LabelRow(key=key, status="ok", labels=replace(labels, tracks_px=tracks), clip_sha256=entry.clip_sha256, **size))
    write_label_set(str(root), label_set)
    write_label_shard(str(root), label_set.name, shard=0, rows=rows)
    return label_set.name


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A root of two clips with audits by what their labels are: first, rerun (the same tracks), shifted, other queries."""
    folder = tmp_path_factory.mktemp("compare")
    for seed in range(2):
        write_video(folder / f"{seed}.mp4", moving(seed))
    root = folder / "root"
    run(shard_app, folder, "--root", root, "--executor", "inline")
    label = (pseudolabel_app, "--root", root, "--executor", "inline", "--queries", 100)
    names = {"first": run(*label, "--labeler", "dis-flow").stdout.splitlines()[-1]}
    names["other"] = run(*label, "--labeler", "lucas-kanade", "--query-policy", "random").stdout.splitlines()[-1]
    names["rerun"] = planted_set(root, names["first"], "screen", 0.0)
    names["shifted"] = planted_set(root, names["first"], "shifted", 6.0)
    for name in names.values():
        run(
            audit_app,
            "run",
            "--root",
            root,
            "--labels",
            name,
            "--calibration",
            "none",
            "--cycle",
            "none",
            "--no-gate",
            "--executor",
            "inline",
        )
    return root, names


def compare(dataset, second: str, *arguments: object, code: int = 0):
    root, names = dataset
    return run(audit_app, "compare", names["first"], names[second], "--root", root, "--executor", "inline", *arguments, code=code)


def test_the_same_tracks_again_pass(dataset, tmp_path):
    done = compare(dataset, "rerun", "--out", tmp_path)
    assert done.stdout.startswith(f"yes: {dataset[1]['rerun']} may take the place of")
    assert "mean agreement 1.000, at least the 0.98 of a rerun" in done.stdout.replace("\n", " ")
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert (found["exit_code"], found["fails"], found["num_clips"]["all clips"]) == (0, [], 2)
    assert {row["psi"] for row in found["drift"]} == {0.0}
    assert str(tmp_path) not in json.dumps(found)


def test_tracks_that_slid_away_are_stopped(dataset):
    done = compare(dataset, "shifted", code=4)
    assert "gate: canary: mean agreement" in done.stderr
    assert "below the 0.8 of an upgrade" in done.stderr
    assert "drift of ncc_mean in all clips: lower by" in done.stderr


def test_other_queries_get_no_agreement(dataset, tmp_path):
    root, names = dataset
    done = CliRunner().invoke(
        audit_app, ["compare", names["first"], names["other"], "--root", str(root), "--executor", "inline", "--out", str(tmp_path)]
    )
    assert done.exit_code in (0, 4), done.output  # two trackers may differ in their measures
    canary = json.loads((tmp_path / "comparison.json").read_text())["canary"]
    assert (canary["agree_aj"], canary["level"]) == (None, "fine")
    assert "share no query" in canary["note"]


def test_refusals_name_the_remedy(dataset):
    root, names = dataset
    arguments = (audit_app, "compare", names["first"])
    assert "name two audits" in run(*arguments, names["first"], "--root", root, code=2).stderr
    missing = run(*arguments, "nobody", "--root", root, "--executor", "inline", code=2).stderr
    assert all(name in missing for name in names.values())


def test_pictures_show_weights_and_verdicts(dataset, tmp_path):
    root, names = dataset
    run(show_app, "--root", root, "--audit", names["first"], "--out", tmp_path / "weights.png")
    run(show_app, "--root", root, "--labels", names["first"], "--out", tmp_path / "places.png")
    weights, places = (cv2.imread(str(tmp_path / name)) for name in ("weights.png", "places.png"))
    assert weights.shape == places.shape
    assert (weights != places).mean() > 0.01
    key = read_index(str(root), 0)[0].key
    for arguments, says in ((("--clip", key), f"clip {key} (shard 000000, 0.mp4)"), ((), "2 clips, spread over the dataset")):
        done = run(show_app, "--root", root, "--audit", names["first"], "--out", tmp_path / "shown.webp", *arguments)
        assert done.stdout.splitlines() == [says, str(tmp_path / "shown.webp")]
        assert len(cv2.imreadanimation(str(tmp_path / "shown.webp"))[1].frames) == (12 if arguments else 1)
    assert cv2.imread(str(tmp_path / "shown.webp")).shape == weights.shape
    middle = run(show_app, "--root", root, "--out", tmp_path / "clip.mp4").stdout.splitlines()
    assert middle[0].endswith("; the one in the middle, as --clip names none)")
    wrong = run(show_app, "--root", root, "--audit", names["first"], "--labels", names["other"], "--out", tmp_path / "x.png", code=2)
    assert "leave --labels away" in wrong.stderr
    assert "give --out" in run(show_app, "--root", root, code=2).stderr
