"""Network and losses as one module, so that a data-parallel wrapper sees one call per step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from networks.building import Network
from networks.layers.computing import PRECISIONS, Precision
from pipeline.errors import ConfigError
from trainer.data import ClipBatch, StepBatch
from trainer.families.protocol import Family, LossSettings
from trainer.losses import ClipLosses


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipShares:
    """Factor of one clip of each side, such that a step's gradients, averaged over all processes, are those of the mean over its clips."""

    labelled: float
    pseudo: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepLosses:
    """Losses of one batch of a step, of this process."""

    total: Tensor  # scalar; summed over batches and averaged over processes it is the loss of the step
    labelled: ClipLosses | None
    pseudo: ClipLosses | None

    def sides(self) -> Iterator[ClipLosses]:
        """Sides with clips."""
        yield from (side for side in (self.labelled, self.pseudo) if side is not None)

    def detached(self) -> "StepLosses":
        """The same numbers, which keep no graph alive."""
        labelled, pseudo = (None if side is None else side.detached() for side in (self.labelled, self.pseudo))
        return StepLosses(total=self.total.detach(), labelled=labelled, pseudo=pseudo)


class Objective(nn.Module):
    """The training objective: network and losses of a batch."""

    def __init__(self, family: Family, model: Network, settings: LossSettings, *, precision: Precision = "float32") -> None:
        """Args:
            settings: of the family.
            precision: bfloat16 autocasts what the network does not keep in float32.

        Raises: ConfigError for an unknown precision.
        """
        super().__init__()
        if precision not in PRECISIONS:
            raise ConfigError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
        self.family, self.model, self.settings, self.precision = family, model, settings, precision

    def forward(self, batch: StepBatch, shares: ClipShares) -> StepLosses:
        """Losses of a batch on the model's device. A side without a loss is not computed."""
        labelled = pseudo = None
        if batch.labelled is not None and self.settings.learns_from_labels:
            labelled = self.labelled_losses(self.predict(batch.labelled), batch.labelled)
        if batch.pseudo is not None and self.settings.learns_from_pseudo_labels:
            pseudo = self.pseudo_losses(self.predict(batch.pseudo), batch.pseudo)
        parts = [share * side.total().sum() for side, share in ((labelled, shares.labelled), (pseudo, shares.pseudo)) if side is not None]
        return StepLosses(total=torch.stack(parts).sum() if parts else self._zero(), labelled=labelled, pseudo=pseudo)

    def predict(self, clips: ClipBatch) -> Any:
        """The network's output on clips, in this objective's precision."""
        with torch.autocast(clips.images.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            return self.family.forward(self.model, clips, self.settings)

    def labelled_losses(self, output: Any, clips: ClipBatch) -> ClipLosses:
        """Losses of clips with truth, in float32. Raises: DataError if they have none."""
        return self.family.labelled_losses(output, clips, self.settings)

    def pseudo_losses(self, output: Any, clips: ClipBatch) -> ClipLosses:
        """Losses of clips with pseudo labels, in float32."""
        return self.family.pseudo_losses(output, clips, self.settings)

    @torch.no_grad()
    def pictures(self, clips: ClipBatch) -> Mapping[str, np.ndarray]:
        """Pictures of the first clip; they cost one more forward pass."""
        return self.family.pictures(clips, self.predict(clips))

    def _zero(self) -> Tensor:
        """Zero, with a gradient of zero: a process without clips must still take part in the others' exchange."""
        parameter = next(parameter for parameter in self.parameters() if parameter.requires_grad)
        return 0 * parameter.flatten()[0]
