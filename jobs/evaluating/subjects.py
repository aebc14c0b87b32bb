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
from trainer.evaluation import ClipScores, EvaluationSettings, measure_labels, measure_model
from trainer.families import check_predicts, family_of


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
    settings: EvaluationSettings

    @property
    def identity(self) -> dict[str, Any]:
        return {"checkpoint": self.info.document()}

    def scores(self, entry: ClipEntry, sample: ClipSample) -> ClipScores | str:
        return measure_model(self.model, sample, self.settings, precision=self.precision)


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
            check_predicts(family_of(info.model), model)
            family_of(info.model).patch_size(model)  # raises for a model whose images cannot be made of frames
            self._loaded = LoadedModel(model, info, choose_precision(self.precision, device), settings)
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
