"""The summaries of jobs/train.py."""

import torch

from jobs.console import DONE, FAILED, counted, print_summary
from jobs.next_commands import after_training
from networks import build_model
from networks.building import Network
from pipeline.stream import MixtureConfig
from trainer.data import StepBatch, StepLoader
from trainer.families import family_of
from trainer.loop import TrainConfig, TrainOutcome
from trainer.loop.logger_registry import find_loggers
from trainer.loop.optimisation import freeze, make_optimiser
from trainer.loop.run import check_image_sizes
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
        ("labelled", _datasets(config.data.labelled, config.data.labelled_clips)),
        ("pseudo", _datasets(config.data.pseudo, config.data.pseudo_clips)),
        ("first step", _described(first)),
        ("steps", config.steps),
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
    print_summary("Trained", rows, next_commands=_next_commands(outcome, config))
    return training_exit(outcome)


def _next_commands(outcome: TrainOutcome, config: TrainConfig) -> list[str]:
    """None for a network that does not infer from images alone."""
    with torch.device("meta"):
        model = build_model(config.model.name, config.model.config)
    if not family_of(config.model.name).infers(model):
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


def _datasets(mixture: MixtureConfig | None, clips: int) -> str:
    return "none" if mixture is None else f"{counted(clips, 'clip')} per step and process of {', '.join(mixture.names)}"
