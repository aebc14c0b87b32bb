"""Configuration of one stage of training, read from YAML files with single values changed from the command line."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from networks.layers.computing import Precision
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.records.parsing import check_choices, parse_record, plain_table
from pipeline.stream import MixtureConfig, StreamConfig
from trainer.data import parse_data_config
from trainer.data.config import DataConfig, with_recorded_fit
from trainer.families import LossSettings, family_of
from trainer.loop.optimisation import OptimiserSettings
from trainer.loop.validation import ValidationSettings, parse_validation

SHIPPED = Path(__file__).parents[2] / "configs"  # beside our packages, in a checkout and where a wheel was installed
_SINCE_THEN = {"accumulate": 1}  # what a run did before there was the setting
_DATA_SINCE_THEN = {"max_images": None, "queries": "first", "one_pseudo_part_per_batch": False}
FILLED_IN = ("fit", "on_error", "split", "num_frames")  # by `parse_data_config`, in other ways than StreamConfig would


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSettings:
    """The network, and the weights that it begins from."""

    name: str = "trajvg"  # one that a family trains, such as trajvg, pi3, track4world, cotracker3-online
    config: Mapping[str, Any] = field(default_factory=dict)  # sizes by section; what is left out has the public checkpoint's size
    # weights to begin from (path, URL, hf://org/repo/file), of this or a smaller model; None: fresh. A YAML file may list them by name
    start: str | None = None
    start_sha256: str | None = None  # refuse any other file


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSettings:
    """Times at which the run is saved."""

    every_steps: int = 1000  # and at the end
    keep: int = 3  # newest checkpoints that stay

    def __post_init__(self) -> None:
        if min(self.every_steps, self.keep) < 1:
            raise ConfigError(f"every_steps is {self.every_steps}, keep {self.keep}; expected both 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class WandbSettings:
    """A run of Weights & Biases. It goes on as the same one when training resumes."""

    project: str
    entity: str | None = None  # user or team; None: the account's default
    name: str | None = None  # None: chosen by the service
    group: str | None = None
    tags: tuple[str, ...] = ()
    mode: Literal["online", "offline", "disabled"] | None = None  # None: as the variable WANDB_MODE says, else online

    def __post_init__(self) -> None:
        check_choices(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """Logs beside the losses of every step, which are in OUT/losses in any case."""

    every_steps: int = 10  # between lines of progress, and points of curves
    pictures_every_steps: int = 500  # between pictures
    tensorboard: bool | None = None  # write OUT/tensorboard; null: if the extra `train` is installed and OUT is a local folder
    wandb: WandbSettings | None = None  # log to Weights & Biases; needs the extra `wandb`
    loggers: tuple[str, ...] = ()  # of one's own: "package.module:function", see trainer.loop.loggers
    peak_tflops: float | None = None  # of the device in this run's precision, which MFU is a share of; null: that of a known card

    def __post_init__(self) -> None:
        if min(self.every_steps, self.pictures_every_steps) < 1:
            raise ConfigError(f"every_steps is {self.every_steps}, pictures_every_steps {self.pictures_every_steps}; expected 1 or more")
        if self.peak_tflops is not None and not self.peak_tflops > 0:
            raise ConfigError(f"peak_tflops is {self.peak_tflops}, expected above 0, or null for that of a known card")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One stage of training."""

    out: str  # folder or URL of the run: configuration, losses, checkpoints
    steps: int
    data: DataConfig
    accumulate: int = 1  # batches of each process that make a step, whose clips count as those of one batch
    model: ModelSettings = ModelSettings()
    frozen: tuple[str, ...] = ()  # parts of the network that stay as they are, such as encoder, decoder
    losses: LossSettings | None = None  # of the model's family; None: its defaults, filled in when the configuration is made
    optimiser: OptimiserSettings = OptimiserSettings()
    loss_guard: float | None = 10.0  # a step whose loss is larger counts 0 [π³ code]
    precision: Precision = "float32"  # bfloat16: autocast of what the network does not keep in float32
    ema_decay: float | None = None  # keep an average of the weights too, each step counting 1 - ema_decay
    # processes per rank that decode and prepare clips ahead; null: the rank's CPUs but one; 0: none. What they give does not depend on it
    loader_workers: int | None = None
    seed: int = 0  # of fresh weights; data have their own
    checkpoints: CheckpointSettings = CheckpointSettings()
    validation: ValidationSettings | None = None  # on clips with truth while training; None: none
    logs: LogSettings = LogSettings()

    @property
    def loss_settings(self) -> LossSettings:
        """The losses, never None once the record is made."""
        assert self.losses is not None
        return self.losses

    def __post_init__(self) -> None:
        settings_type = family_of(self.model.name).settings_type
        if self.losses is None:
            object.__setattr__(self, "losses", settings_type())
        elif not isinstance(self.losses, settings_type):
            raise ConfigError(f"losses are {type(self.losses).__name__}, expected {settings_type.__name__}, of model {self.model.name}")
        if self.steps < 1 or min(self.seed, self.loader_workers or 0) < 0:
            raise ConfigError(f"steps is {self.steps}, seed {self.seed}, loader_workers {self.loader_workers}; expected 1, 0 and 0 or more")
        if self.accumulate < 1:
            raise ConfigError(f"accumulate is {self.accumulate}, expected 1 or more: batches that make a step")
        check_choices(self)
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise ConfigError(f"ema_decay is {self.ema_decay}, expected between 0 and 1, or null for no average")
        if self.loss_guard is not None and not self.loss_guard > 0:
            raise ConfigError(f"loss_guard is {self.loss_guard}, expected above 0, or null for none")


