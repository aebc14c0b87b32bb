"""Where a stream stands, as plain JSON types: the index that comes next, and what must be the same to go on from it."""

from typing import Any

from pipeline.errors import ConfigError
from pipeline.shards.plan import PlanCounts
from pipeline.stream.config import StreamConfig

# Other fields may change between two runs. The audit, like the label set, moves no clip from its index either, but decides which
# clips come, and with which weights: going on under another one is another training.
_IDENTITY = ("seed", "split", "labels", "audit", "shuffle", "shuffle_block")


def state_at(index: int, config: StreamConfig, plan: PlanCounts) -> dict[str, Any]:
    """The state in which index `index` comes next; the same on every rank. `plan`: the parts that the sequence is made of."""
    return {"index": index, "parts": plan.num_parts, "plan_hash": plan.plan_hash, **_identity(config)}


def index_of(state: dict[str, Any], config: StreamConfig, plan: PlanCounts) -> int:
    """The index that comes next. The state may be of the first parts of a plan that has grown since: see `parts_of`.

    Raises: ConfigError, naming every difference, if the state is of another sequence.
    """
    index, parts = state.get("index"), parts_of(state)
    if type(index) is not int or index < 0:
        raise ConfigError(f"not a state of a stream: its index is {index!r}, expected a whole number; pass what state_dict() returned")
    found = plan.plan_hashes[parts - 1] if parts <= plan.num_parts else None
    here = {"plan_hash": found, **_identity(config)}
    differ = [
        f"{name} is {value!r}{f' after {parts} parts' if name == 'plan_hash' else ''}, in the state it was {state.get(name)!r}"
        for name, value in here.items()
        if state.get(name) != value
    ]
    if differ:
        raise ConfigError(f"the state is of another sequence of clips: {'; '.join(differ)}. Use the same, or start anew without the state")
    return index


def parts_of(state: dict[str, Any]) -> int:
    """How many parts of the plan a state's sequence is made of. Raises ConfigError if it is no state."""
    parts = state.get("parts", 1)  # states from before plans had parts
    if type(parts) is not int or parts < 1:
        raise ConfigError(f"not a state of a stream: its parts are {parts!r}, expected a whole number; pass what state_dict() returned")
    return parts


def _identity(config: StreamConfig) -> dict[str, Any]:
    keeps = None if config.audit is None else list(config.audit_keeps)  # JSON's type
    return {**{name: getattr(config, name) for name in _IDENTITY}, "audit_keeps": keeps}
