"""Base class of the registry's networks: a configuration, and fresh weights drawn from a generator."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import nn

from networks.layers.initialisation import fill_weights
from pipeline.records.parsing import parse_record, plain_table

Shapes = Mapping[str, tuple[int, ...]]  # of a state_dict's entries


class Network(nn.Module, ABC):
    """A network that `build_model` knows by a name. A subclass builds its parts from a record of its configuration's type."""

    config_type: ClassVar[type]
    config: Any

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def build(cls, config: Mapping[str, Any] | None, generator: torch.Generator | None) -> Self:
        """Build one with fresh weights, see `networks.build_model`."""
        device = torch.get_default_device()
        with torch.device("meta"):
            model = cls(cls.parse_config(config))
        if device.type == "meta":
            return model
        model.allocate(device)
        model.initialise(torch.Generator().manual_seed(0) if generator is None else generator)
        return model

    @classmethod
    def parse_config(cls, table: Mapping[str, Any] | None) -> Any:
        """Read a configuration from plain values; names that begin with "_" are remarks. None is the public checkpoint's.

        Raises: ConfigError for an unknown name or a value of another kind.
        """
        given = {name: value for name, value in table.items() if not str(name).startswith("_")} if isinstance(table, Mapping) else table
        return parse_record(cls.config_type, {} if given is None else given, "model")

    @classmethod
    def config_of(cls, shapes: Shapes) -> dict[str, Any]:
        """Configuration of a public file by its entries' shapes; empty where all public files have the default sizes."""
        return {}

    def aliases(self) -> dict[str, str]:
        """Entries of the state_dict that are another name of an earlier one: second name to first."""
        first: dict[int, str] = {}
        names: dict[str, str] = {}
        for name, parameter in self.named_parameters(remove_duplicate=False):
            if first.setdefault(id(parameter), name) != name:
                names[name] = first[id(parameter)]
        return names

    def allocate(self, device: torch.device) -> None:
        """Give a network that was built on "meta" uninitialised memory on a device.

        As `to_empty`, whose `empty_like` of a "meta" tensor imports sympy: a second of CPU in every process that builds a network.
        """
        self._apply(lambda entry: torch.empty_strided(entry.shape, entry.stride(), dtype=entry.dtype, device=device))

    def unread(self, names: Collection[str]) -> frozenset[str]:
        """Those of a file's entries that this network leaves out by its configuration; all others must be its own."""
        return frozenset()

    def part_of(self, name: str) -> "tuple[str, Network] | None":
        """Prefix and network of a part that is a network of the registry by itself, of this name; None where there is none."""
        return None

    def initialise(self, generator: torch.Generator) -> None:
        """Overwrite every entry: weights by `fill_weights`, and the buffers that are no weights.

        Args:
            generator: on the CPU, so that every device gets the same weights.
        """
        fill_weights(self, generator)
        with torch.no_grad():
            self.fill_constants()

    @abstractmethod
    def fill_constants(self) -> None:
        """Write the buffers whose values the architecture fixes."""

    def sizes(self) -> dict[str, Any]:
        """The configuration as plain values that `build_model` takes, less the section `computing`, which changes no result."""
        return {name: value for name, value in plain_table(self.config).items() if name != "computing"}
