"""One step of training: losses, gradient, guards, optimiser."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from networks.building import Network
from trainer.data import ClipBatch, StepBatch
from trainer.families import ClipShares, Objective, StepLosses, family_of
from trainer.loop.config import TrainConfig
from trainer.loop.flops import peak_tflops
from trainer.loop.metering import StepMeter
from trainer.loop.optimisation import WeightAverage, gradient_norms, make_optimiser, rate_factor, set_rate
from trainer.loop.step_report import (
    Outcome,
    ProcessRank,
    StepReport,
    finite_or_none,
    gather_over_processes,
    mean_terms,
    sum_over_processes,
    term_sums,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class _UpdateResult:
    """Result of one update."""

    outcome: Outcome
    gradient_norm: float | None
    gradient_norms: Mapping[str, float | None] = field(default_factory=dict)
    reason: str | None = None


class TrainStep:
    """Step function with its optimiser and average; every process of a group has one, and all take the same steps."""

    def __init__(self, model: Network, config: TrainConfig, process: ProcessRank) -> None:
        """Args:
        model: on the process's device, its frozen parts frozen.
        """
        self.model, self.config, self.process = model, config, process
        self.optimiser = make_optimiser(model, config.optimiser)
        self.average = None if config.ema_decay is None else WeightAverage(model, config.ema_decay)
        self._meter = StepMeter(process.device)
        self._peak_tflops = config.logs.peak_tflops or peak_tflops(process.device, config.precision)
        self._datasets = tuple(dict.fromkeys(name for side in (config.data.labelled, config.data.pseudo) if side for name in side.names))
        self._trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        objective = make_objective(model, config)
        # A step may lack one side of the batch, and then some parameters have no part in the loss.
        self._objective: nn.Module = (
            objective if process.world_size == 1 else DistributedDataParallel(objective, find_unused_parameters=True)
        )

    def __call__(self, batch: StepBatch, step: int, *, wait_s: float) -> StepReport:
        """Take one step.

        Args:
            batch: this process's clips, on any device.
            wait_s: seconds spent waiting for the batch.
        """
        began = time.perf_counter()
        is_logged = self.process.leads and step % self.config.logs.every_steps == 0
        self._meter.begin(_shape(batch) if is_logged else None)
        factor = rate_factor(step, self.config.steps, self.config.optimiser)
        set_rate(self.optimiser, factor)
        skipped_here = [batch.skipped.count(name) for name in self._datasets]
        labelled, pseudo, *skipped = sum_over_processes([_num_clips(batch.labelled), _num_clips(batch.pseudo), *skipped_here], self.process)
        counts = [labelled, pseudo]
        terms, loss = {}, None
        if not sum(counts):
            done = _UpdateResult(outcome="skipped", gradient_norm=None, reason="no clip of this step could be read")
        else:
            with self._meter.timing("forward"):
                losses = self._objective(batch.to(self.process.device), self._shares(counts))
            loss = sum_over_processes([float(losses.total.detach()) / self.process.world_size], self.process)[0]
            done = self._update(losses, loss)
            terms = mean_terms(gather_over_processes(term_sums(losses.sides()), self.process))
        if done.reason is not None and self.process.leads:
            _log.warning("step %d: %s: %s", step, done.outcome, done.reason)
        cost = self._meter.read()
        step_s = wait_s + time.perf_counter() - began
        tflops_per_s = None if cost.tflops is None else cost.tflops / max(step_s, 1e-9)
        return StepReport(
            step=step,
            outcome=done.outcome,
            loss=None if loss is None else finite_or_none(loss),
            terms=terms,
            learning_rate=self.config.optimiser.learning_rate * factor,
            gradient_norm=done.gradient_norm,
            gradient_norms=done.gradient_norms,
            num_clips=int(sum(counts)),
            skipped_clips={name: int(number) for name, number in zip(self._datasets, skipped, strict=True) if number},
            wait_s=wait_s,
            step_s=step_s,
            parts_s={"data": max(wait_s - batch.transfer_s, 0.0), "transfer": batch.transfer_s, **cost.parts_s},
            peak_memory_mb=cost.peak_memory_mb,
            tflops=cost.tflops,
            mfu=None if tflops_per_s is None or self._peak_tflops is None else tflops_per_s / self._peak_tflops,
            reason=done.reason,
        )

    def _shares(self, counts: list[float]) -> ClipShares:
        """The gradients of a group are averaged, so each process's sum is divided by its share of the clips of all."""
        labelled, pseudo = (self.process.world_size / count if count else 0.0 for count in counts)
        return ClipShares(labelled=labelled, pseudo=pseudo)

    def _update(self, losses: StepLosses, loss: float) -> _UpdateResult:
        """One update. Decisions are taken from numbers that all processes share, so that all take the same."""
        if finite_or_none(loss) is None:
            broken = [
                found
                for rank in gather_over_processes([name for side in losses.sides() for name in side.non_finite_clips()], self.process)
                for found in rank
            ]
            return _UpdateResult(
                outcome="skipped", gradient_norm=None, reason=f"the loss is {loss}; clips: {', '.join(broken) or 'none alone'}"
            )
        guarded = self.config.loss_guard is not None and loss > self.config.loss_guard
        self.optimiser.zero_grad(set_to_none=True)
        with self._meter.timing("backward"):
            (losses.total * 0 if guarded else losses.total).backward()
        norms = {name: finite_or_none(norm) for name, norm in gradient_norms(self.model).items()}
        norm = finite_or_none(float(torch.nn.utils.clip_grad_norm_(self._trainable, self.config.optimiser.clip_norm)))
        if norm is None:
            self.optimiser.zero_grad(set_to_none=True)
            keys = [
                key for rank in gather_over_processes([key for side in losses.sides() for key in side.keys], self.process) for key in rank
            ]
            return _UpdateResult(
                outcome="skipped",
                gradient_norm=None,
                gradient_norms=norms,
                reason=f"the gradient is not finite; one of the clips {', '.join(keys)}",
            )
        with self._meter.timing("optimiser"):
            self.optimiser.step()
            if self.average is not None:
                self.average.update(self.model)
        if not guarded:
            return _UpdateResult(outcome="stepped", gradient_norm=norm, gradient_norms=norms)
        reason = f"the loss is {loss:.4g}, more than {self.config.loss_guard:g}"
        return _UpdateResult(outcome="guarded", gradient_norm=norm, gradient_norms=norms, reason=reason)


def make_objective(model: Network, config: TrainConfig) -> Objective:
    """The objective of a configuration, by its model's family."""
    return Objective(family_of(config.model.name), model, config.loss_settings, precision=config.precision)


def _shape(batch: StepBatch) -> tuple[tuple[int, ...] | None, ...]:
    """Sizes of both sides' images, which the number of operations is a function of."""
    return tuple(None if clips is None else tuple(clips.images.shape) for clips in (batch.labelled, batch.pseudo))


def _num_clips(clips: ClipBatch | None) -> int:
    return 0 if clips is None else len(clips.keys)
