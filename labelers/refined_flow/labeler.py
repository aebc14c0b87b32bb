"""The labeler refined-flow."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from importlib.resources import files
from typing import Any, ClassVar, cast

import cv2
import numpy as np
import torch

from labelers.chain import inside_image
from labelers.chain_trace import TracedLabels
from labelers.devices import torch_device
from labelers.optical_flow import DisFlowLabeler
from labelers.options import check_number
from labelers.parentage import inherited_license, parents_of
from labelers.protocol import LabelerProvenance
from labelers.refined_flow.clues import clues_of
from labelers.refined_flow.pictures import Pictures
from labelers.refined_flow.refining import features_of_queries, maps_of, refine
from labelers.refined_flow.windows import windows_of
from labelers.reseeding import ReseedingRule, reseed
from networks.chain_refiner import ChainRefiner, Chains
from networks.weights import WeightFile, build_with_weights, read_weights
from pipeline.errors import MemoryExhausted
from pipeline.records import ClipFrames, TrackLabels

JUMPS = (1, 2, 4, 8)  # of the chains that it learned on
SHIPPED = "chain_refiner.safetensors"  # beside this file
SHIPPED_SHA256 = "9bdf57c94110a702d4e1d8f9c267636321350e2dc8991dc59edf623dcf5cb05b"
MACHINE = {"changes_labels": False}  # of options that say where and how fast, or that are recorded apart


@dataclass(frozen=True, kw_only=True)
class RefinedFlowLabeler:
    """Chains of dis-flow with jumps, refined by a network that sees windows of 48 frames, at 192x256 pixels or as many in another shape.

    Memory: the clip's grey frames and flows as dis-flow keeps them, its frames at the network's size (150 KB each), and half a GB for a
    window. Labels on the CPU are the same bytes every time; clips are labelled one after the other.
    """

    name: ClassVar[str] = "refined-flow"

    checkpoint: str | None = field(default=None, metadata=MACHINE)  # weights of one's own; None: those that come with the package
    sha256: str | None = field(default=None, metadata=MACHINE)  # refuse a checkpoint of any other
    license: str | None = field(default=None, metadata=MACHINE)  # recorded beside the labels; None: those that the checkpoint names
    threshold: float = 0.45  # a point is visible where its score is above
    reseed_below: float = 0.0  # share of the clip's queries that must be visible, else new ones are added; 0: never
    reseed_every: int = 8  # frames between two checks
    reseed_limit: float = 4.0  # tracks at most, as a multiple of the clip's queries
    memory_mb: float = field(default=512, metadata=MACHINE)  # of flows
    device: str = field(default="cpu", metadata=MACHINE)  # of the network; flows are measured on the CPU

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, minimum=0.0, maximum=1.0)
        self._reseeding()
        self._chain(1.0)
        self._model  # noqa: B018  weights that do not load are an error now, not at the first clip

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """Follow each clip's queries in both directions of time."""
        return [self._label_clip(clip) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """Name, options, rule, and the weights' hash and licence."""
        file = self._loaded[0]
        return LabelerProvenance(
            name=self.name,
            options={"jumps": list(JUMPS), **self._options()},
            visibility_rule=f"visible at the query, and inside the image where the network's score is above {self.threshold:g}",
            checkpoint=f"trackmill:{SHIPPED}" if self.checkpoint is None else file.source,
            checkpoint_sha256=file.sha256,
            versions={"numpy": np.__version__, "opencv-python-headless": cv2.__version__, "torch": torch.__version__},
            license=inherited_license(file) if self.license is None else self.license,
            parents=parents_of(file),
        )

    def _label_clip(self, clip: ClipFrames) -> TrackLabels:
        pictures = Pictures(clip.reader)
        unit_px = float(1 / np.sqrt(pictures.per_pixel.prod()))
        opened = self._chain(unit_px).open(replace(clip, reader=pictures))

        def track(queries: np.ndarray) -> TrackLabels:
            return self._refined(opened.trace(queries), pictures, unit_px)

        try:
            return reseed(track(clip.queries), self._reseeding(), track=track, grey=opened.grey, key=clip.key)
        except torch.OutOfMemoryError as error:
            raise MemoryExhausted(
                f"clip {clip.key}: a window of its frames does not fit into the memory of {self.device}; label with the option device=cpu"
            ) from error

    def _refined(self, traced: TracedLabels, pictures: Pictures, unit_px: float) -> TrackLabels:
        """Labels of chains through a clip whose frames are at hand."""
        labels = traced.labels
        if not len(labels.queries):
            return labels
        queries = np.column_stack([labels.queries[:, 0], pictures.to_kept(labels.queries[:, 1:])]).astype(np.float32)
        features = features_of_queries(self._model, pictures.kept, queries)
        chain_px, clues = pictures.to_kept(labels.tracks_px), clues_of(traced, unit_px=unit_px)
        tracks, score = np.empty_like(labels.tracks_px), np.empty(labels.visibility.shape, np.float32)
        for window in windows_of(len(pictures.kept)):
            seen, decided = (slice(frames.start, frames.stop) for frames in (window.seen, window.decided))
            chains = Chains(
                queries=torch.from_numpy(queries - np.array([window.seen.start, 0, 0], np.float32)),
                chain_px=torch.from_numpy(chain_px[seen]),
                clues=torch.from_numpy(clues[seen].astype(np.float32)),
            )
            found = refine(self._model, maps_of(self._model, pictures.kept[seen]), features, chains)
            within = slice(decided.start - seen.start, decided.stop - seen.start)
            tracks[decided], score[decided] = pictures.from_kept(found.tracks_px[within]), found.score[within]
        asked = (labels.queries[:, 0].astype(np.int64), np.arange(len(queries)))
        tracks[asked] = labels.queries[:, 1:]
        visible = (score == 1) | (inside_image(tracks, pictures.shape[1:]) & (score > self.threshold))
        return TrackLabels(queries=labels.queries, tracks_px=tracks, visibility=visible, confidence=score)

    def _chain(self, unit_px: float) -> DisFlowLabeler:
        """Its check allows the pixels that it allows on frames of the network's size."""
        return DisFlowLabeler(jumps=JUMPS, round_trip_px=unit_px, reseed_below=self.reseed_below, memory_mb=self.memory_mb)

    def _reseeding(self) -> ReseedingRule:
        return ReseedingRule(below=self.reseed_below, every=self.reseed_every, limit=self.reseed_limit)

    def _options(self) -> dict[str, Any]:
        return {option.name: getattr(self, option.name) for option in fields(self) if option.metadata.get("changes_labels", True)}

    @property
    def _model(self) -> ChainRefiner:
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[WeightFile, ChainRefiner]:
        """The file, without its tensors, and the network."""
        source, expected = self.checkpoint, self.sha256
        if source is None:
            source, expected = str(files("labelers.refined_flow") / SHIPPED), self.sha256 or SHIPPED_SHA256
        device = torch_device(self.device)
        file = read_weights(source, sha256=expected)
        with device:
            model = cast(ChainRefiner, build_with_weights("chain-refiner", None, file))
        return replace(file, tensors={}), model.eval().requires_grad_(False)
