"""Subjects of an evaluation on clips with truth: a checkpoint, which predicts, or a label set, which is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jobs.devices import choose_device, choose_precision
from jobs.evaluating.report import provenance
from jobs.loading_models import CheckpointInfo, load_checkpoint
from networks.building import Network
from networks.layers.computing import ForwardPrecision
from networks.weights import read_weights
from pipeline import storage
from pipeline.errors import ConfigError, DataError
from pipeline.labels import LabelShard, read_label_set, read_label_shard
from pipeline.layout import Layout
from pipeline.records import ClipSample
from pipeline.shards.index import ClipEntry
from trainer.evaluation import (
    TRACKING,
    ClipScores,
    EvaluationSettings,
    choose_tracks,
    known_geometry,
    lacks_truth,
    measure_clip,
    measure_labels,
    model_size,
    predict_clip,
)
from trainer.families import family_of

NO_TRUTH = "no poses, depth or tracks in space"
NO_GEOMETRY = "not every frame has a true pose and depth"


class OpenSubject(Protocol):
    """A subject at hand, for the clips of one shard."""

    @property
    def identity(self) -> dict[str, Any]:
        """What was measured, in JSON types, under the name of its kind: `checkpoint` or `label_set`."""

    @property
    def precision(self) -> str:
        """Of the computation."""

    def scores(self, entry: ClipEntry, sample: ClipSample) -> ClipScores | str:
        """Scores on one clip; or why it cannot be measured. Raises: DataError."""


class Subject(Protocol):
    """What is measured, before a file is opened."""

    @property
    def source(self) -> str:
        """As it was asked for."""

    @property
    def label_sets(self) -> tuple[str, ...]:
        """Label sets whose files the result is made from."""

    def settings(self) -> Mapping[str, Any]:
        """What results depend on."""

    def opened(self, shard: int, settings: EvaluationSettings) -> OpenSubject:
        """Load or read what is needed for a shard."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model where it computes."""

    model: Network
    info: CheckpointInfo
    precision: ForwardPrecision
    patch: int  # pixels, of which sides of its images are multiples
    settings: EvaluationSettings

    @property
    def identity(self) -> dict[str, Any]:
        return {"checkpoint": self.info.document()}

    def scores(self, entry: ClipEntry, sample: ClipSample) -> ClipScores | str:
        if lacks_truth(sample):
            return NO_TRUTH
        height, width = sample.frames.shape[1:3]
        size = model_size((height, width), self.settings, patch=self.patch)
        geometry = known_geometry(sample, size) if self.settings.geometry == "truth" else None
        if geometry is None and self.settings.geometry == "truth":
            return NO_GEOMETRY
        asked = not set(TRACKING).isdisjoint(self.settings.protocols)
        chosen = choose_tracks(sample, size, at_most=self.settings.num_tracks, queries=self.settings.queries) if asked else None
        prediction = predict_clip(self.model, sample.frames, chosen, self.settings, size=size, precision=self.precision, geometry=geometry)
        return measure_clip(prediction, sample, chosen, self.settings)


@dataclass(kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint, and where and how it computes. The model is loaded when it is first needed, once in each process."""

    source: str
    device: str  # auto, or a device of torch
    precision: str  # auto, or one of FORWARD_PRECISIONS
    _loaded: LoadedModel | None = field(default=None, init=False)

    @property
    def label_sets(self) -> tuple[str, ...]:
        return ()

    def settings(self) -> Mapping[str, Any]:
        return {"checkpoint_sha256": read_weights(self.source).sha256}

    def opened(self, shard: int, settings: EvaluationSettings) -> LoadedModel:
        if self._loaded is None:
            device = choose_device(self.device)
            model, info = load_checkpoint(self.source, device)
            patch = family_of(info.model).patch_size(model)
            self._loaded = LoadedModel(model, info, choose_precision(self.precision, device), patch, settings)
        return self._loaded


@dataclass(frozen=True, slots=True)
class LabelsOfShard:
    """One label set in one shard."""

    name: str
    identity: dict[str, Any]
    labels: LabelShard | None  # None: it is not labelled
    settings: EvaluationSettings
    precision: str

    def scores(self, entry: ClipEntry, sample: ClipSample) -> ClipScores | str:
        status = self.labels.entry(entry.key).status if self.labels else "not labelled"
        if self.labels is None or status != "ok":
            return f"{self.name}: {status}"
        if entry.record is not None:
            self.labels.check_clip(entry.key, entry.record.sha256)
        try:
            return measure_labels(self.labels.labels(entry.key), sample, self.settings)
        except (ConfigError, DataError) as error:
            raise type(error)(f"label set {self.name}, clip {entry.key}: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSetOnClips:
    """A label set of a dataset."""

    root: str
    source: str  # its name

    @property
    def label_sets(self) -> tuple[str, ...]:
        return (self.source,)

    def settings(self) -> Mapping[str, Any]:
        return {"label_set": self.source}

    def opened(self, shard: int, settings: EvaluationSettings) -> LabelsOfShard:
        label_set = read_label_set(self.root, self.source)
        identity = {"label_set": {"name": label_set.name, "kind": label_set.kind, "provenance": provenance(label_set)}}
        there = storage.exists(Layout(self.root).label_shard(self.source, shard))
        labels = read_label_shard(self.root, self.source, shard) if there else None
        return LabelsOfShard(self.source, identity, labels, settings, label_set.precision)
