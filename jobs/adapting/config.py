"""All that jobs/adapt.py is asked for, and the stage of training that it makes of it: what can be refused is refused here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.devices import choose_device
from jobs.running.chain import CUTTING, JUDGING, RunConfig
from networks.weights import WeightFile
from networks.weights.fitting import describe_weights, share_config_type
from networks.weights.saving import Description
from pipeline.errors import ConfigError
from trainer.families.st4rtrack import St4RTrackLosses
from trainer.loop import TrainConfig, read_config

STAGE = "st4rtrack_adapt"
ENCODER = ("mask_token", "patch_embed", "enc_blocks")  # all that stays as it is where both branches adapt
DEPTH_TERM = "losses.adaptation.depth"
_MOST_STEPS_LOST = 0.1  # of a short run, when it is killed
AdaptName = Literal["tracking", "all"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthChoice:
    """Depth labels of an adaptation: by a labeler, or of a label set that is there; neither of them: none."""

    labeler: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # of the labeler
    label_set: str | None = None

    def __post_init__(self) -> None:
        if self.labeler is not None and self.label_set is not None:
            raise ConfigError("--depth-labeler makes depth labels, and --depth-labels names some that are there; give one of them")
        if self.options and self.labeler is None:
            raise ConfigError(f"--depth-checkpoint and --depth-option ({', '.join(self.options)}) are a labeler's: name --depth-labeler")

    @property
    def given(self) -> bool:
        """Whether there are to be any."""
        return self.labeler is not None or self.label_set is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptConfig:
    """All that jobs/adapt.py is asked for."""

    run: RunConfig  # from videos to audited tracks; without inputs, of a root that is there
    checkpoint: str  # weights to adapt
    out: str  # folder of checkpoints, losses and results
    stage: str = STAGE  # configuration of the training: a file, or the name of a shipped one
    changes: tuple[str, ...] = ()  # in it, as `read_config` takes them
    steps: int | None = None  # None: as the configuration says
    adapt: AdaptName | None = None  # None: as the configuration says
    depth: DepthChoice = DepthChoice()
    audit: str | None = None  # of a root that is there, instead of labelling and judging tracks
    gated: bool = True  # go no further where the audit's gate says no
    device: str = "auto"
    infer_videos: int = 4  # at most, of the root's
    infer_frames: int | None = None  # of each video, at most

    def __post_init__(self) -> None:
        if self.run.inputs and (self.audit or self.depth.label_set):
            named = "--audit" if self.audit else "--depth-labels"
            raise ConfigError(f"{named} names labels of a root that is there, and videos would add clips without: leave the videos away")
        for name, option in (("out", "--out"), ("model.start", "--checkpoint")):
            if any(change.partition("=")[0] == name for change in self.changes):
                raise ConfigError(f"--set {name}: it is given by {option}")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"--steps is {self.steps}, expected 1 or more")
        if self.infer_videos < 0:
            raise ConfigError(f"--infer-videos is {self.infer_videos}, expected 0 (none) or more")
        if self.infer_frames is not None and self.infer_frames < 1:
            raise ConfigError(f"--infer-frames is {self.infer_frames}, expected 1 or more")

    @property
    def num_steps(self) -> int:
        """Steps of the chain that are said: those of a run, depth, training, inference."""
        judging = 0 if self.audit else JUDGING + (CUTTING if self.run.inputs else 0)
        return judging + (self.depth.labeler is not None) + 1 + (self.infer_videos > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clips:
    """Labelled clips that an adaptation learns from."""

    audit: str
    depth: str | None = None  # label set
    aspects: tuple[float, float] | None = None  # least and most W / H; None: as the configuration says


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A file of weights to begin from, as known while it is not in memory."""

    sha256: str
    described: Description  # network, sizes and licence

    @classmethod
    def of(cls, file: WeightFile) -> "Start":
        """Of a file that was read. Raises: ConfigError for weights of no network of ours."""
        return cls(sha256=file.sha256, described=describe_weights(file))


UNMADE = Clips(audit="AUDIT")  # stands for labels that are not there yet


