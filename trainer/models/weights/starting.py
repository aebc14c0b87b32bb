"""Training that begins from another model's weights: what both have is copied, what is new stays fresh."""

import logging
from dataclasses import dataclass

import torch

from trainer.models.backbone import Backbone
from trainer.models.building import build_model, model_name
from trainer.models.config_parsing import config_table
from trainer.models.weights.fitting import check_fit, shapes_of
from trainer.models.weights.loading import describe, give_notice
from trainer.models.weights.reading import WeightFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class StartReport:
    """What became of the entries."""

    source: str
    model: str  # that the file is of
    license: str | None  # of the file's weights, and so of what is trained from them
    loaded: tuple[str, ...]  # copied
    new: tuple[str, ...]  # in the model only: as fresh as they were
    unused: tuple[str, ...]  # in the file only


def start_from(model: Backbone, file: WeightFile) -> StartReport:
    """Copy into a model what a file of π³, Pi3X or TrajVG has in common with it.

    The file must be exactly what its kind of model has at this model's sizes: then what is new is what only this model's kind has, and
    nothing is left out by accident. TrajVG from π³: 1206 entries loaded, 592 new (dense heads, track decoder, tracker), 4 unused.

    Raises: ConfigError if the file is incomplete, of other sizes, or of another model. The model is unchanged then.
    """
    described = describe(file)
    with torch.device("meta"):
        twin = build_model(described.model, config_table(model.config))
    check_fit(file, shapes_of(twin), described.model)
    mine, theirs = shapes_of(model), shapes_of(twin)
    loaded = [name for name in mine if theirs.get(name) == mine[name]]
    report = StartReport(
        source=file.source,
        model=described.model,
        license=described.license,
        loaded=tuple(loaded),
        new=tuple(name for name in mine if name not in set(loaded)),
        unused=tuple(name for name in theirs if name not in set(loaded)),
    )
    give_notice(report.license)
    model.load_state_dict({name: file.tensors[name] for name in loaded}, strict=False)
    message = "%s begins from %s (%s): %d entries loaded, %d new, %d of the file unused"
    _log.info(message, model_name(model), file.source, report.model, len(report.loaded), len(report.new), len(report.unused))
    return report
