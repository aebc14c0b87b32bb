"""One stage of training, from its configuration to its last checkpoint; a killed run resumes from the newest one."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
import yaml

from networks import build_model
from networks.building import Network
from networks.inputs import fitted_size
from networks.weights import TrainingOrigin, read_weights, start_from
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from trainer.data import StepBatch, StepLoader
from trainer.data.config import ShapeConfig
from trainer.data.workers import loader_workers
from trainer.families import Family, LossSettings, family_of
from trainer.loop.checkpoint_writer import CheckpointWriter
from trainer.loop.checkpoints import BestCheckpoint, Learner, RunState, load_checkpoint, publish_best
from trainer.loop.config import TrainConfig, config_table
from trainer.loop.logger_registry import find_loggers, open_loggers
from trainer.loop.logs import OnStep, StepLog
from trainer.loop.optimisation import freeze
from trainer.loop.origin import origin_of_data, origin_of_start
from trainer.loop.resuming import check_same_start, run_start, saved_state
from trainer.loop.step_report import ProcessRank, gather_over_processes
from trainer.loop.train_step import TrainStep, make_objective
from trainer.loop.validation import Validation, check_validation
from trainer.loop.validation_rows import better_checkpoint, remove_later_rows

_ASPECTS = 65  # that are tried between the least and the most
_log = logging.getLogger(__name__)


def check_image_sizes(family: Family, model: Network, shape: ShapeConfig, losses: LossSettings) -> None:
    """Try the smallest images of a training. Raises: ConfigError if they are too small for the model and its losses."""
    patch, (least, most) = family.patch_size(model), shape.pixels
    if least < patch**2:
        raise ConfigError(
            f"data.shape: pixels is {shape.pixels}, expected (least, most) of at least {patch**2}: one patch of {patch} x {patch}"
        )
    sizes = {fitted_size(aspect, least, patch=patch, most_pixels=most) for aspect in np.geomspace(*shape.aspect, _ASPECTS)}
    for height, width in sorted(sizes):
        try:
            family.check_shape(model, losses, height, width)
        except DataError as error:
            raise ConfigError(f"data.shape: steps may draw images of {width} x {height} pixels; {error}: raise pixels[0]") from error


class BatchSource(Protocol):
    """Batches of one process: StepLoader, or another source with its interface."""

    def __iter__(self) -> Iterator[StepBatch]: ...

    def state_dict(self) -> dict[str, Any]:
        """State after the batches that were taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainOutcome:
    """Result of a run."""

    weights: str  # the newest checkpoint's
    steps: int  # that are done
    resumed_from: int | None  # step; None where it began anew
    last_loss: float | None
    num_guarded: int  # steps whose loss was too large
    num_skipped: int  # steps without loss
    best: BestCheckpoint | None = None  # by validation


def train(
    config: TrainConfig,
    process: ProcessRank,
    *,
    resume: bool = False,
    open_batches: Callable[[dict[str, Any] | None], BatchSource] | None = None,
    on_step: OnStep | None = None,
) -> TrainOutcome:
    """Train a stage to its end. Every process of a group calls this, with its own rank.

    Args:
        resume: go on from the newest checkpoint in `config.out`; without one the run begins.
        open_batches: from a saved state (None: the beginning) to batches; None reads `config.data`.
        on_step: called with every step's report, in the leading process.
    Raises: ConfigError, before anything is written, if there is a run already, it was of another configuration, processes differ in what
        they see of it, or a logger is missing.
    """
    saved = saved_state(config, resume=resume)
    check_same_start(gather_over_processes(run_start(config, saved), process), config.out)
    openers = find_loggers(config) if process.leads else ()
    family = family_of(config.model.name)
    model, start = _make_model(config, fresh=saved is None or family.keeps_start(config.loss_settings))
    check_image_sizes(family, model, config.data.shape, config.loss_settings)
    validation = open_validation(config, process, model)
    freeze(model, config.frozen)
    family.keep_start(model.to(process.device), config.loss_settings)
    step = TrainStep(model, config, process)
    learner = Learner(model=model, optimiser=step.optimiser, average=step.average)
    source = (open_batches or _loader_opener(config, process, family.patch_size(model)))(None if saved is None else dict(saved.data))
    if saved is not None:
        load_checkpoint(config.out, saved.step, learner)
    elif process.leads:
        storage.publish_bytes(storage.join(config.out, "config.yaml"), yaml.safe_dump(config_table(config), sort_keys=False).encode())
    state = saved or _initial_state(config, start, TrainingOrigin() if open_batches else origin_of_data(config.data))
    if process.leads:
        remove_later_rows(config.out, state.step)
        publish_best(config.out, state.best)
    loggers = open_loggers(openers, config, state.step) if state.step < config.steps else ()  # a run that is done has nothing to say
    with (
        StepLog(config.out, state.step, config.logs, process=process, on_step=on_step, loggers=loggers) as log,
        CheckpointWriter(config.out, keep=config.checkpoints.keep) if process.leads else nullcontext() as writer,
    ):
        loop = _Loop(config=config, process=process, learner=learner, validation=validation, log=log, writer=writer)
        state, loss = loop.run(state, step, source)
    return TrainOutcome(
        weights=storage.join(config.out, "checkpoints", f"{state.step:08d}.safetensors"),
        steps=state.step,
        resumed_from=None if saved is None else saved.step,
        last_loss=loss,
        num_guarded=state.num_guarded,
        num_skipped=state.num_skipped,
        best=state.best,
    )


