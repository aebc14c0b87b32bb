"""Base class of the two CoTracker3 labelers: options, weights, batches, the memory ladder, re-seeding."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from itertools import groupby
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch

from labelers.cotracker3.config import EngineConfig, Rung, first_that_fits, single_clip_rungs
from labelers.cotracker3.engine import RULES, CoTracker3Engine, VisibilityRule
from labelers.devices import torch_device
from labelers.options import check_choice
from labelers.parentage import inherited_license, parents_of
from labelers.protocol import LabelerProvenance
from labelers.reseeding import ReseedingRule, Track, grey_frames, reseed
from networks.cotracker3 import CoTracker3, compile_parts
from networks.layers.computing import Precision
from networks.weights import WeightFile, build_with_weights, read_description, read_weights
from pipeline.errors import ConfigError, MemoryExhausted
from pipeline.records import ClipFrames, TrackLabels

Variant = Literal["offline", "online"]
MACHINE = {"changes_labels": False}  # of options that say where and how fast, or that are recorded apart


@dataclass(frozen=True, kw_only=True)
class CoTracker3Labeler(ABC):
    """Options of both labelers; a subclass says how clips are tracked."""

    name: ClassVar[str]
    variant: ClassVar[Variant]

    checkpoint: str = field(metadata=MACHINE)  # path, URL or hf://; identified by its hash
    sha256: str | None = field(default=None, metadata=MACHINE)  # refuse a checkpoint of any other
    license: str | None = field(default=None, metadata=MACHINE)  # recorded beside the labels; None: those that the checkpoint names
    visibility_rule: VisibilityRule
    support_grid: int  # points per side of a grid on frame 0, tracked along for context
    backward: bool  # track the time-reversed clip for the frames before a query
    iterations: int = 6
    height: int | None = None  # the model's resolution; None becomes what the checkpoint says, of published ones 384 x 512
    width: int | None = None
    precision: Precision = field(default="float32", metadata=MACHINE)  # recorded apart
    compile: bool = False  # by torch.compile
    reseed_below: float = 0.0  # share of the clip's queries that must be visible, else new ones are added; 0: never
    reseed_every: int = 8  # frames between two checks
    reseed_limit: float = 4.0  # tracks at most, as a multiple of the clip's queries
    device: str = field(default="cpu", metadata=MACHINE)
    frames_at_once: int | None = field(default=None, metadata=MACHINE)  # through the encoder; None: what suits the device
    correlation_mb: float | None = field(default=None, metadata=MACHINE)  # working memory for correlations; None: likewise

    def __post_init__(self) -> None:
        check_choice("visibility_rule", self.visibility_rule, tuple(RULES))
        for name, side in zip(("height", "width"), self._loaded[1].model_resolution, strict=True):
            object.__setattr__(self, name, side)  # as it was asked for, or as the checkpoint says
        self._reseeding()
        self._engine_config()
        self._model  # noqa: B018  weights that do not load are an error now, not at the first clip

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Follow each clip's queries.

        On a GPU, clips of equal length with equally many queries share a batch. On the CPU, where a batch gains nothing, each clip is
        tracked alone, so that its labels are the same bytes in any company.
        """
        labelled: dict[int, TrackLabels] = {}
        for places in self._batches(clips):
            for place, labels in zip(places, self._label_batch([clips[place] for place in places]), strict=True):
                labelled[place] = labels
        return [labelled[place] for place in range(len(clips))]

    def provenance(self) -> LabelerProvenance:
        """Name, options, rule, and the checkpoint's hash and licence."""
        return LabelerProvenance(
            name=self.name,
            options=self._options(),
            visibility_rule=f"{RULES[self.visibility_rule]}; visible at the query itself; {self._describe_earlier_frames()}",
            checkpoint=self._weights.source,
            checkpoint_sha256=self._weights.sha256,
            precision=self.precision,
            versions={"numpy": np.__version__, "torch": torch.__version__},
            license=self._loaded[2],
            parents=parents_of(self._weights),
        )

    @abstractmethod
    def _trackers(self, engine: CoTracker3Engine, clips: Sequence[ClipFrames]) -> tuple[list[TrackLabels], Sequence[Track]]:
        """Labels of clips that share a batch, and for each clip a way to track more queries."""

    @abstractmethod
    def _describe_earlier_frames(self) -> str:
        """The content of frames before a query, in words, for provenance."""

    def _batches(self, clips: Sequence[ClipFrames]) -> Iterator[list[int]]:
        if self._model.device.type == "cpu":
            yield from ([place] for place in range(len(clips)))
            return

        def size(place: int) -> tuple[int, int]:
            return clips[place].reader.shape[0], len(clips[place].queries)

        for _, places in groupby(sorted(range(len(clips)), key=size), key=size):
            yield list(places)

    def _label_batch(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Clips in one batch; where memory does not allow it, one by one down the ladder."""
        together = Rung(config=self._engine_config())
        if len(clips) == 1:
            return self._label_within_memory((together, *single_clip_rungs(together.config)), clips[0])
        try:
            return first_that_fits([together], lambda rung: self._label_on(rung, clips), what="batch")
        except MemoryExhausted:
            pass
        return [labels for clip in clips for labels in self._label_within_memory(single_clip_rungs(together.config), clip)]

    def _label_within_memory(self, rungs: Sequence[Rung], clip: ClipFrames) -> list[TrackLabels]:
        return first_that_fits(rungs, lambda rung: self._label_on(rung, [clip]), what=f"clip {clip.key}")

    def _label_on(self, rung: Rung, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        if not len(clips[0].queries):  # nor do the others have any
            return [_no_tracks(clip) for clip in clips]
        labels, trackers = self._trackers(CoTracker3Engine(self._model, rung.config), clips)
        labels = [self._reseed(*one) for one in zip(clips, labels, trackers, strict=True)]
        return [replace(one, degraded=rung.note) for one in labels]

    def _reseed(self, clip: ClipFrames, labels: TrackLabels, track: Track) -> TrackLabels:
        rule = self._reseeding()
        if rule.below == 0:
            return labels
        return reseed(labels, rule, track=track, grey=grey_frames(clip, every=rule.every), key=clip.key)

    def _reseeding(self) -> ReseedingRule:
        return ReseedingRule(below=self.reseed_below, every=self.reseed_every, limit=self.reseed_limit)

    def _engine_config(self) -> EngineConfig:
        asked = {"frames_at_once": self.frames_at_once, "correlation_mb": self.correlation_mb}
        return EngineConfig.for_device(
            torch_device(self.device).type,
            iterations=self.iterations,
            support_grid=self.support_grid,
            precision=self.precision,
            **{name: value for name, value in asked.items() if value is not None},
        )

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(self) if option.metadata.get("changes_labels", True)}

    @property
    def _weights(self) -> WeightFile:
        return self._loaded[0]

    @property
    def _model(self) -> CoTracker3:
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[WeightFile, CoTracker3, str | None]:
        """The file, without its tensors, the network, and the licence."""
        device = torch_device(self.device)
        file = read_weights(self.checkpoint, sha256=self.sha256)
        license = inherited_license(file) if self.license is None else self.license
        with device:
            model = cast(CoTracker3, build_with_weights(f"cotracker3-{self.variant}", self._sizes(file), file, license=license))
        if self.compile:
            compile_parts(model)
        return replace(file, tensors={}), model.requires_grad_(False), license

    def _sizes(self, file: WeightFile) -> dict[str, Any]:
        """Sizes of the network: those in the file's header, of a published file the public ones; at the resolution that was asked for.

        Raises: ConfigError for a file of another network.
        """
        described = read_description(file)
        if described is not None and described.model != f"cotracker3-{self.variant}":
            raise ConfigError(f"{file.source} holds weights of {described.model}; label with --labeler {described.model}, or give others")
        sizes = {} if described is None else dict(described.config)
        height, width = CoTracker3.parse_config(sizes).model_resolution
        resolution = (height if self.height is None else self.height, width if self.width is None else self.width)
        return {**sizes, "model_resolution": resolution}


def label_encoded(
    engine: CoTracker3Engine, clips: Sequence[ClipFrames], *, rule: VisibilityRule, backward: bool
) -> tuple[list[TrackLabels], Sequence[Track]]:
    """Encode clips of equal length, track their queries; features are kept for the trackers that come with the labels."""
    encoded = engine.encode([clip.reader for clip in clips])

    def track_more(place: int, queries: np.ndarray) -> TrackLabels:
        return engine.track_encoded(encoded.clip(place), [queries], backward=backward)[0].labels(queries, rule)

    found = engine.track_encoded(encoded, [clip.queries for clip in clips], backward=backward)
    labels = [tracks.labels(clip.queries, rule) for tracks, clip in zip(found, clips, strict=True)]
    return labels, [partial(track_more, place) for place in range(len(clips))]


def _no_tracks(clip: ClipFrames) -> TrackLabels:
    empty = np.zeros((clip.reader.shape[0], 0), np.float32)
    return TrackLabels(
        queries=clip.queries,
        tracks_px=np.zeros((*empty.shape, 2), np.float32),
        visibility=empty > 0,
        visibility_score=empty,
        confidence=empty,
    )
