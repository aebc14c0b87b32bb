"""The checkpoint that a run goes on from: of the same configuration, and the same for all processes."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.errors import ConfigError
from pipeline.records.parsing import plain_table
from trainer.loop.checkpoints import BestCheckpoint, RunState, checkpoint_steps, read_state
from trainer.loop.config import TrainConfig, config_table, stored_config_table

_log = logging.getLogger(__name__)
_CHANGEABLE = ("out", "checkpoints", "validation", "logs", "loader_workers")  # between a run and its continuation


def saved_state(config: TrainConfig, *, resume: bool) -> RunState | None:
    """The state that a run begins from; None for the beginning.

    Raises: ConfigError if there is a run and it is not to be resumed, or is one of another configuration.
    """
    steps = checkpoint_steps(config.out)
    if not steps:
        return None
    if not resume:
        raise ConfigError(f"{config.out} holds a run of {steps[-1]} steps; go on with --resume, or name another --out")
    state = read_state(config.out, steps[-1])
    mine, theirs = stored_config_table(config_table(config)), stored_config_table(state.config)
    changed = [name for name in sorted({*mine, *theirs} - set(_CHANGEABLE)) if mine.get(name) != theirs.get(name)]
    if changed:
        raise ConfigError(
            f"{config.out} was trained with another {', '.join(changed)}; resume with its config.yaml, or begin anew with another --out"
        )
    return replace(state, best=_best_so_far(config, state, steps))


def _best_so_far(config: TrainConfig, state: RunState, steps: Sequence[int]) -> BestCheckpoint | None:
    """The best checkpoint; None where it is gone, or is best by what is no longer measured."""
    best, validation, before = state.best, config.validation, state.config.get("validation")
    if best is None or validation is None or before is None:
        return None
    if best.step in steps and best.measure == validation.best and plain_table(validation.best_part()) in before["parts"]:
        return best
    _log.warning(
        "the best checkpoint so far, of step %d by %s, is gone or was measured otherwise; the next one begins anew", best.step, best.measure
    )
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStart:
    """Where one process begins, and hashes by which processes compare what they read."""

    step: int | None  # of the checkpoint; None: at the beginning
    config: str  # of the configuration but for `out`
    state: str  # of the checkpoint's state


def run_start(config: TrainConfig, saved: RunState | None) -> RunStart:
    """The start of this process."""
    return RunStart(
        step=None if saved is None else saved.step,
        config=_digest({**config_table(config), "out": None}),
        state=_digest(None if saved is None else asdict(saved)),
    )


def check_same_start(starts: Sequence[RunStart], out: str) -> None:
    """Raises: ConfigError unless all processes, in the order of their ranks, begin at the same checkpoint of the same run."""
    first = starts[0]
    for rank, start in enumerate(starts):
        if start.config != first.config:
            raise ConfigError(f"process {rank} was given another configuration than process 0; start all with the same")
        if start != first:
            here, there = ("at the beginning" if one.step is None else f"at step {one.step}" for one in (first, start))
            other = " of another run" if first.step == start.step else ""
            raise ConfigError(
                f"process 0 would go on {here}, process {rank} {there}{other}: they do not see the same files in {out}/checkpoints;"
                " let `out` lie on a disk that all machines share, or in an object store"
            )


def _digest(table: object) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
