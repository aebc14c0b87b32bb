"""The two domains of synthetic clips: their worlds, and the ranges of their cameras and recordings. Data only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import ConfigError
from pipeline.synthetic.scene import Light
from pipeline.synthetic.worlds.materials import STUDIO_LOOKS, WILD_LOOKS, Look

Range = tuple[float, float]  # drawn evenly from low to high


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Ranges of the camera's effects on the picture, drawn once per clip."""

    fps: tuple[float, ...]
    horizontal_fov_deg: Range
    shake_deg: Range
    shake_m: Range
    speed: Range
    shutter: Range
    lens_blur_px: Range
    vignette: Range
    shot_noise: Range
    read_noise: Range
    saturation: Range
    contrast: Range
    exposure: Range
    exposure_drift: Range  # standard deviation over time, in stops
    tint: Range  # standard deviation of the white balance, in stops per channel
    jpeg_quality: Range | None  # None: no compression before the shard's own
    compressed_share: float = 0.0  # of the clips
    detail: Range = (1.0, 1.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Domain:
    """One look at the world."""

    name: str
    truth_for: Literal["training", "evaluation"]
    looks: Mapping[str, Sequence[Look]]
    worlds: Mapping[str, float]  # kind -> weight
    cameras: Mapping[str, float]
    movers: Mapping[str, float]
    num_movers: tuple[int, int]
    skies: Sequence[Light]
    lamps: Sequence[Light]  # of rooms
    key_drift: Range  # how much sun or lamp change over time, as a share
    recording: Recording


_STUDIO = Domain(
    name="studio",
    truth_for="training",
    looks=STUDIO_LOOKS,
    worlds={"room": 1.0, "street": 1.0, "terrain": 1.0},
    cameras={"walk": 0.3, "orbit": 0.4, "drive": 0.1, "pan": 0.2},
    movers={"ball": 1.0, "crate": 0.8, "tumbler": 1.0, "drone": 0.8, "person": 1.0, "car": 0.8, "blob": 0.8, "worm": 0.4, "flag": 0.6},
    num_movers=(2, 4),
    skies=(
        Light(to_sun=(0.5, -0.5, 1.2), clouds="clouds", weathering="weathering"),
        Light(to_sun=(-0.7, -0.2, 1.0), sun=(1.25, 1.16, 1.0), clouds="clouds", weathering="weathering"),
        Light(to_sun=(0.2, 0.6, 1.4), sun=(1.2, 1.15, 1.05), zenith=(0.20, 0.36, 0.70), weathering="weathering"),
    ),
    lamps=(
        Light(
            to_sun=(0, 0, 1), sun=(1.1, 1.05, 0.97), zenith=(0.8, 0.8, 0.8), horizon=(0.75, 0.75, 0.75), bounce=(0.5, 0.5, 0.5), haze_m=1e4
        ),
        Light(
            to_sun=(0, 0, 1), sun=(1.3, 1.2, 1.05), zenith=(0.62, 0.66, 0.7), horizon=(0.6, 0.6, 0.62), bounce=(0.4, 0.4, 0.4), haze_m=1e4
        ),
    ),
    key_drift=(0.0, 0.05),
    recording=Recording(
        fps=(12.0,),
        horizontal_fov_deg=(55, 72),
        shake_deg=(0.05, 0.3),
        shake_m=(0.002, 0.01),
        speed=(0.7, 1.1),
        shutter=(0.0, 0.25),
        lens_blur_px=(0.0, 0.0),
        vignette=(0.0, 0.1),
        shot_noise=(0.002, 0.008),
        read_noise=(0.0005, 0.002),
        saturation=(0.95, 1.1),
        contrast=(0.98, 1.05),
        exposure=(0.9, 1.15),
        exposure_drift=(0.0, 0.03),
        tint=(0.0, 0.02),
        jpeg_quality=None,
    ),
)

_WILD = Domain(
    name="wild",
    truth_for="evaluation",
    looks=WILD_LOOKS,
    worlds={"room": 0.7, "street": 1.0, "terrain": 1.4},
    cameras={"walk": 0.4, "drive": 0.2, "pan": 0.25, "orbit": 0.15},
    movers={"person": 1.4, "worm": 1.0, "flag": 1.0, "blob": 0.8, "ball": 0.5, "tumbler": 0.6, "car": 0.7, "drone": 0.4},
    num_movers=(3, 6),
    skies=(
        Light(  # low sun
            to_sun=(-0.9, 0.7, 0.45),
            sun=(1.5, 0.85, 0.42),
            zenith=(0.16, 0.20, 0.36),
            horizon=(0.72, 0.46, 0.30),
            bounce=(0.16, 0.12, 0.10),
            haze_m=120,
            clouds="clouds",
            weathering="weathering",
        ),
        Light(  # overcast
            to_sun=(0.3, -0.4, 1.5),
            sun=(0.12, 0.12, 0.13),
            zenith=(0.52, 0.55, 0.60),
            horizon=(0.62, 0.64, 0.66),
            bounce=(0.20, 0.20, 0.19),
            haze_m=150,
            clouds="clouds",
            weathering="weathering",
        ),
        Light(  # fog
            to_sun=(0.4, 0.3, 1.0),
            sun=(0.20, 0.20, 0.19),
            zenith=(0.55, 0.56, 0.57),
            horizon=(0.60, 0.61, 0.62),
            bounce=(0.25, 0.25, 0.25),
            haze_m=26,
            weathering="weathering",
        ),
        Light(  # harsh noon
            to_sun=(0.25, 0.1, 1.0),
            sun=(1.9, 1.8, 1.55),
            zenith=(0.10, 0.22, 0.52),
            horizon=(0.48, 0.55, 0.62),
            bounce=(0.32, 0.27, 0.20),
            haze_m=400,
            weathering="weathering",
        ),
        Light(  # moonlight
            to_sun=(-0.4, -0.6, 0.9),
            sun=(0.45, 0.52, 0.72),
            zenith=(0.06, 0.09, 0.18),
            horizon=(0.12, 0.16, 0.26),
            bounce=(0.06, 0.06, 0.09),
            haze_m=90,
            weathering="weathering",
        ),
    ),
    lamps=(
        Light(
            to_sun=(0, 0, 1),
            sun=(1.5, 0.95, 0.5),
            zenith=(0.16, 0.14, 0.12),
            horizon=(0.18, 0.15, 0.12),
            bounce=(0.12, 0.09, 0.06),
            haze_m=60,
        ),
        Light(
            to_sun=(0, 0, 1), sun=(0.7, 0.9, 0.95), zenith=(0.2, 0.26, 0.28), horizon=(0.2, 0.25, 0.27), bounce=(0.1, 0.13, 0.13), haze_m=60
        ),
    ),
    key_drift=(0.08, 0.3),
    recording=Recording(
        fps=(8.0, 10.0, 12.0),
        horizontal_fov_deg=(48, 92),
        shake_deg=(0.5, 1.6),
        shake_m=(0.01, 0.04),
        speed=(0.9, 1.8),
        shutter=(0.2, 0.6),
        lens_blur_px=(0.0, 0.5),
        vignette=(0.15, 0.5),
        shot_noise=(0.015, 0.05),
        read_noise=(0.003, 0.012),
        saturation=(0.6, 0.95),
        contrast=(0.85, 1.15),
        exposure=(0.9, 1.7),
        exposure_drift=(0.05, 0.2),
        tint=(0.04, 0.12),
        jpeg_quality=(25, 70),
        compressed_share=0.7,
        detail=(0.65, 1.0),
    ),
)
DOMAINS = {"studio": _STUDIO, "wild": _WILD}


def domain_named(name: str) -> Domain:
    """A domain by its name. Raises: ConfigError for an unknown one."""
    if name not in DOMAINS:
        raise ConfigError(f"unknown domain {name!r}; known are {', '.join(DOMAINS)}")
    return DOMAINS[name]
