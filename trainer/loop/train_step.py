"""One step of training: losses, gradient of one batch or several, guards, optimiser."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from networks.building import Network
from trainer.data import StepBatch
from trainer.families import ClipShares, Objective, StepLosses, family_of
from trainer.loop.config import TrainConfig
from trainer.loop.flops import peak_tflops
from trainer.loop.metering import StepMeter
from trainer.loop.optimisation import WeightAverage, gradient_norms, make_optimiser, rate_factor, set_rate
from trainer.loop.step_report import (
    Item,
    Outcome,
    ProcessRank,
    StepReport,
    finite_or_none,
    gather_over_processes,
    mean_terms,
    sum_over_processes,
    term_sums,
)
from trainer.losses import ClipLosses

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

    def __call__(self, batches: Sequence[StepBatch], step: int, *, wait_s: float) -> StepReport:
        """Take one step. The loss of a side is the mean over all its clips, of all batches and processes alike.

        Args:
            batches: this process's, on any device; every process has as many.
            wait_s: seconds spent waiting for them.
        """
        began = time.perf_counter()
        is_logged = self.process.leads and step % self.config.logs.every_steps == 0
        self._meter.begin(_shapes(batches) if is_logged else None)
        factor = rate_factor(step, self.config.steps, self.config.optimiser)
        set_rate(self.optimiser, factor)
        skipped_here = [sum(batch.skipped.count(name) for batch in batches) for name in self._datasets]
        clips_here = [sum(side) for side in zip(*(_num_clips(batch) for batch in batches), strict=True)]
        labelled, pseudo, *skipped = sum_over_processes([*clips_here, *skipped_here], self.process)
        counts = [labelled, pseudo]
        terms, loss = {}, None
        if not sum(counts):
            done = _UpdateResult(outcome="skipped", gradient_norm=None, reason="no clip of this step could be read")
        else:
            parts = self._backward(batches, self._shares(counts))
            loss = sum_over_processes([sum(float(part.total) for part in parts) / self.process.world_size], self.process)[0]
            sides = [side for part in parts for side in part.sides()]
            done = self._update(sides, loss)
            terms = mean_terms(self._gather(term_sums(sides)))
        if done.reason is not None and self.process.leads:
            _log.warning("step %d: %s: %s", step, done.outcome, done.reason)
        cost = self._meter.read()
        step_s = wait_s + time.perf_counter() - began
        transfer_s = sum(batch.transfer_s for batch in batches)
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
            parts_s={"data": max(wait_s - transfer_s, 0.0), "transfer": transfer_s, **cost.parts_s},
            peak_memory_mb=cost.peak_memory_mb,
            tflops=cost.tflops,
            mfu=None if tflops_per_s is None or self._peak_tflops is None else tflops_per_s / self._peak_tflops,
            reason=done.reason,
        )

    def _shares(self, counts: list[float]) -> ClipShares:
        """The gradients of a group are averaged, so each process's sum is divided by its share of the clips of all."""
        labelled, pseudo = (self.process.world_size / count if count else 0.0 for count in counts)
        return ClipShares(labelled=labelled, pseudo=pseudo)

    def _backward(self, batches: Sequence[StepBatch], shares: ClipShares) -> list[StepLosses]:
        """Losses of every batch, and the sum of their gradients; one batch's activations at a time."""
        self.optimiser.zero_grad(set_to_none=True)
        *first, last = batches
        with self._no_exchange():
            found = [self._add_gradient(batch, shares) for batch in first]
        return [*found, self._add_gradient(last, shares)]

    def _add_gradient(self, batch: StepBatch, shares: ClipShares) -> StepLosses:
        with self._meter.timing("forward"):
            losses: StepLosses = self._objective(batch.to(self.process.device), shares)
        with self._meter.timing("backward"):
            losses.total.backward()
        return losses.detached()

    def _no_exchange(self) -> AbstractContextManager[None]:
        """Within it processes keep their gradients: they exchange them once per step, in the last batch's backward pass."""
        return self._objective.no_sync() if isinstance(self._objective, DistributedDataParallel) else nullcontext()

    def _update(self, sides: Sequence[ClipLosses], loss: float) -> _UpdateResult:
        """One update. Decisions are taken from numbers that all processes share, so that all take the same."""
        if finite_or_none(loss) is None:
            broken = self._gather([name for side in sides for name in side.non_finite_clips()])
            return self._skip(f"the loss is {loss}; clips: {', '.join(broken) or 'none alone'}")
        guarded = self.config.loss_guard is not None and loss > self.config.loss_guard
        if guarded:
            self.optimiser.zero_grad(set_to_none=False)
        norms = {name: finite_or_none(norm) for name, norm in gradient_norms(self.model).items()}
        norm = finite_or_none(float(torch.nn.utils.clip_grad_norm_(self._trainable, self.config.optimiser.clip_norm)))
        if norm is None:
            keys = self._gather([key for side in sides for key in side.keys])
            return self._skip(f"the gradient is not finite; one of the clips {', '.join(keys)}", norms)
        with self._meter.timing("optimiser"):
            self.optimiser.step()
            if self.average is not None:
                self.average.update(self.model)
        if not guarded:
            return _UpdateResult(outcome="stepped", gradient_norm=norm, gradient_norms=norms)
        reason = f"the loss is {loss:.4g}, more than {self.config.loss_guard:g}"
        return _UpdateResult(outcome="guarded", gradient_norm=norm, gradient_norms=norms, reason=reason)

    def _skip(self, reason: str, norms: Mapping[str, float | None] | None = None) -> _UpdateResult:
        """Drop the gradients."""
        self.optimiser.zero_grad(set_to_none=True)
        return _UpdateResult(outcome="skipped", gradient_norm=None, gradient_norms=norms or {}, reason=reason)

    def _gather(self, items: list[Item]) -> list[Item]:
        """Items of all processes, in the order of their ranks."""
        return [item for found in gather_over_processes(items, self.process) for item in found]


def make_objective(model: Network, config: TrainConfig) -> Objective:
    """The objective of a configuration, by its model's family."""
    return Objective(family_of(config.model.name), model, config.loss_settings, precision=config.precision)


def _shapes(batches: Sequence[StepBatch]) -> tuple[tuple[int, ...] | None, ...]:
    """Sizes of the images of both sides of every batch, which the number of operations is a function of."""
    sides = [clips for batch in batches for clips in (batch.labelled, batch.pseudo)]
    return tuple(None if clips is None else tuple(clips.images.shape) for clips in sides)


def _num_clips(batch: StepBatch) -> tuple[int, ...]:
    """Clips of the labelled and of the pseudo side."""
    return tuple(0 if clips is None else len(clips.keys) for clips in (batch.labelled, batch.pseudo))
