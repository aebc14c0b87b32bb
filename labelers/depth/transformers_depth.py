"""transformers-depth: any depth-estimation checkpoint of the `transformers` package, frame by frame."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labelers.depth.maps import depth_of, resize_maps
from labelers.depth.preprocessing import Preprocessing, parse_preprocessing
from labelers.options import check_choice, check_count
from labelers.protocol import LabelerProvenance
from networks.layers.computing import FORWARD_PRECISIONS, ForwardPrecision, forward_precision
from pipeline.errors import ConfigError, DataError, MemoryExhausted, install_command
from pipeline.records import ClipFrames, DepthLabels, FrameReader
from pipeline.records.labels import DEPTH_SCALES, DepthScale
from pipeline.storage.sources import LocatedFile, locate_file

CONFIG, PREPROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"

# What the networks of an architecture give. DepthPro's field of view, by which its inverse depth would be metric, is not used.
_SCALES: dict[str, DepthScale] = {"depth_pro": "inverse", "dpt": "inverse", "glpn": "metric", "zoedepth": "metric"}
_DEPTH_TYPES: dict[str, DepthScale] = {"relative": "inverse", "metric": "metric"}  # an entry of Depth Anything's config.json
_HUB = re.compile(r"(?:hf://)?(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?")


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The three files of a checkpoint, and what two of them say."""

    source: str
    weights: LocatedFile
    config: Mapping[str, Any]
    preprocessing: Preprocessing
    config_sha256: str


