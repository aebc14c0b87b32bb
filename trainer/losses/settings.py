"""Numbers and weights of π³'s supervised losses, which several families take [π³ code], and checks for such records."""

import math
from dataclasses import dataclass, fields

from pipeline.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometrySettings:
    """π³'s losses [π³ code]."""

    solver_points: int = 4096  # pixels of a clip that its scale is solved on
    nearest_depth: float = 0.1  # of the frame's mean depth: nearer points weigh no more
    huber: float = 0.1  # of translations
    translation_weight: float = 100.0  # against the rotation's radians, inside the camera loss
    depth_edge: float = 0.03  # relative step of depth within 3 x 3 pixels that no normal is taken across
    confident_below: float = 0.02  # weighted error of a point that counts as right

    def __post_init__(self) -> None:
        for name in self.__slots__:
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, slots=True)
class GeometryWeights:
    """Weights of π³'s losses [π³ code]."""

    points: float = 1.0
    normals: float = 1.0
    camera: float = 0.1
    confidence: float = 0.05  # 0: the network does not compute confidence

    def __post_init__(self) -> None:
        check_weights(self)


def check_positive(name: str, value: float) -> None:
    """Raises: ConfigError unless the value is above 0 and finite."""
    if not 0 < value < math.inf:
        raise ConfigError(f"{name} is {value}, expected more than 0")


def check_weights(weights: object) -> None:
    """Raises: ConfigError unless every field of a record of weights is finite and not negative."""
    for name, value in weights_of(weights).items():
        if not 0 <= value < math.inf:
            raise ConfigError(f"weight of {name} is {value}, expected 0 or more")


def weights_of(weights: object) -> dict[str, float]:
    """Weights by the name of their term; none of None."""
    return {} if weights is None else {field.name: getattr(weights, field.name) for field in fields(weights)}  # type: ignore[arg-type]


def any_weight(weights: object) -> bool:
    """Whether a record of weights, or None, takes any of its losses."""
    return any(value > 0 for value in weights_of(weights).values())
