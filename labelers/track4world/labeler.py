"""track4world: tracks of queries, in the image or in space too, or flow of every pixel, by the network of Track4World."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
import PIL
import torch

from labelers.options import check_choice, check_count, check_number
from labelers.parentage import inherited_license, parents_of
from labelers.protocol import LabelerProvenance
from labelers.track4world.config import ITERATIONS, EngineConfig
from labelers.track4world.engine import Track4WorldEngine
from labelers.track4world.pair_flow import FLOW_LIMIT_PX, FlowPairs, flow_from_frame, flow_of_pairs, gather_flow
from labelers.track4world.query_tracks import QueryTracks, track_queries
from networks.inputs import PIXEL_BUDGET, fitted_size, resize_frames
from networks.layers.computing import Precision
from networks.track4world.config import STRIDE
from networks.track4world.network import Track4World
from networks.weights import PUBLISHED, WeightFile, build_with_weights, read_weights
from networks.weights.fitting import describe_weights
from pipeline.errors import ConfigError, DataError, MemoryExhausted
from pipeline.records import ClipFrames, FlowLabels, TrackLabels, Tracks3dLabels
from pipeline.records.pixel_transforms import resize_points

Kind = Literal["tracks", "tracks3d", "flow"]
MACHINE = {"changes_labels": False}  # of options that say where and how fast, or that are recorded apart
_FLOW_OPTIONS = ("pairs", "stride", "reference")


@dataclass(frozen=True, kw_only=True)
class Track4WorldLabeler:
    """Labels of one kind by one forward pass of the backbone over each clip, and the decoder's flow between its frames.

    Tracks cost two runs over the clip for each query frame, one forward and one backward; flow one pair of frames for each map.
    """

    name: ClassVar[str] = "track4world"

    checkpoint: str = field(metadata=MACHINE)  # a path, hf://OWNER/MODEL/FILE or a URL; identified by its hash
    kind: Kind = "tracks"
    sha256: str | None = field(default=None, metadata=MACHINE)  # refuse any other file
    license: str | None = field(default=None, metadata=MACHINE)  # recorded beside the labels; None: those that the checkpoint names
    visible_above: float = 0.5  # visibility x confidence: above it a point is visible, and flow is valid
    pairs: FlowPairs = "stride"  # of flow: each frame to that `stride` after it; or `reference`: one frame to each other
    stride: int = 1  # of flow from each frame; below 0 it goes back in time
    reference: int = 0  # of flow from one frame: which
    iterations: int = ITERATIONS
    pixel_budget: int = PIXEL_BUDGET  # pixels of a frame as the network sees it, at most; smaller frames are seen as they are
    precision: Precision = field(default="float32", metadata=MACHINE)  # recorded apart
    device: str = field(default="cpu", metadata=MACHINE)

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, get_args(Kind))
        check_number("visible_above", self.visible_above, minimum=0.0, maximum=1.0)
        check_choice("pairs", self.pairs, get_args(FlowPairs))
        if not isinstance(self.stride, int) or isinstance(self.stride, bool) or self.stride == 0:
            raise ConfigError(f"stride is {self.stride!r}, expected a whole number of frames other than 0")
        check_count("reference", self.reference, minimum=0)
        check_count("pixel_budget", self.pixel_budget, minimum=1)
        idle = [name for name in _FLOW_OPTIONS if getattr(self, name) != getattr(type(self), name) and not self._uses(name)]
        if idle:
            raise ConfigError(f"{idle[0]} says nothing to kind={self.kind}{f' and pairs={self.pairs}' if self.kind == 'flow' else ''}")
        self._engine_config()
        self._engine  # noqa: B018  weights that do not load are an error now, not at the first clip

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels] | list[FlowLabels]:
        """Labels of each clip, at its own size. A clip's frames lie in the device's memory together.

        Raises: DataError for a clip of one frame, for frames that are too small, and for a clip without a pair of frames as asked for.
        """
        label: Callable[[ClipFrames], Any] = self._label_flow if self.kind == "flow" else self._label_tracks
        return [self._within_memory(clip, label) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """Options, rules, which frames flow is between, the unit of positions, and the checkpoint's hash and licence."""
        rule = f"visibility x confidence > {self.visible_above:g}"
        options = ("kind", "visible_above", *filter(self._uses, _FLOW_OPTIONS), "iterations", "pixel_budget")
        facts: dict[str, Any] = {}
        if self.kind == "tracks3d":
            facts = {
                "tracks3d_scale": "relative",
                "tracks3d_scale_from": "the network: its geometry is up to one factor per clip",
                "tracks3d_world": "camera of the clip's first frame: x right, y down, z forward",
            }
        elif self.kind == "flow":
            facts = {"flow_pairs": self._pairs_text(), "flow_valid": f"{rule}, within {FLOW_LIMIT_PX} px"}
        return LabelerProvenance(
            name=self.name,
            options={name: getattr(self, name) for name in options},
            visibility_rule=None if self.kind == "flow" else f"{rule}; visible at the query itself",
            facts=facts,
            checkpoint=self._weights.source,
            checkpoint_sha256=self._weights.sha256,
            precision=self.precision,
            versions={"numpy": np.__version__, "pillow": PIL.__version__, "torch": torch.__version__},
            license=self._loaded.license,
            parents=parents_of(self._weights),
        )

    def _engine_config(self) -> EngineConfig:
        return EngineConfig(iterations=self.iterations, precision=self.precision)

    def _uses(self, option: str) -> bool:
        """Whether an option of flow means something beside the others."""
        return self.kind == "flow" and (option == "pairs" or option == self.pairs)

    def _pairs_text(self) -> str:
        if self.pairs == "reference":
            return f"{self.reference} -> t"
        return f"t -> t {'+' if self.stride > 0 else '-'} {abs(self.stride)}"

    def _within_memory(self, clip: ClipFrames, label: Callable[[ClipFrames], Any]) -> Any:
        try:
            return label(clip)
        except DataError as error:
            raise DataError(f"clip {clip.key}: {error}") from error
        except torch.OutOfMemoryError as error:
            raise MemoryExhausted(
                f"clip {clip.key}: its {clip.reader.shape[0]} frames do not fit into the memory of {self.device} together; cut shorter"
                f" clips, or set the option pixel_budget below {self.pixel_budget}"
            ) from error

    def _label_tracks(self, clip: ClipFrames) -> TrackLabels:
        num_frames, height, width = clip.reader.shape
        seen = self._size_seen(num_frames, (height, width))
        queries = clip.queries.copy()
        queries[:, 1:] = resize_points(queries[:, 1:], (height, width), seen)
        tracks = track_queries(self._engine, resize_frames(clip.array(), seen), queries)
        return self._labels_of(clip.queries, tracks, resize_points(tracks.tracks_px, seen, (height, width)))

    def _labels_of(self, queries: np.ndarray, tracks: QueryTracks, tracks_px: np.ndarray) -> TrackLabels:
        at = queries[:, 0].astype(int), np.arange(len(queries))
        visible = tracks.visibility * tracks.confidence > self.visible_above
        visible[at], tracks_px[at] = True, queries[:, 1:]  # to the last bit
        known: dict[str, Any] = {
            "queries": queries,
            "tracks_px": tracks_px,
            "visibility": visible,
            "visibility_score": tracks.visibility,
            "confidence": tracks.confidence,
        }
        if self.kind == "tracks":
            return TrackLabels(**known)
        return Tracks3dLabels(**known, tracks_world=tracks.tracks_world, scale="relative")

    def _label_flow(self, clip: ClipFrames) -> FlowLabels:
        num_frames, height, width = clip.reader.shape
        seen = self._size_seen(num_frames, (height, width))
        pairs, frames = self._frame_pairs(num_frames), resize_frames(clip.array(), seen)
        if self.pairs == "reference":
            maps = flow_from_frame(self._engine, frames, self.reference)
        else:
            maps = flow_of_pairs(self._engine, frames, pairs)
        return gather_flow(maps, pairs, num_frames=num_frames, size=(height, width), valid_above=self.visible_above)

    def _frame_pairs(self, num_frames: int) -> dict[int, tuple[int, int]]:
        """(from, to) of each map that has a pair, by its frame. Raises DataError if none has."""
        frames = range(num_frames)
        if self.pairs == "reference":
            pairs = {frame: (self.reference, frame) for frame in frames if frame != self.reference and self.reference < num_frames}
        else:
            pairs = {frame: (frame, frame + self.stride) for frame in frames if 0 <= frame + self.stride < num_frames}
        if not pairs:
            raise DataError(f"{num_frames} frames hold no pair {self._pairs_text()}; cut longer clips, or ask for other pairs")
        return pairs

    def _size_seen(self, num_frames: int, size: tuple[int, int]) -> tuple[int, int]:
        """(H, W) of the frames as the network sees them. Raises DataError where it would see nothing."""
        if num_frames < 2:
            raise DataError("it has one frame, and tracks and flow lead from one frame to another; cut clips of 2 frames or more")
        height, width = size
        is_large = height * width > self.pixel_budget
        seen = fitted_size(width / height, self.pixel_budget, patch=STRIDE) if is_large else size
        smallest = self._engine.model.config.smallest_side
        if min(seen) < smallest:
            shrunk = f", seen as {seen[1]}x{seen[0]} under pixel_budget={self.pixel_budget}" if is_large else ""
            remedy = "raise pixel_budget" if min(size) >= smallest else "cut clips from larger videos (jobs/shard.py --long-side)"
            raise DataError(
                f"frames of {width}x{height}{shrunk} are too small for the network's correlation pyramid: both sides must have"
                f" {smallest} pixels or more; {remedy}"
            )
        return seen

    @property
    def _weights(self) -> WeightFile:
        return self._loaded.file

    @property
    def _engine(self) -> Track4WorldEngine:
        return self._loaded.engine

    @cached_property
    def _loaded(self) -> "_Loaded":
        """Raises ConfigError for another network's weights, and for those of a network without backbone."""
        file, published = read_weights(self.checkpoint, sha256=self.sha256), PUBLISHED["track4world"].source
        described = describe_weights(file)
        if described.model != "track4world":
            raise ConfigError(
                f"{file.source} holds weights of {described.model}; labeler track4world needs those of track4world, such as {published}"
            )
        license = inherited_license(file) if self.license is None else self.license
        with torch.device(self.device):
            model = cast(Track4World, build_with_weights(described.model, described.config, file, license=license))
        if model.backbone is None:
            raise ConfigError(
                f"{file.source} holds Track4World over a backbone that is not here, such as Depth-Anything-3, and labels begin at the"
                f" frames; take one over Pi3X or TrajVG, such as {published}"
            )
        engine = Track4WorldEngine(model.requires_grad_(False), self._engine_config())
        return _Loaded(replace(file, tensors={}), license, engine)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A checkpoint at work."""

    file: WeightFile  # without its tensors
    license: str | None
    engine: Track4WorldEngine