def make_stage(config: AdaptConfig, clips: Clips, start: Start) -> TrainConfig:
    """The stage of training: the configuration, with weights, clips and folder of this adaptation; `--set` has the last word.

    Raises: ConfigError for what the configuration does not take; if it teaches nothing about clips without truth, or is not of St4RTrack's
        family; and if depth labels are missing that count, or given and not read.
    """
    ours = _of_this_adaptation(config, clips, start)
    base = _read(config, ours)
    if config.stage == STAGE:
        ours |= _of_this_machine(config, base, clips)
    if not _reads_depth(config, base):
        ours[DEPTH_TERM] = 0.0
    return _read(config, ours)


def moves_no_reconstruction(stage: TrainConfig) -> bool:
    """Whether the reconstruction of a stage is held as it was, so that a depth term has no gradient."""
    losses = stage.loss_settings
    return isinstance(losses, St4RTrackLosses) and losses.adaptation_settings.adapt == "tracking"


def kept_weights(config: AdaptConfig, stage: TrainConfig) -> str | None:
    """Weights of the reconstruction beside the adapted ones; None where it adapts too."""
    return config.checkpoint if moves_no_reconstruction(stage) else None


def _of_this_adaptation(config: AdaptConfig, clips: Clips, start: Start) -> dict[str, Any]:
    part = {"root": config.run.root, "audit": clips.audit, "split": None, **({} if clips.depth is None else {"labels": [clips.depth]})}
    found: dict[str, Any] = {
        "out": config.out,
        "model.start": config.checkpoint,
        "model.start_sha256": start.sha256,
        "data.labelled": None,
        "data.pseudo": [part],
    }
    if share_config_type(start.described.model, "st4rtrack"):  # linear heads are refused by their entries, which says more
        found |= {f"model.config.{name}": value for name, value in start.described.config.items() if name != "head_type"}
    if config.steps is not None:
        found["steps"] = config.steps
    if config.adapt is not None:
        found["losses.adaptation_settings.adapt"] = config.adapt
    if config.adapt == "all":
        found["frozen"] = list(ENCODER)
    return found


def _of_this_machine(config: AdaptConfig, base: TrainConfig, clips: Clips) -> dict[str, Any]:
    """Changes of the shipped configuration, which is that of the authors' four GPUs and of clips of 512x288; one of one's own is kept."""
    found: dict[str, Any] = {
        "checkpoints.every_steps": min(base.checkpoints.every_steps, max(1, int(base.steps * _MOST_STEPS_LOST))),
        "logs.every_steps": min(base.logs.every_steps, max(1, int(base.steps * _MOST_STEPS_LOST))),
    }
    if choose_device(config.device).type == "cpu":
        found["precision"] = "float32"
    if clips.aspects is not None:
        found["data.shape.aspect"] = list(clips.aspects)
    return found


def _read(config: AdaptConfig, ours: Mapping[str, Any]) -> TrainConfig:
    stage = read_config(config.stage, [*(f"{name}={json.dumps(value)}" for name, value in ours.items()), *config.changes])
    losses = stage.loss_settings
    if not isinstance(losses, St4RTrackLosses):
        raise ConfigError(f"{config.stage} trains {stage.model.name}; jobs/adapt.py adapts st4rtrack, as the configuration {STAGE} does")
    if not losses.learns_from_pseudo_labels:
        raise ConfigError(f"{config.stage}: losses.adaptation teaches nothing; give one of its terms a weight above 0, or take {STAGE}")
    return stage


def _depth(stage: TrainConfig) -> float:
    losses = stage.loss_settings
    assert isinstance(losses, St4RTrackLosses), "checked when the configuration was read"
    return 0.0 if losses.adaptation is None else losses.adaptation.depth


def _reads_depth(config: AdaptConfig, stage: TrainConfig) -> bool:
    """Whether the depth term stays. Where only tracks adapt, it has no gradient: without labels it can go."""
    weight = _depth(stage)
    if config.depth.given:
        if weight == 0:
            raise ConfigError(f"depth labels are asked for, and {DEPTH_TERM} is 0: leave one of them away")
        return True
    if weight == 0 or moves_no_reconstruction(stage):
        return False
    raise ConfigError(
        f"adapt: all moves the reconstruction, which depth labels hold ({DEPTH_TERM} is {weight:g}), and there are none: give"
        " --depth-labeler, or --depth-labels of a root that has some; or do without by"
        f" --set {DEPTH_TERM}=0, or by --adapt tracking, which needs none"
    )
