"""The protocol of a dataset's reader, and the readers by name."""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.errors import ConfigError
from pipeline.records.truth import TruthClip

# name -> "module:factory", imported when asked for. A factory takes the folder, then options as keywords, such as `license`
# (overrides its own) and, where the source holds pickles, `trust_pickle`.
DATASETS = {
    "bonn": "pipeline.datasets.rgbd:BonnSource",
    "co3d": "pipeline.datasets.co3d:Co3dSource",
    "dtu": "pipeline.datasets.dtu:DtuSource",
    "dynamic-replica": "pipeline.datasets.dynamic_replica:DynamicReplicaSource",
    "eth3d": "pipeline.datasets.eth3d:Eth3dSource",
    "kitti_depth": "pipeline.datasets.kitti_depth:KittiDepthSource",
    "kubric": "pipeline.datasets.kubric:KubricSource",
    "nrgbd": "pipeline.datasets.nrgbd:NrgbdSource",
    "nyu_v2": "pipeline.datasets.nyu_v2:NyuV2Source",
    "point-odyssey": "pipeline.datasets.point_odyssey:PointOdysseySource",
    "real_estate10k": "pipeline.datasets.real_estate10k:RealEstate10kSource",
    "scannet": "pipeline.datasets.scannet:ScanNetSource",
    "seven_scenes": "pipeline.datasets.seven_scenes:SevenScenesSource",
    "sintel": "pipeline.datasets.sintel:SintelSource",
    "spring": "pipeline.datasets.spring:SpringSource",
    "tapvid3d": "pipeline.datasets.tapvid3d:TapVid3dSource",
    "tartanair": "pipeline.datasets.tartanair:TartanAirSource",
    "tum": "pipeline.datasets.rgbd:TumSource",
    "virtual-kitti": "pipeline.datasets.virtual_kitti:VirtualKittiSource",
    "worldtrack": "pipeline.datasets.world_track:WorldTrackSource",
}
CLIP_FRAMES, MIN_FRAMES = 48, 6  # unless asked for otherwise
_KEYWORDS = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceInfo:
    """One camera's uninterrupted recording, as listing the dataset finds it: nothing is decoded for it.

    All of it is hashed into the identity of the converted dataset, so an option of the reader that changes what is read belongs
    into `extra`, and an absolute path does not.
    """

    name: str  # unique within the dataset and stable between machines, such as train/seq_0001/left; hashed into keys and splits
    num_frames: int
    split: str | None = None  # train | val | test where the dataset prescribes one
    scene: str | None = None  # sequences of one scene (two cameras, two weathers) share their split; None: each its own
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the reader needs to find it again; JSON types


class TruthSource(Protocol):
    """A dataset on disk (or a renderer). Small, and may be pickled: it is sent to every worker."""

    @property
    def name(self) -> str:
        """Of the dataset, such as kubric."""
        ...

    @property
    def license(self) -> str | None:
        """Of its clips."""
        ...

    @property
    def keep_images(self) -> bool:
        """Whether the source's image bytes are stored, never a recompression: evaluation sets."""
        ...

    def sequences(self) -> Sequence[SequenceInfo]:
        """All sequences, in a fixed order. Raises ConfigError if the layout is not this dataset's."""
        ...

    def read(self, sequence: SequenceInfo, first_frame: int, num_frames: int) -> TruthClip:
        """Frames [first_frame, first_frame + num_frames) with their truth.

        Poses may stay in the source's own world: a wrong convention is easier to name there, and the conversion makes the first
        valid camera the origin once the checks have passed. (A source whose world lies kilometres away anchors the clip itself:
        `pipeline.datasets.preparation`.) Depth is the source's; tracks by reprojection are the conversion's work too.

        Raises: DataError, naming the file, the frame, what was found and expected, and the remedy.
        """
        ...


def clip_frames_of(source: TruthSource, asked: int | None) -> int:
    """Frames of a clip, 0 for whole sequences: as asked; else what a benchmark's reader prescribes (`clip_frames`); else 48."""
    return int(getattr(source, "clip_frames", CLIP_FRAMES)) if asked is None else asked


def min_frames_of(source: TruthSource, asked: int | None) -> int:
    """Fewest frames of a clip: as asked; else what a benchmark's reader prescribes (`min_frames`); else 6."""
    return int(getattr(source, "min_frames", MIN_FRAMES)) if asked is None else asked


def make_source(name: str, path: str, /, **options: Any) -> TruthSource:
    """Make the reader of a dataset.

    Args:
        name: one of DATASETS, or the door to a reader of one's own: "package.module:factory".
        path: folder (or URL) that holds the dataset in its published layout.
        options: of this reader.
    Raises: ConfigError for an unknown name, and for an option that the reader does not have.
    """
    door = name if ":" in name else DATASETS.get(name)
    if door is None:
        raise ConfigError(f'unknown dataset {name!r}; known are {", ".join(DATASETS)}, and "package.module:factory" for one of your own')
    factory = _factory(door)
    known = [parameter.name for parameter in inspect.signature(factory).parameters.values() if parameter.kind in _KEYWORDS][1:]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigError(f"dataset {name} has no option {', '.join(unknown)}; its options are {', '.join(known) or 'none'}")
    return factory(path, **options)


def _factory(door: str) -> Callable[..., TruthSource]:
    module_name, _, attribute = door.partition(":")
    try:
        factory: Callable[..., TruthSource] = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"dataset {door!r}: cannot import {module_name!r} ({error}); is it installed, or on PYTHONPATH?") from error
    except AttributeError as error:
        raise ConfigError(f"dataset {door!r}: {error}") from error
    return factory
