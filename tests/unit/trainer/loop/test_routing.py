"""Which parameters a loss reaches, through the whole network."""

from dataclasses import replace

import pytest
import torch

from networks import build_model
from tests.unit.trainer.loop.rendered import TINY, make_clips
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, family_of
from trainer.families.trajvg import TrajVGLosses
from trainer.families.trajvg.settings import CouplingWeights
from trainer.losses import GeometryWeights

NONE = {"consistency_points": 0.0, "consistency_tracks": 0.0, "camera_poses": 0.0, "camera_points": 0.0}
GEOMETRY = {"point_head", "point_decoder"}
CAMERA = {"camera_head", "camera_decoder"}
TRACKER = {"track_head", "track_decoder"}


def reached(settings: TrajVGLosses) -> set[str]:
    """Parts of the network with a gradient other than zero."""
    torch.set_num_threads(1)
    model = build_model("trajvg", TINY)
    with torch.no_grad():  # fresh heads hardly tell one token from another
        for parameter in model.camera_head.parameters():
            parameter.mul_(3)
    batch = StepBatch(step=0, labelled=make_clips(0, 1, labelled=True), pseudo=make_clips(1, 1, labelled=False))
    Objective(family_of("trajvg"), model, settings)(batch, ClipShares(labelled=1.0, pseudo=1.0)).total.backward()
    return {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None and parameter.grad.any()}


@pytest.mark.parametrize("side", ["coupling", "self_supervised"])
@pytest.mark.parametrize(
    ("term", "heads"),
    [("consistency_points", GEOMETRY), ("consistency_tracks", TRACKER), ("camera_poses", CAMERA), ("camera_points", GEOMETRY)],
)
def test_each_coupling_term_moves_its_own_heads_alone(side: str, term: str, heads: set[str]) -> None:
    weights = CouplingWeights(**{**NONE, term: 1.0})
    if (side, term) == ("self_supervised", "camera_points"):
        return  # needs the truth
    off = TrajVGLosses(geometry=None, tracking=None, coupling=None, self_supervised=CouplingWeights())
    found = reached(replace(off, **{"self_supervised": None, side: weights}))
    assert found & (GEOMETRY | CAMERA | TRACKER) == heads
    assert {"encoder", "decoder"} <= found  # which all share
    assert not found & {"conf_head", "conf_decoder"}


def test_what_no_loss_weighs_is_not_computed() -> None:
    weights = GeometryWeights(normals=0.0, confidence=0.0)
    settings = TrajVGLosses(geometry=weights, tracking=None, coupling=None, self_supervised=None)
    objective = Objective(family_of("trajvg"), build_model("trajvg", TINY), settings)
    clips = make_clips(0, 1, labelled=True)
    losses = objective(StepBatch(step=0, labelled=clips, pseudo=None), ClipShares(labelled=1.0, pseudo=0.0))
    assert {term.name for term in losses.labelled.terms} == {f"geometry/{name}" for name in ("points", "camera", "translation", "rotation")}
    assert objective.predict(clips).traj3d_camera is None
    assert Objective(objective.family, objective.model, TrajVGLosses()).predict(clips).traj3d_camera is not None


@pytest.mark.parametrize("name", ["trajvg", "pi3"])
@pytest.mark.parametrize("weight", [0.0, 0.05])
def test_the_confidence_branch_runs_only_where_its_loss_counts(name: str, weight: float) -> None:
    model, family, ran = build_model(name, TINY), family_of(name), []
    for part in ("conf_decoder", "conf_head"):
        model.get_submodule(part).register_forward_hook(lambda *_, part=part: ran.append(part))
    settings = family.settings_type(geometry=GeometryWeights(confidence=weight))
    clips = make_clips(0, 1, labelled=True)
    losses = Objective(family, model, settings)(StepBatch(step=0, labelled=clips, pseudo=None), ClipShares(labelled=1.0, pseudo=0.0))
    assert ran == (["conf_decoder", "conf_head"] if weight else [])
    assert ("geometry/confidence" in {term.name for term in losses.labelled.terms}) == (weight > 0)
    with torch.no_grad():
        assert family.predict(model, clips.images, None).conf.shape == (1, 2, 42, 42, 1)  # inference always has it