def read_config(path: str | os.PathLike[str], changes: Sequence[str] = ()) -> TrainConfig:
    """Read a stage of training.

    Args:
        path: of a YAML file, or the name of a shipped one, such as "tiny".
        changes: such as "steps=200" or "data.labelled.0.root=/data/studio": a place, and a value in YAML.
    Raises: ConfigError, naming the file, for anything that is not understood.
    """
    table = _load_yaml(find_config(path))
    for change in changes:
        _apply_change(table, change)
    try:
        _choose_start(table.get("model"))
        if "data" in table:
            table["data"] = parse_data_config(table["data"])
            if table.get("validation") is not None:
                table["validation"] = parse_validation(table["validation"], table["data"].shape.pixels[1])
        if table.get("losses") is not None:
            table["losses"] = parse_record(_loss_settings(table), table["losses"], "losses")
        return parse_record(TrainConfig, table, "")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _choose_start(model: object) -> None:
    """Of several `start` by the model's name, take the model's own, in place. Raises ConfigError where there is none."""
    if isinstance(model, dict) and isinstance(model.get("start"), dict):
        name, starts = model.get("name", ModelSettings().name), model["start"]
        if name not in starts:
            raise ConfigError(f"model.start has weights for {', '.join(map(str, starts))}, and model.name is {name}; add its own, or null")
        model["start"] = starts[name]


def find_config(given: str | os.PathLike[str]) -> Path:
    """The file of a configuration, by its path, or by its name where it is one that is shipped. Raises ConfigError, listing those."""
    path = Path(given)
    shipped = SHIPPED / f"{path.name.removesuffix('.yaml')}.yaml"
    if path.exists() and not path.is_dir():
        return path
    if path.name == str(given) and shipped.is_file():
        return shipped
    names = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.yaml") if "model" in _load_yaml(path)))
    raise ConfigError(f"there is no file {given}; give the path of a YAML file, or one of the shipped configurations: {names}")


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """The same stage with its local paths made absolute, for processes of another working directory; URLs stay."""
    start, validation = config.model.start, config.validation
    if validation is not None:
        parts = tuple(dataclasses.replace(part, root=storage.absolute(part.root)) for part in validation.parts)
        validation = dataclasses.replace(validation, parts=parts)
    return dataclasses.replace(
        config,
        out=storage.absolute(config.out),
        model=dataclasses.replace(config.model, start=None if start is None else storage.absolute(start)),
        validation=validation,
        data=dataclasses.replace(config.data, labelled=_absolute_roots(config.data.labelled), pseudo=_absolute_roots(config.data.pseudo)),
    )