class TransformersDepthLabeler:
    """Depth of every frame by a network of `transformers`. Frames are predicted by themselves: depth may flicker over time."""

    name = "transformers-depth"
    kind = DepthLabels.kind

    def __init__(
        self,
        *,
        checkpoint: str,
        scale: str | None = None,
        sha256: str | None = None,
        license: str | None = None,
        frames_at_once: int = 4,
        precision: ForwardPrecision = "float32",
        device: str = "cpu",
    ) -> None:
        """Load the network.

        Args:
            checkpoint: a folder that `save_pretrained` wrote (config.json, preprocessor_config.json, model.safetensors), or a
                repository of the hub: OWNER/NAME or OWNER/NAME@REVISION.
            scale: what it predicts: metric (metres), relative (depth but for a factor) or inverse (1 / depth but for factor and
                summand). None: what its config.json says, or is known of its architecture.
            sha256: of model.safetensors; refuse any other.
            license: of the checkpoint, as its model card states it; recorded with the labels.
            frames_at_once: frames of a clip that share a forward pass.
            precision: float32, or autocast to bfloat16 or float16.
            device: where to compute, as torch names it.
        Raises: ConfigError if transformers is not installed, for a checkpoint that is no depth estimator, lacks weights or is not
            the one asked for, and if its scale is neither known nor stated.
        """
        check_count("frames_at_once", frames_at_once, minimum=1)
        check_choice("precision", precision, FORWARD_PRECISIONS)
        if scale is not None:
            check_choice("scale", scale, DEPTH_SCALES)
        self._checkpoint = _read_checkpoint(checkpoint, sha256=sha256)
        self._scale, self._scale_from = _scale_of(self._checkpoint, scale)
        self._license, self._frames_at_once, self._precision = license, frames_at_once, precision
        self._device = torch.device(device)
        self._sha256 = _sha256_of(self._checkpoint.weights)
        self._model, self._version = _load(self._checkpoint, self._device)

    def label(self, clips: Sequence[ClipFrames]) -> list[DepthLabels]:
        """Depth of each clip, at its own size."""
        return [self._label_clip(clip) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """Architecture, preprocessing, scale and where it is known from, and the checkpoint's hash and licence."""
        return LabelerProvenance(
            name=self.name,
            options={
                "architecture": str(self._checkpoint.config["model_type"]),
                "config_sha256": self._checkpoint.config_sha256,
                "preprocessing": asdict(self._checkpoint.preprocessing),
                "frames_at_once": self._frames_at_once,
            },
            facts={"depth_scale": self._scale, "depth_scale_from": self._scale_from},
            checkpoint=self._checkpoint.source,
            checkpoint_sha256=self._sha256,
            precision=self._precision,
            versions={"numpy": np.__version__, "torch": torch.__version__, "transformers": self._version},
            license=self._license,
        )

    def _label_clip(self, clip: ClipFrames) -> DepthLabels:
        num_frames, height, width = clip.reader.shape
        depth = np.empty((num_frames, height, width), np.float32)
        at = 0
        try:
            for frames in _blocks(clip.reader, self._frames_at_once):
                depth[at : at + len(frames)] = self._depth(frames)
                at += len(frames)
        except torch.OutOfMemoryError as error:
            raise MemoryExhausted(
                f"clip {clip.key}: {self._frames_at_once} frames of {width}x{height} do not fit into the memory of {self._device} at once;"
                " set the option frames_at_once lower"
            ) from error
        if at != num_frames:
            raise DataError(f"clip {clip.key}: {at} of {num_frames} frames were read; cut the clip again")
        return DepthLabels(depth=depth, scale=self._scale)

    def _depth(self, frames: np.ndarray) -> np.ndarray:
        images = self._checkpoint.preprocessing(frames, self._device)
        with torch.inference_mode(), forward_precision(self._device, self._precision):
            predicted = self._model(pixel_values=images).predicted_depth
        return depth_of(resize_maps(predicted, frames.shape[1:3]), self._scale)


def _blocks(reader: FrameReader, length: int) -> Iterator[np.ndarray]:
    frames = iter(reader)
    while block := list(islice(frames, length)):
        yield np.stack(block)


def _read_checkpoint(source: str, *, sha256: str | None) -> _Checkpoint:
    folder = source
    if not Path(source).is_dir():
        found = _HUB.fullmatch(source)
        if found is None:
            raise ConfigError(f"checkpoint {source}: no such folder; give one that save_pretrained wrote, or a repository as OWNER/NAME")
        folder = f"hf://{found['repo']}" + (f"@{found['revision']}" if found["revision"] else "")
    config, preprocessor = (Path(locate_file(f"{folder}/{name}").path).read_bytes() for name in (CONFIG, PREPROCESSOR))
    try:
        weights = locate_file(f"{folder}/{WEIGHTS}", sha256=sha256)
    except ConfigError as error:
        raise ConfigError(f"{error}; weights of other formats become {WEIGHTS} by from_pretrained and save_pretrained") from error
    parsed = _parse(config, f"{folder}/{CONFIG}")
    if not isinstance(parsed.get("model_type"), str):
        raise ConfigError(f"{folder}/{CONFIG} names no model_type: not a checkpoint of transformers")
    return _Checkpoint(
        source=source,
        weights=weights,
        config=parsed,
        preprocessing=parse_preprocessing(_parse(preprocessor, f"{folder}/{PREPROCESSOR}"), f"{folder}/{PREPROCESSOR}"),
        config_sha256=hashlib.sha256(config).hexdigest(),
    )


def _parse(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        table = json.loads(data)
    except ValueError as error:
        raise ConfigError(f"{where} is not valid JSON ({error}); fetch the checkpoint again") from error
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is no table; fetch the checkpoint again")
    return table


def _scale_of(checkpoint: _Checkpoint, stated: str | None) -> tuple[DepthScale, str]:
    """Scale of the predictions, and its source in words."""
    if stated is not None:
        return stated, "stated by the option scale"  # type: ignore[return-value]  # checked
    architecture, depth_type = checkpoint.config["model_type"], checkpoint.config.get("depth_estimation_type")
    if architecture == "depth_anything":
        found = _DEPTH_TYPES.get(depth_type or "relative")  # the default of its configuration
        if found is not None:
            return found, f"config.json: depth_estimation_type {depth_type or 'relative (by default)'}"
    elif architecture in _SCALES:
        return _SCALES[architecture], f"its architecture, {architecture}"
    raise ConfigError(
        f"checkpoint {checkpoint.source}: nothing says whether a {architecture} predicts metric depth; state it with the option scale:"
        f" {', '.join(DEPTH_SCALES)}"
    )


def _sha256_of(file: LocatedFile) -> str:
    with open(file.path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    file.check(digest)
    return digest


def _load(checkpoint: _Checkpoint, device: torch.device) -> tuple[Any, str]:
    """The network on its device, and the package's version."""
    try:
        import transformers
        from transformers import AutoModelForDepthEstimation
    except ImportError as error:
        raise ConfigError(f"labeler transformers-depth needs the package transformers ({error}); {install_command('depth')}") from error
    transformers.utils.logging.disable_progress_bar()
    folder = Path(checkpoint.weights.path).parent
    with torch.random.fork_rng(devices=[]):  # making a network draws: not from the process's own sequence
        try:
            model, report = AutoModelForDepthEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype=torch.float32
            )
        except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConfigError(f"checkpoint {checkpoint.source} is no depth estimator that transformers loads: {reason}") from error
    lacking = [*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])]
    if lacking:
        raise ConfigError(
            f"checkpoint {checkpoint.source} lacks {len(lacking)} weights of its network, the first is {sorted(lacking)[0]}; it is damaged,"
            " or of another network"
        )
    return model.to(device).eval(), str(transformers.__version__)
