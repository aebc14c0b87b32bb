"""Configuration of the training batches, and how it is read from plain tables (YAML, JSON)."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices, parse_record, parse_value
from pipeline.stream import MixtureConfig, StreamConfig

_log = logging.getLogger(__name__)
_SET_BY_LOADER = ("rank", "world_size", "epochs", "evaluation_truth", "arrays")  # by the loader, not by the part
# One bad clip must not end a run of days; clips held out for validation and test are not for training; a window lies within 48 frames.
_PART_DEFAULTS = {"on_error": "skip", "split": "train", "num_frames": 48}


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeConfig:
    """Length and size of a step's clips, drawn anew for each step; π³ trains with 2 to 24 frames and aspects of 0.5 to 2."""

    frames: tuple[int, int] = (2, 24)  # T, uniform between the two
    pixels: tuple[int, int] = (100_000, 255_000)  # H W, uniform between the two; the upper one is never exceeded
    aspect: tuple[float, float] = (0.5, 2.0)  # W / H, uniform in its logarithm; sides are rounded to multiples of the network's patch

    def __post_init__(self) -> None:
        for name, least in (("frames", 1), ("pixels", 1), ("aspect", 0.01)):
            bounds = getattr(self, name)
            if len(bounds) != 2 or not least <= bounds[0] <= bounds[1] < math.inf:
                raise ConfigError(f"{name} is {bounds}, expected (least, most) of at least {least}")
            object.__setattr__(self, name, tuple(bounds))


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """Augmentation of a clip, one draw for all its frames; tracks, cameras and depth are changed with the pixels. All ours."""

    strides: tuple[int, int] = (1, 1)  # delivered frames from one frame to the next; smaller where the clip is too short
    reverse: bool = True  # windows may run backwards in time
    crop_side: tuple[float, float] = (0.8, 1.0)  # side of the crop, as a share of the largest that has the step's aspect
    mirror: float = 0.5  # share of the clips that are mirrored left to right, the world with them
    brightness: float = 0.2  # largest relative change
    contrast: float = 0.2  # largest relative change, about mid grey
    saturation: float = 0.2  # largest relative change
    hue_degrees: float = 10.0  # largest turn about the grey axis

    def __post_init__(self) -> None:
        for name, least, most in (("strides", 1, math.inf), ("crop_side", 0.05, 1.0)):
            bounds = getattr(self, name)
            if len(bounds) != 2 or not least <= bounds[0] <= bounds[1] <= most:
                raise ConfigError(f"{name} is {bounds}, expected (least, most) within [{least}, {most}]")
            object.__setattr__(self, name, tuple(bounds))
        for name, most in {"mirror": 1.0, "brightness": 0.9, "contrast": 0.9, "saturation": 1.0, "hue_degrees": 180.0}.items():
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 to {most:g}")


