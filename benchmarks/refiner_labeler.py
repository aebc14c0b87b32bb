"""The refiner as a labeler of jobs/pseudolabel.py, `--labeler refiner_labeler:RefinerLabeler`, so that its tracks become a label set."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from refiner import COARSE, Refiner, RefinerInput
from refiner_clips import CHAIN, JUMPS, clues
from refiner_training import find
from safetensors.torch import load_file, save_file

from labelers import LabelerProvenance
from pipeline.errors import ConfigError, DataError
from pipeline.records import ClipFrames, TrackLabels

MOST_FRAMES = 64  # of a clip: it is tracked as one window, and learned on 24 to 48


def write_weights(model: Refiner, file: Path) -> None:
    """As safetensors: equal weights give equal bytes. Whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, part)
    part.rename(file)


def sha256_of(file: str | Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


class RefinerLabeler:
    """Chains of dis-flow with jumps, refined; on the CPU, one clip after the other.

    Args:
        checkpoint: a file of `write_weights`.
        threshold: a point is visible where its score is above.
        taught_by: the label set that its weights were tuned on; recorded, and nothing else.
    """

    def __init__(self, checkpoint: str, threshold: float = 0.25, taught_by: str | None = None) -> None:
        if not Path(checkpoint).is_file():
            raise ConfigError(f"no weights of a refiner at {checkpoint}; give --checkpoint a file that benchmarks/teacher_loop.py wrote")
        self._checkpoint, self._threshold, self._taught_by = checkpoint, threshold, taught_by
        self._model = Refiner()
        self._model.load_state_dict(load_file(checkpoint))

    def label(self, clips: Sequence[ClipFrames]) -> list[TrackLabels]:
        """See `labelers.Labeler`. Raises: DataError for a clip that is too long, or whose sides are no multiples of 8."""
        return [self._label(clip) for clip in clips]

    def _label(self, clip: ClipFrames) -> TrackLabels:
        num_frames, height, width = clip.reader.shape
        if num_frames > MOST_FRAMES or height % COARSE or width % COARSE:
            raise DataError(
                f"clip {clip.key}: {num_frames} frames of {width}x{height}; the refiner takes {MOST_FRAMES} frames at most, and sides"
                f" that are multiples of {COARSE}: cut or resize the clip"
            )
        traced = CHAIN.trace(clip)
        if not len(clip.queries):
            return traced.labels
        frames = np.stack(list(clip.reader))
        given = RefinerInput(
            frames=torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255,
            queries=torch.from_numpy(clip.queries),
            chain_px=torch.from_numpy(traced.labels.tracks_px),
            clues=torch.from_numpy(clues(traced).astype(np.float32)),
        )
        return find(self._model, given).labels(clip.queries, self._threshold)

    def provenance(self) -> LabelerProvenance:
        """See `labelers.Labeler`."""
        return LabelerProvenance(
            name="refiner",
            options={"jumps": list(JUMPS), "threshold": self._threshold, "taught_by": self._taught_by},
            visibility_rule=f"the network's chance of being seen and right is above {self._threshold:g}",
            checkpoint=self._checkpoint,
            checkpoint_sha256=sha256_of(self._checkpoint),
            versions={"torch": torch.__version__, "numpy": np.__version__, "opencv-python-headless": cv2.__version__},
            license="Apache-2.0",
        )
