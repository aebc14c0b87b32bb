"""Network and losses as one module, so that one call per step is all that a data-parallel wrapper sees."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from networks.pi3 import Backbone, ModelOutput
from networks.trajvg.trajvg import TrajVG
from pipeline.errors import ConfigError, DataError
from trainer.data import ClipBatch, StepBatch
from trainer.objective.clip_losses import ClipLosses
from trainer.objective.labelled import labelled_losses
from trainer.objective.pseudo import pseudo_losses
from trainer.objective.settings import LossSettings

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipShares:
    """How much one clip of each side counts, so that the gradients' mean over all processes is that of the mean over all clips."""

    labelled: float
    pseudo: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepLosses:
    """This process's part of a step."""

    total: Tensor  # scalar; its mean over processes is the loss of the step
    labelled: ClipLosses | None
    pseudo: ClipLosses | None

    def sides(self) -> Iterator[ClipLosses]:
        """Those that there are."""
        yield from (side for side in (self.labelled, self.pseudo) if side is not None)


class Objective(nn.Module):
    """What training lowers."""

    def __init__(self, model: Backbone, settings: LossSettings, *, precision: str = "float32") -> None:
        """Args:
            precision: float32, or bfloat16 autocast of what the network does not keep in float32.

        Raises: ConfigError if the losses need a tracker that the model lacks.
        """
        super().__init__()
        if settings.needs_tracker and not isinstance(model, TrajVG):
            raise ConfigError("losses of tracking, coupling and self-supervision need a model that tracks: take trajvg, or switch them off")
        if precision not in PRECISIONS:
            raise ConfigError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
        self.model, self.settings, self.precision = model, settings, precision

    def forward(self, batch: StepBatch, shares: ClipShares) -> StepLosses:
        """The losses of a batch on the model's device. A side that no loss takes is not computed."""
        labelled = self._labelled(batch.labelled) if batch.labelled is not None and self.settings.learns_from_labels else None
        pseudo = self._pseudo(batch.pseudo) if batch.pseudo is not None and self.settings.learns_from_pseudo_tracks else None
        parts = [share * side.total().sum() for side, share in ((labelled, shares.labelled), (pseudo, shares.pseudo)) if side is not None]
        return StepLosses(total=torch.stack(parts).sum() if parts else self._nothing(), labelled=labelled, pseudo=pseudo)

    def predict(self, clips: ClipBatch) -> ModelOutput:
        """The network's output on clips, in this objective's precision; without tracks where no loss asks for any."""
        dtype, device = PRECISIONS[self.precision], clips.images.device
        with nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype):
            if isinstance(self.model, TrajVG) and not self.settings.needs_tracker:
                return self.model.geometry(clips.images).output
            output: ModelOutput = self.model(clips.images, clips.query_points)
            return output

    def labelled_losses(self, output: ModelOutput, clips: ClipBatch) -> ClipLosses:
        """In float32. Raises DataError if the clips have no truth."""
        if clips.geometry is None:
            raise DataError(f"clips {', '.join(clips.keys)} have no truth; list their dataset under data.pseudo")
        return labelled_losses(output, clips, clips.geometry, self.settings)

    def pseudo_losses(self, output: ModelOutput, clips: ClipBatch) -> ClipLosses:
        """In float32."""
        assert self.settings.self_supervised is not None  # else nobody asks
        return pseudo_losses(output, clips, self.settings.self_supervised, self.settings)

    def _labelled(self, clips: ClipBatch) -> ClipLosses:
        return self.labelled_losses(self.predict(clips), clips)

    def _pseudo(self, clips: ClipBatch) -> ClipLosses:
        return self.pseudo_losses(self.predict(clips), clips)

    def _nothing(self) -> Tensor:
        """Zero, with a gradient of zero: a process without clips must still take part in the others' exchange."""
        parameter = next(parameter for parameter in self.parameters() if parameter.requires_grad)
        return 0 * parameter.flatten()[0]
