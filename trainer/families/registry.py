"""From a network's name to the family that trains it."""

import importlib

from pipeline.errors import ConfigError
from trainer.families.protocol import Family

# network's name -> "module:class", imported when it is asked for
FAMILIES = {
    "pi3": "trainer.families.pi3.family:Pi3Family",
    "pi3x": "trainer.families.pi3.family:Pi3Family",
    "trajvg": "trainer.families.trajvg.family:TrajVGFamily",
}


def family_of(network: str) -> Family:
    """The family of a network that `networks.build_model` knows by this name. Raises: ConfigError for one without a family."""
    if network not in FAMILIES:
        raise ConfigError(f"model {network!r} cannot be trained; models that can are {', '.join(sorted(FAMILIES))}")
    module, _, name = FAMILIES[network].partition(":")
    family: Family = getattr(importlib.import_module(module), name)()
    return family
