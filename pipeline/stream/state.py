"""Where a stream stands, as plain JSON types: the index that comes next, and what must be the same to go on from it."""

from typing import Any

from pipeline.errors import ConfigError
from pipeline.stream.config import StreamConfig

# Other fields may change between two runs. The audit, like the label set, moves no clip from its index either, but decides which
# clips come, and with which weights: going on under another one is another training.
_IDENTITY = ("seed", "split", "labels", "audit", "shuffle", "shuffle_block")


def state_at(index: int, config: StreamConfig, plan_hash: str) -> dict[str, Any]:
    """The state in which index `index` comes next; the same on every rank."""
    return {"index": index, **_identity(config, plan_hash)}


def index_of(state: dict[str, Any], config: StreamConfig, plan_hash: str) -> int:
    """The index that comes next. Raises ConfigError, naming every difference, if the state is of another sequence."""
    index = state.get("index")
    if type(index) is not int or index < 0:
        raise ConfigError(f"not a state of a stream: its index is {index!r}, expected a whole number; pass what state_dict() returned")
    differ = [
        f"{name} is {value!r}, in the state it was {state.get(name)!r}"
        for name, value in _identity(config, plan_hash).items()
        if state.get(name) != value
    ]
    if differ:
        raise ConfigError(f"the state is of another sequence of clips: {'; '.join(differ)}. Use the same, or start anew without the state")
    return index


def _identity(config: StreamConfig, plan_hash: str) -> dict[str, Any]:
    keeps = None if config.audit is None else list(config.audit_keeps)  # JSON's type
    return {"plan_hash": plan_hash, **{name: getattr(config, name) for name in _IDENTITY}, "audit_keeps": keeps}
