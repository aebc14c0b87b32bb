"""π³ alone behind the protocol: geometry losses, no tracks, patches of 16 pixels, trained by the loop that trains TrajVG."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from networks import build_model
from pipeline.errors import ConfigError, DataError
from tests.unit.trainer.loop.rendered import TINY, Planes, make_clips, make_data
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, family_of
from trainer.families.pi3 import Pi3Losses
from trainer.inference import predict
from trainer.loop import read_config, read_journal, train
from trainer.loop.config import ModelSettings, TrainConfig
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.step_report import ProcessRank
from trainer.losses import GeometryWeights

PI3 = {name: TINY[name] for name in ("decoder", "point_decoder", "camera_decoder", "camera_head")}
PI3["encoder"] = {**TINY["encoder"], "img_size": 48, "patch_size": 16}


class LargerPlanes(Planes):
    """The same clip at every step, of a size that patches of 16 pixels take."""

    def __iter__(self) -> Iterator[StepBatch]:
        while True:
            self.step += 1
            clips = {"labelled": make_clips(0, 2, labelled=True, side=48), "pseudo": make_clips(1, 2, labelled=False, side=48)}
            yield StepBatch(step=self.step - 1, **clips)


def stage(out: Path, name: str, **changes: object) -> TrainConfig:
    settings = OptimiserSettings(learning_rate=3e-3, encoder_learning_rate=3e-3)
    return TrainConfig(out=str(out), steps=12, data=make_data(), model=ModelSettings(name=name, config=PI3), optimiser=settings, **changes)


def test_it_learns_by_the_same_loop_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    config = stage(tmp_path, "pi3", losses=Pi3Losses(geometry=GeometryWeights(normals=0.0)))
    outcome = train(config, ProcessRank(device=torch.device("cpu")), open_batches=LargerPlanes)
    losses = [row["loss"] for row in read_journal(str(tmp_path))]
    assert np.mean(losses[-3:]) < 0.8 * losses[0]
    assert {name for row in read_journal(str(tmp_path)) for name in row["terms"]} == {
        f"geometry/{name}" for name in ("points", "camera", "confidence", "translation", "rotation")
    }
    assert (outcome.num_skipped, outcome.num_guarded) == (0, 0)
    again = train(config, ProcessRank(device=torch.device("cpu")), open_batches=LargerPlanes, resume=True)
    assert again.resumed_from == 12


def test_what_it_is_asked_it_answers_with_geometry_alone() -> None:
    model, family = build_model("pi3", PI3), family_of("pi3")
    assert (family.patch_size(model), family.tracks(model)) == (16, False)
    prediction = predict(model, np.zeros((2, 32, 48, 3), np.uint8), np.array([[4.0, 5.0]], np.float32))
    assert prediction.points.shape == (2, 32, 48, 3)
    assert prediction.tracks is None
    clips = make_clips(0, 1, labelled=True, side=48)
    objective = Objective(family, model, Pi3Losses())
    assert set(objective.pictures(clips)) == {"frames", "depth", "points_from_above"}


def test_clips_without_truth_are_of_no_use_and_named() -> None:
    objective = Objective(family_of("pi3"), build_model("pi3", PI3), Pi3Losses())
    clips = make_clips(1, 1, labelled=False, side=48)
    losses = objective(StepBatch(step=0, labelled=None, pseudo=clips), ClipShares(labelled=1.0, pseudo=1.0))
    assert (losses.total.item(), losses.pseudo) == (0.0, None)
    with pytest.raises(DataError, match="pseudo-1-0 have no truth; list their dataset under data.pseudo"):
        objective.labelled_losses(objective.predict(clips), clips)


def test_its_losses_are_read_by_its_own_names(tmp_path: Path) -> None:
    path = tmp_path / "stage.yaml"
    text = "out: runs/x\nsteps: 2\nmodel: {name: pi3}\ndata: {labelled: [{root: data/none}]}\nlosses: {%s}\n"
    path.write_text(text % "geometry: {points: 2.0, camera: 0.5}")
    assert read_config(path).losses == Pi3Losses(geometry=GeometryWeights(points=2.0, camera=0.5))
    path.write_text(text % "tracking: {tracks: 1.0}")
    with pytest.raises(ConfigError, match="losses has no tracking; it has geometry, geometry_settings"):
        read_config(path)
