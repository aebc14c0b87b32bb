"""pi3-depth: depth of all frames of a clip at once, by π³, Pi3X or TrajVG: z of each frame's own point map, with its confidence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL
import torch
from torch import Tensor

from labelers.depth.maps import depth_of, resize_maps
from labelers.options import check_choice, check_count
from labelers.parentage import inherited_license, parents_of
from labelers.protocol import LabelerProvenance
from networks import model_name
from networks.inputs import PIXEL_BUDGET, fitted_size, resize_frames
from networks.layers.computing import FORWARD_PRECISIONS, ForwardPrecision, forward_precision
from networks.pi3 import Backbone, ModelOutput, expect_backbone
from networks.pi3.geometry import ConvGeometry
from networks.weights import load_model, read_weights
from pipeline.errors import MemoryExhausted
from pipeline.records import ClipFrames, DepthLabels


class Pi3DepthLabeler:
    """Depth in one unknown unit for the whole clip: frames agree with each other, which frame-by-frame networks cannot promise."""

    name = "pi3-depth"
    kind = DepthLabels.kind

    def __init__(
        self,
        *,
        checkpoint: str,
        sha256: str | None = None,
        license: str | None = None,
        pixel_budget: int = PIXEL_BUDGET,
        precision: ForwardPrecision = "float32",
        device: str = "cpu",
    ) -> None:
        """Load the network.

        Args:
            checkpoint: weights of π³, Pi3X or TrajVG, or a file of our training: a path, `hf://OWNER/MODEL/FILE` or a URL.
            sha256: refuse any other file.
            license: recorded beside the labels; None: those that the checkpoint names.
            pixel_budget: pixels of a frame as the network sees it, at most.
            precision: float32, or autocast to bfloat16 or float16; heads compute in float32 in any case.
            device: where to compute, as torch names it.
        Raises: ConfigError for a checkpoint that is none of these networks', and for an option out of range.
        """
        check_count("pixel_budget", pixel_budget, minimum=1)
        check_choice("precision", precision, FORWARD_PRECISIONS)
        self._device, self._pixel_budget, self._precision = torch.device(device), pixel_budget, precision
        self._file = read_weights(checkpoint, sha256=sha256)
        self._license = inherited_license(self._file) if license is None else license
        with self._device:
            self._model: Backbone = expect_backbone(load_model(checkpoint, sha256=self._file.sha256)).eval()
        fitted_size(1.0, pixel_budget, patch=self._patch)  # a budget below one patch is an error now

    def label(self, clips: Sequence[ClipFrames]) -> list[DepthLabels]:
        """Depth of each clip, at its own size. A clip's frames lie in the device's memory together."""
        return [self._label_clip(clip) for clip in clips]

    def provenance(self) -> LabelerProvenance:
        """Network, size that it sees, scale, and the checkpoint's hash and licence."""
        options: dict[str, Any] = {"network": model_name(self._model), "pixel_budget": self._pixel_budget}
        return LabelerProvenance(
            name=self.name,
            options=options,
            facts={"depth_scale": "relative", "depth_scale_from": "the network: its geometry is up to one factor per clip"},
            checkpoint=self._file.source,
            checkpoint_sha256=self._file.sha256,
            precision=self._precision,
            versions={"numpy": np.__version__, "pillow": PIL.__version__, "torch": torch.__version__},
            license=self._license,
            parents=parents_of(self._file),
        )

    @property
    def _patch(self) -> int:
        return int(self._model.config.encoder.patch_size)

    def _label_clip(self, clip: ClipFrames) -> DepthLabels:
        num_frames, height, width = clip.reader.shape
        seen = fitted_size(width / height, self._pixel_budget, patch=self._patch)
        frames = resize_frames(clip.array(), seen)
        try:
            with torch.inference_mode(), forward_precision(self._device, self._precision):
                output = self._geometry(torch.from_numpy(frames).to(self._device).permute(0, 3, 1, 2)[None].float() / 255)
            assert output.conf is not None, "asked for by default"
            depth = depth_of(resize_maps(output.local_points[0, ..., 2], (height, width)), "relative")
            confidence = resize_maps(output.conf[0, ..., 0].float().sigmoid(), (height, width)).cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise MemoryExhausted(
                f"clip {clip.key}: {num_frames} frames of {seen[1]}x{seen[0]} do not fit into the memory of {self._device} together; cut"
                " shorter clips, or set the option pixel_budget lower"
            ) from error
        return DepthLabels(depth=depth, scale="relative", confidence=np.clip(confidence, 0, 1))

    def _geometry(self, images: Tensor) -> ModelOutput:
        """The network's output without tracks, which TrajVG would be asked for by its own call."""
        model = self._model
        output: ModelOutput = model.geometry(images).output if isinstance(model, ConvGeometry) else model(images)
        return output
