"""The summaries of jobs/train.py."""

import torch

from jobs.console import DONE, FAILED, counted, print_summary
from jobs.next_commands import after_tracker, after_training
from networks import build_model
from networks.building import Network
from pipeline.stream import MixtureConfig
from trainer.data import DataConfig, StepBatch, StepLoader
from trainer.families import family_of
from trainer.families.tracker2d import Tracker2dFamily
from trainer.loop import TrainConfig, TrainOutcome
from trainer.loop.checkpoints import best_weights
from trainer.loop.logger_registry import find_loggers
from trainer.loop.optimisation import freeze, make_optimiser
from trainer.loop.run import check_image_sizes, open_validation
from trainer.loop.step_report import ProcessRank
from trainer.loop.train_step import make_objective

_MOST_LOST = 0.5  # of the steps of a run; beyond, it has not trained


def report_stage(config: TrainConfig) -> int:
    """Print the stage that would be trained, once its data were opened and the clips of its first step read; no weights are read.

    Raises: ConfigError, DataError for what would end the training.
    """
    model = check_stage(config)
    first = next(iter(StepLoader(config.data, patch=family_of(config.model.name).patch_size(model))))
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rows = [
        ("network", f"{config.model.name}, {sum(parameter.numel() for parameter in model.parameters()):,} parameters"),
        ("learning", f"{sum(parameter.numel() for parameter in learning):,} parameters"),
        ("frozen", ", ".join(config.frozen) or "nothing"),
        ("begins from", config.model.start or "fresh weights"),
        ("losses", ", ".join(config.loss_settings.names)),
        ("labelled", _datasets(config.data.labelled, config.data.labelled_clips, config.data)),
        ("pseudo", _datasets(config.data.pseudo, config.data.pseudo_clips, config.data)),
        ("images", _images(config.data)),
        ("first step", _described(first)),
        ("validation", _validation(config, model)),
        ("steps", config.steps),
        ("batches per step", f"{config.accumulate} of each process"),
        ("out", config.out),
    ]
    print_summary("Would train", rows)
    return DONE


def check_stage(config: TrainConfig) -> Network:
    """The network of a stage, without weights, its frozen parts frozen. Raises: ConfigError for a stage that cannot be trained."""
    family = family_of(config.model.name)
    with torch.device("meta"):
        model = build_model(config.model.name, config.model.config)
    check_image_sizes(family, model, config.data.shape, config.loss_settings)
    freeze(model, config.frozen)
    family.keep_start(model, config.loss_settings)
    make_objective(model, config)
    make_optimiser(model, config.optimiser)
    find_loggers(config)
    return model


def report_training(outcome: TrainOutcome, config: TrainConfig) -> int:
    """Print the outcome of a run; failed if most of its steps were lost."""
    rows = [
        ("steps", outcome.steps),
        ("resumed from step", "begun anew" if outcome.resumed_from is None else outcome.resumed_from),
        ("last loss", "none" if outcome.last_loss is None else f"{outcome.last_loss:.4f}"),
        ("guarded steps", f"{outcome.num_guarded} (loss too large, counted 0)"),
        ("skipped steps", f"{outcome.num_skipped} (no clip, or no number)"),
        ("weights", outcome.weights),
    ]
    if outcome.best is not None:
        best = outcome.best
        rows.append(("best", f"{best_weights(config.out, best)}: {best.measure} is {best.value:.4g} after step {best.step}"))
    print_summary("Trained", rows, next_commands=_next_commands(outcome, config))
    return training_exit(outcome)


def _next_commands(outcome: TrainOutcome, config: TrainConfig) -> list[str]:
    """None for a network that neither infers from images alone nor labels tracks."""
    with torch.device("meta"):
        model = build_model(config.model.name, config.model.config)
    family = family_of(config.model.name)
    if isinstance(family, Tracker2dFamily) and config.data.pseudo is not None:
        return after_tracker(config.data.pseudo.parts[0][0].root, config.model.name, outcome.weights)
    if not family.infers(model):
        return []
    labelled = [part.root for part, _ in config.data.labelled.parts] if config.data.labelled else []
    return after_training(config.out, outcome.weights, labelled, config.data.shape.pixels[1])


def training_exit(outcome: TrainOutcome) -> int:
    """FAILED if most of a run's steps were lost, else DONE."""
    return FAILED if outcome.num_guarded + outcome.num_skipped > _MOST_LOST * outcome.steps else DONE


def _described(batch: StepBatch) -> str:
    """Clips of one step, by side, with their frames and size."""
    sides = {"labelled": batch.labelled, "pseudo": batch.pseudo}
    found = [f"{counted(len(side.keys), f'{name} clip')}" for name, side in sides.items() if side is not None]
    some = next((side for side in sides.values() if side is not None), None)
    if some is None:
        return "none of its clips can be used; the warnings above say why"
    _, num_frames, _, height, width = some.images.shape
    return f"{', '.join(found)}, of {counted(num_frames, 'frame')} of {width}x{height}"


def _datasets(mixture: MixtureConfig | None, clips: int, data: DataConfig) -> str:
    if mixture is None:
        return "none"
    both = sum(number for side, number in ((data.labelled, data.labelled_clips), (data.pseudo, data.pseudo_clips)) if side is not None)
    number = f"{counted(clips, 'clip')} per batch and process" if data.max_images is None else f"{clips} in {counted(both, 'clip')}"
    return f"{number} of {', '.join(mixture.names)}"


def _images(data: DataConfig) -> str:
    limit = "" if data.max_images is None else f", at most {data.max_images} per batch and process"
    return "{} to {} frames of a clip".format(*data.shape.frames) + limit


def _validation(config: TrainConfig, model: Network) -> str:
    """Clips of each part, once they were found."""
    validation = open_validation(config, ProcessRank(device=torch.device("cpu")), model)
    if validation is None:
        return "none"
    parts = zip(validation.settings.parts, validation.num_clips, strict=True)
    found = ", ".join(f"{counted(num_clips, 'clip')} of {part.dataset}" for part, num_clips in parts)
    best = "" if validation.settings.best is None else f"; the best by {validation.settings.best} is kept"
    return f"{found} every {counted(validation.settings.every_steps, 'step')}{best}"