AS_STORED = AugmentConfig(reverse=False, crop_side=(1.0, 1.0), mirror=0.0, brightness=0.0, contrast=0.0, saturation=0.0, hue_degrees=0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Clips with truth, clips with pseudo tracks, or both. Several label sets of one root are parts of `pseudo`, each with a `name`.

    Ranks are set where the batches are read. `num_frames` of a part bounds what is read of a clip; the step's window lies within it.
    """

    labelled: MixtureConfig | None = None  # datasets with cameras, depth and true tracks
    pseudo: MixtureConfig | None = None  # label sets, with or without audit; their truth, if any, is left on disk
    labelled_clips: int = 3  # per batch and rank; ours: three to one
    pseudo_clips: int = 1
    max_images: int | None = None  # clips x frames of a batch and rank: as many clips as it holds, in the ratio above; None: as said above
    one_pseudo_part_per_batch: bool = False  # all pseudo clips of a batch are of one part, drawn by weight: one teacher at a time
    num_tracks: int = 256  # N; ours
    # first: tracks seen in a window's first frame, asked there. own: each asked where its label set asked it (a true one where it is first
    # seen), in frames that are in order, for models that know the order
    queries: Literal["first", "own"] = "first"
    shape: ShapeConfig = ShapeConfig()
    augment: AugmentConfig = AugmentConfig()
    without_normals: tuple[str, ...] = ()  # datasets whose depth is too coarse for normals
    seed: int = 0  # of shapes, windows, tracks and changes; each mixture has its own for its order

    def __post_init__(self) -> None:
        check_choices(self)
        if self.one_pseudo_part_per_batch and self.max_images is not None:
            raise ConfigError("one_pseudo_part_per_batch needs batches of as many clips as the one before; leave max_images out")
        if self.labelled is None and self.pseudo is None:
            raise ConfigError("neither labelled nor pseudo; name at least one mixture")
        if self.labelled_clips < 1 or self.pseudo_clips < 1 or self.num_tracks < 1 or self.seed < 0:
            raise ConfigError(
                f"labelled_clips {self.labelled_clips}, pseudo_clips {self.pseudo_clips}, num_tracks {self.num_tracks}, seed"
                f" {self.seed}; expected at least 1, 1, 1 and 0; to do without one side leave its mixture out"
            )
        if self.max_images is not None and self.max_images < self.shape.frames[1]:
            raise ConfigError(
                f"max_images is {self.max_images}, and shape.frames allows {self.shape.frames[1]}; raise the one, or lower the other"
            )
        for part, _ in self.labelled.parts if self.labelled else ():
            _check_labelled(part)
            _check_fit(part)
        for part, _ in self.pseudo.parts if self.pseudo else ():
            if part.labels is None and part.audit is None:
                raise ConfigError(f"pseudo part {part.dataset} names no labels; set labels (jobs/pseudolabel.py) or audit")
            _check_fit(part)
        unknown = set(self.without_normals) - set(self.labelled.names if self.labelled else ())
        if unknown:
            raise ConfigError(f"without_normals names {sorted(unknown)[0]!r}, which is no labelled part")


def _check_labelled(part: StreamConfig) -> None:
    if part.labels is not None or part.audit is not None or not part.arrays:
        raise ConfigError(
            f"labelled part {part.dataset} names labels, an audit or arrays=False; true tracks, cameras and depth are what it is for:"
            " leave them out, or make it a part of pseudo"
        )


def _check_fit(part: StreamConfig) -> None:
    if part.fit == "pad" and part.size is not None:
        raise ConfigError(
            f"part {part.dataset} pads its clips (fit), and a step would cut images from picture and margin alike; set fit to crop, or"
            " leave size out: a step cuts images of its own proportions from whole clips"
        )


def parse_data_config(table: Mapping[str, Any]) -> DataConfig:
    """Read the table of a DataConfig.

    `labelled` and `pseudo` are lists of parts: `root`, `weight` (1 if left out) and fields of StreamConfig. Of a part that does not say
    otherwise come clips of the split train, up to 48 frames of each, and clips that cannot be used are skipped.
    A part with a size and without a fit is from before there was a choice: it stretches.

    Args:
        table: field -> value; `shape` and `augment` are tables of their own.
    Raises: ConfigError for an unknown name, or a value out of range.
    """
    if isinstance(table, Mapping):
        seed = parse_value(int, table.get("seed", 0), "data.seed")
        parts = {name: table.get(name) for name in ("labelled", "pseudo")}
        table = {**table, **{name: _parse_mixture(listed, f"data.{name}", seed=seed) if listed else None for name, listed in parts.items()}}
    return parse_record(DataConfig, table, "data")


def _parse_mixture(parts: object, where: str, *, seed: int) -> MixtureConfig:
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        raise ConfigError(f"{where} is {parts!r}, expected a list of parts, each with a root")
    return MixtureConfig(parts=tuple(_parse_part(part, f"{where}[{number}]") for number, part in enumerate(parts)), seed=seed)


def _parse_part(table: object, where: str) -> tuple[StreamConfig, float]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is {table!r}, expected a table with at least a root")
    values = {name: value for name, value in table.items() if name != "weight"}
    foreign = [name for name in _SET_BY_LOADER if name in values]
    if foreign:
        raise ConfigError(f"{where} sets {foreign[0]}, which is not a part's to set; leave it out")
    if values.get("size") is not None and "fit" not in values:
        _log.warning("%s: a size without a fit stretches clips, as it did before there was a choice; fit: crop keeps proportions", where)
    weight = parse_value(float, table.get("weight", 1.0), f"{where}.weight")
    return parse_record(StreamConfig, {**_PART_DEFAULTS, **with_recorded_fit(values)}, where), weight


def with_recorded_fit(part: Mapping[str, Any]) -> dict[str, Any]:
    """The table of a part with its `fit`, which tables from before there was a choice lack: with a size they stretched."""
    return {"fit": StreamConfig(root="").fit if part.get("size") is None else "stretch", **part}