def config_table(config: TrainConfig) -> dict[str, Any]:
    """The whole configuration as `read_config` understands it, defaults written out."""
    table = plain_table(config)
    table["data"] |= {name: _part_tables(getattr(config.data, name)) for name in ("labelled", "pseudo")}
    return table


def stored_config_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table that `config_table` of this or an earlier version gave, as this one gives it `with_absolute_paths`."""
    data, model = table["data"], table["model"]
    parts = {name: data[name] and [_stored_part(part) for part in data[name]] for name in ("labelled", "pseudo")}
    start = model["start"] and storage.absolute(model["start"])
    return {**_SINCE_THEN, **table, "data": {**_DATA_SINCE_THEN, **data, **parts}, "model": {**model, "start": start}}


def _stored_part(part: Mapping[str, Any]) -> dict[str, Any]:
    return {**with_recorded_fit(part), "root": storage.absolute(part["root"])}


def _absolute_roots(mixture: MixtureConfig | None) -> MixtureConfig | None:
    if mixture is None:
        return None
    parts = tuple((dataclasses.replace(part, root=storage.absolute(part.root)), weight) for part, weight in mixture.parts)
    return dataclasses.replace(mixture, parts=parts)


def _part_tables(mixture: MixtureConfig | None) -> list[dict[str, Any]] | None:
    """Tables of a mixture's parts: fields that differ from StreamConfig's defaults, and those that `parse_data_config` would fill in."""
    if mixture is None:
        return None
    plain = StreamConfig(root="")
    tables = []
    for part, weight in mixture.parts:
        names = [field.name for field in dataclasses.fields(part)]
        said = {name: getattr(part, name) for name in names if name in FILLED_IN or getattr(part, name) != getattr(plain, name)}
        tables.append({name: list(value) if isinstance(value, tuple) else value for name, value in said.items()} | {"weight": weight})
    return tables


def _loss_settings(table: dict[str, Any]) -> type:
    """Type of the `losses` section, by the model's family."""
    model = table.get("model")
    return family_of(str(model.get("name", ModelSettings().name)) if isinstance(model, dict) else ModelSettings().name).settings_type


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); give a YAML file, or the name of a shipped one such as tiny") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path} holds {table!r}, expected a table; see {SHIPPED}/tiny.yaml")
    return table


def _apply_change(table: dict[str, Any], change: str) -> None:
    place, equals, text = change.partition("=")
    names = place.split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {change}: expected NAME.NAME=VALUE")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change}: {text!r} is no YAML value") from error
    inner: Any = table
    for name in names[:-1]:
        inner = _child(inner, name, change)
    if isinstance(inner, list):
        inner[_list_index(inner, names[-1], change)] = value
    elif isinstance(inner, dict):
        inner[names[-1]] = value
    else:
        raise ConfigError(f"--set {change}: {'.'.join(names[:-1])} is {inner!r}, which has no {names[-1]}")


def _child(inner: Any, name: str, change: str) -> Any:
    if isinstance(inner, list):
        return inner[_list_index(inner, name, change)]
    if not isinstance(inner, dict):
        raise ConfigError(f"--set {change}: {inner!r} has no {name}")
    if inner.get(name) is None:
        inner[name] = {}
    return inner[name]


def _list_index(inner: list[Any], name: str, change: str) -> int:
    if not name.isdigit() or int(name) >= len(inner):
        raise ConfigError(f"--set {change}: {name} is no entry of a list of {len(inner)}; they are counted from 0")
    return int(name)
