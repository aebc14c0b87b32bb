"""The stage of training that an adaptation makes: what it takes from weights, clips and options, and what it refuses."""

import pytest
import torch

from jobs.adapting.config import ENCODER, UNMADE, AdaptConfig, Clips, DepthChoice, Start, make_stage
from jobs.adapting.report import loss_rows
from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.running.chain import RunConfig
from jobs.training import check_stage
from networks import build_model
from networks.weights import plan_start, read_weights, save_weights
from pipeline.errors import ConfigError
from tests.tiny_network import TINY
from trainer.loop import read_config
from trainer.loop.config import SHIPPED

TWIN = {
    **{"enc_embed_dim": 32, "enc_depth": 1, "enc_num_heads": 2, "dec_embed_dim": 32, "dec_depth": 4, "dec_num_heads": 2},
    **{"dpt_feature_dim": 16, "dpt_last_dim": 8, "dpt_layer_dims": [8, 8, 16, 16]},
}
DEPTH = DepthChoice(labeler="transformers-depth")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of a small St4RTrack."""
    file = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(str(file), build_model("st4rtrack", TWIN), license="CC BY-NC-SA 4.0")
    return read_weights(str(file))


def asked(**changes) -> AdaptConfig:
    run = RunConfig(inputs=changes.pop("inputs", ("walk.mp4",)), root="/data/walk", executor=Executor(name="inline", limits=Limits()))
    return AdaptConfig(**{"run": run, "checkpoint": "small.safetensors", "out": "/data/walk-adapted", "device": "cpu", **changes})


def test_the_shipped_stage_learns_from_these_clips_by_weights_of_whatever_size(weights):
    clips = Clips(audit="dis-flow-1", depth="depth-1", aspects=(0.5, 1.75))
    stage = make_stage(asked(depth=DEPTH, steps=40), clips, Start.of(weights))
    ((part, _),) = stage.data.pseudo.parts
    assert (part.root, part.audit, part.labels) == ("/data/walk", "dis-flow-1", "depth-1")
    assert part.split is None  # the source's hash may have made it a test video: it is the one to adapt to all the same
    assert (stage.model.start, stage.model.start_sha256) == ("small.safetensors", weights.sha256)
    assert stage.model.config["computing"] == {"gradient_checkpointing": True}
    plan_start(check_stage(stage), weights)  # the sizes are those of the file: nothing is missing
    assert stage.data.shape.aspect == (0.5, 1.75)  # a portrait is seen whole
    assert stage.data.shape.frames == read_config("st4rtrack_adapt").data.shape.frames
    assert (stage.steps, stage.checkpoints.every_steps, stage.logs.every_steps) == (40, 4, 4)
    assert (stage.precision, stage.out) == ("float32", "/data/walk-adapted")


def test_what_the_user_sets_has_the_last_word_and_a_file_of_ones_own_is_taken_as_it_is(weights, tmp_path):
    changes = ("precision=bfloat16", "data.shape.frames=[8,8]", "data.pseudo.0.split=train")
    stage = make_stage(asked(changes=changes), UNMADE, Start.of(weights))
    assert (stage.precision, stage.data.shape.frames) == ("bfloat16", (8, 8))
    assert stage.data.pseudo.parts[0][0].split == "train"
    own = (SHIPPED / "st4rtrack_adapt.yaml").read_text().replace("every_steps: 100", "every_steps: 77")
    (tmp_path / "own.yaml").write_text(own)
    stage = make_stage(asked(stage=str(tmp_path / "own.yaml"), steps=40), Clips(audit="a", aspects=(1.0, 1.0)), Start.of(weights))
    assert (stage.steps, stage.checkpoints.every_steps, stage.logs.every_steps, stage.precision) == (40, 77, 10, "bfloat16")
    assert stage.data.shape.aspect == (1.3, 1.8)


def test_depth_is_needed_where_the_reconstruction_moves_and_left_out_where_it_could_move_nothing(weights):
    assert make_stage(asked(), UNMADE, Start.of(weights)).losses.adaptation.depth == 0
    assert make_stage(asked(depth=DEPTH), UNMADE, Start.of(weights)).losses.adaptation.depth == 10
    both = make_stage(asked(depth=DEPTH, adapt="all"), UNMADE, Start.of(weights))
    assert (both.losses.adaptation.depth, both.losses.adaptation_settings.adapt, both.frozen) == (10, "all", ENCODER)
    with pytest.raises(ConfigError, match="adapt: all moves the reconstruction.*give --depth-labeler, or --depth-labels"):
        make_stage(asked(adapt="all"), UNMADE, Start.of(weights))
    without = make_stage(asked(adapt="all", changes=("losses.adaptation.depth=0",)), UNMADE, Start.of(weights))
    assert without.losses.adaptation.depth == 0
    with pytest.raises(ConfigError, match="depth labels are asked for, and losses.adaptation.depth is 0"):
        make_stage(asked(depth=DEPTH, changes=("losses.adaptation.depth=0",)), UNMADE, Start.of(weights))


@pytest.mark.parametrize(
    ("stage", "said"),
    [("tiny", "tiny trains trajvg; jobs/adapt.py adapts st4rtrack"), ("st4rtrack_pair", "losses.adaptation teaches nothing")],
)
def test_a_stage_that_cannot_adapt_is_refused(weights, stage, said):
    with pytest.raises(ConfigError, match=said):
        make_stage(asked(stage=stage), UNMADE, Start.of(weights))


def test_weights_of_another_network_and_linear_heads_are_refused(weights, tmp_path):
    save_weights(str(tmp_path / "pi3.safetensors"), build_model("pi3", TINY))
    file = read_weights(str(tmp_path / "pi3.safetensors"))
    with torch.device("meta"):
        twin = build_model("st4rtrack", TWIN)
    with pytest.raises(ConfigError, match="st4rtrack cannot begin from .*pi3.safetensors, which holds weights of pi3"):
        plan_start(twin, file)
    linear = build_model("dust3r", {**TWIN, "head_type": "linear"})
    save_weights(str(tmp_path / "linear.safetensors"), linear)
    file = read_weights(str(tmp_path / "linear.safetensors"))
    with pytest.raises(
        ConfigError, match="weights of dust3r with linear heads, and a network with DPT heads is asked for; begin from hf://"
    ):
        plan_start(check_stage(make_stage(asked(), UNMADE, Start.of(file))), file)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"audit": "dis-flow-1"}, "--audit names labels of a root that is there"),
        ({"depth": DepthChoice(label_set="depth-1")}, "--depth-labels names labels of a root that is there"),
        ({"steps": 0}, "--steps is 0"),
        ({"infer_videos": -1}, "--infer-videos is -1"),
        ({"infer_frames": 0}, "--infer-frames is 0"),
        ({"changes": ("out=/elsewhere",)}, "--set out: it is given by --out"),
    ],
)
def test_options_that_do_not_fit_are_refused(wrong, said):
    with pytest.raises(ConfigError, match=said):
        asked(**wrong)


def test_depth_is_made_or_named():
    with pytest.raises(ConfigError, match="give one of them"):
        DepthChoice(labeler="pi3-depth", label_set="depth-1")
    with pytest.raises(ConfigError, match="name --depth-labeler"):
        DepthChoice(options={"checkpoint": "x"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 7),
        ({"depth": DEPTH}, 8),
        ({"inputs": (), "infer_videos": 0}, 5),
        ({"inputs": (), "audit": "a", "depth": DepthChoice(label_set="d")}, 2),
    ],
)
def test_the_steps_that_will_be_said_are_counted(changes, expected):
    assert asked(**changes).num_steps == expected


def test_losses_are_means_of_the_first_and_of_the_last_tenth_of_the_steps():
    terms = [
        {"adaptation/trajectory": float(step), "adaptation/zoom": 1.0, "adaptation/failed_poses": 0.25 * (step == 3)} for step in range(20)
    ]
    journal = [{"loss": 2.0 * step, "terms": each} for step, each in enumerate(terms)]
    journal[1] = {"loss": None, "terms": {}}  # a step that was lost
    rows = dict(loss_rows(journal))
    assert rows["loss"] == "0 -> 37, means of 2 steps"  # of (0, lost), and of (36, 38)
    assert rows["  trajectory"] == "0 -> 18.5"
    assert rows["cameras"].startswith("not found for 1.3% of the frames")  # 0.25 of 19 steps
    assert "  zoom" not in rows
