"""A small tracker's way round: two label sets of one root, jobs/train.py, and a new label set by the student that names its parents."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from jobs.pseudolabel import app as label_app
from jobs.synthesize import app as synthesize_app
from jobs.train import app as train_app
from trainer.loop import read_journal


def invoke(app, *arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_student_of_two_label_sets_labels_the_root_anew_and_names_its_parents(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rendered = ("--num-clips", 2, "--clip-frames", 12, "--height", 64, "--width", 96, "--executor", "inline")
    invoke(synthesize_app, "--root", "wild", "--domain", "wild", *rendered, "--split-shares", "train=1,val=0,test=0")
    labelling = ("--root", "wild", "--queries", 24, "--query-policy", "sift", "--executor", "inline")
    teachers = [invoke(label_app, *labelling, "--labeler", "dis-flow", "--query-frames", frames).stdout.split()[-1] for frames in (1, 2)]
    parts = [{"root": "wild", "name": f"teacher{number}", "labels": name} for number, name in enumerate(teachers)]
    changes = (
        *("data.labelled=null", f"data.pseudo={json.dumps(parts)}", "data.one_pseudo_part_per_batch=true", "data.num_tracks=16"),
        *("losses.supervised=null", "frozen=[updateformer.vis_conf_head]", "steps=6", "logs.tensorboard=false", "loader_workers=0"),
        *("data.shape.frames=[12,12]", "losses.settings.iterations=2", "logs.every_steps=1"),
    )
    training = ("--config", "cotracker3_tiny", "--device", "cpu", *(word for change in changes for word in ("--set", change)))
    shown = invoke(train_app, *training, "--dry-run").output
    assert "teacher0, teacher1" in shown
    done = invoke(train_app, *training)
    student = "runs/cotracker3_tiny/checkpoints/00000006.safetensors"
    assert f"--checkpoint {tmp_path}/{student}" in done.output.replace("\n", " ")
    rows = read_journal("runs/cotracker3_tiny")
    assert all(row["loss"] > 0 and row["num_clips"] == 1 for row in rows)
    relabelled = invoke(label_app, *labelling, "--labeler", "cotracker3-online", "--checkpoint", student, "--option", "iterations=2")
    name = relabelled.stdout.split()[-1]
    assert name.startswith("cotracker3-online-")
    document = json.loads(Path(f"wild/labels/{name}/label_set.json").read_text())
    parents = document["parents"]["sources"]
    assert sorted(parent["labels"][0] for parent in parents) == sorted(teachers)
    assert {parent["dataset"] for parent in parents} == {"wild"}
    assert document["license"] == "; ".join(document["parents"]["licenses"])
    assert (document["configuration"]["options"]["height"], document["configuration"]["options"]["width"]) == (64, 96)
    loose = invoke(train_app, *training, "--out", "other", "--set", "frozen=[]", code=2)
    assert "updateformer.vis_conf_head to frozen" in loose.output.replace("\n", " ")