def open_validation(config: TrainConfig, process: ProcessRank, model: Network) -> Validation | None:
    """The validation of a stage, if it has one. Raises as `check_validation` and `Validation`."""
    if config.validation is None:
        return None
    check_validation(config.validation, family_of(config.model.name), model)
    return Validation(config.validation, process, config.precision)


@dataclass(kw_only=True, slots=True)
class _Loop:
    config: TrainConfig
    process: ProcessRank
    learner: Learner
    validation: Validation | None
    log: StepLog
    writer: CheckpointWriter | None  # of the leading process

    def run(self, state: RunState, train_step: TrainStep, source: BatchSource) -> tuple[RunState, float | None]:
        """From a state to the last step."""
        licenses, guarded, skipped, loss = set(state.licenses), state.num_guarded, state.num_skipped, None
        preview_objective = make_objective(self.learner.model, self.config)
        batches = iter(source)
        for number in range(state.step, self.config.steps):
            began = time.perf_counter()
            taken = list(islice(batches, self.config.accumulate))
            report = train_step(taken, number, wait_s=time.perf_counter() - began)
            licenses |= {license for batch in taken for license in _licenses(batch)}
            guarded, skipped = guarded + (report.outcome == "guarded"), skipped + (report.outcome == "skipped")
            loss = report.loss
            self.log.log_step(report)
            self.log.draw_step(number, taken[0], preview_objective)
            if self.writer is not None:
                self.writer.check()
            done = number + 1
            better = self._validate(done, state.best)
            if better is not None or self._is_due(done, self.config.checkpoints.every_steps):
                licenses = set().union(*gather_over_processes(licenses, self.process))
                state = RunState(
                    step=done,
                    config=config_table(self.config),
                    data=source.state_dict(),
                    num_guarded=guarded,
                    num_skipped=skipped,
                    licenses=tuple(sorted(licenses)),
                    start_license=state.start_license,
                    best=better or state.best,
                    sources=state.sources,
                )
                self._save(state)
        return state, loss

    def _is_due(self, done: int, every_steps: int) -> bool:
        return done % every_steps == 0 or done == self.config.steps

    def _validate(self, done: int, before: BestCheckpoint | None) -> BestCheckpoint | None:
        """Validate if it is time to. Returns: this checkpoint if it is the best so far, in all processes alike."""
        if self.validation is None or not self._is_due(done, self.validation.settings.every_steps):
            return None
        rows = self.validation.measure(self.learner, done)
        self.log.log_validation(rows)
        best_by = self.validation.settings.best
        if best_by is None:
            return None
        if self.process.leads and not any(best_by in row.curves() for row in rows):
            _log.warning("step %d: validation: %s is not defined in any clip; no checkpoint is best by it", done, best_by)
        return better_checkpoint(rows, best_by, before)

    def _save(self, state: RunState) -> None:
        if self.log.journal is not None and self.writer is not None:
            self.log.journal.publish(state.step)
            self.writer.save(state, self.learner)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Start:
    """The weights that a training begins from."""

    license: str | None = None
    origin: TrainingOrigin = TrainingOrigin()


def _make_model(config: TrainConfig, *, fresh: bool) -> tuple[Network, _Start]:
    """The network, and what it begins from."""
    settings = config.model
    model = build_model(settings.name, settings.config, generator=torch.Generator().manual_seed(config.seed))
    if settings.start is None or not fresh:
        return model, _Start()
    file = read_weights(settings.start, sha256=settings.start_sha256)
    return model, _Start(license=start_from(model, file).license, origin=origin_of_start(file))


def _initial_state(config: TrainConfig, start: _Start, data: TrainingOrigin) -> RunState:
    origin = start.origin.joined(data)
    return RunState(
        step=0,
        config=config_table(config),
        data={},
        num_guarded=0,
        num_skipped=0,
        licenses=origin.licenses,
        start_license=start.license,
        sources=origin.sources,
    )


def _loader_opener(config: TrainConfig, process: ProcessRank, patch: int) -> Callable[[dict[str, Any] | None], BatchSource]:
    return lambda start: StepLoader(
        config.data,
        patch=patch,
        rank=process.rank,
        world_size=process.world_size,
        num_workers=loader_workers(config.loader_workers, process.cpus),
        start=start,
        device=process.device,
    )


def _licenses(batch: StepBatch) -> set[str]:
    sides = [side for side in (batch.labelled, batch.pseudo) if side is not None]
    return {license for side in sides for license in side.licenses if license is not None}
