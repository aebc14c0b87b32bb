"""Records between the decoder's steps: features of anchors, a window, its states, dense flow; and the codes of time."""

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_LONGEST_WAVE = 10_000.0
_PAIR_ROW = 1  # of the time table, for a single target


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FrameFeatures:
    """Features of the anchors of frames, one anchor per 8 x 8 pixels; leading axes as the maker says."""

    geometry: Tensor  # "... D h w"
    context: Tensor  # "... ctx_dim h w"
    detail: Tensor  # "... D3 h w"
    points: Tensor  # float32 "... 3 h w", in each frame's camera

    def __getitem__(self, index: Any) -> "FrameFeatures":
        return FrameFeatures(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def flat(self) -> "FrameFeatures":
        """The two leading axes as one."""
        return FrameFeatures(**{field.name: getattr(self, field.name).flatten(0, 1) for field in fields(self)})

    def repeated(self, count: int) -> "FrameFeatures":
        """Each item of the leading axis `count` times in a row."""
        return FrameFeatures(**{field.name: getattr(self, field.name).repeat_interleave(count, dim=0) for field in fields(self)})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnchorState:
    """State of K targets at the anchors."""

    flow: Tensor  # float32 "K 2 h w", (x, y) in anchors from source to target
    flow3d: Tensor  # float32 "K 3 h w", from the source's camera axes to the target's
    visconf: Tensor  # float32 "K 2 h w", an eighth of the logits of visibility and confidence
    hidden: Tensor  # "K D h w", of the 2D flow
    detail: Tensor  # "K D3 h w", of the 3D flow


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Window:
    """A source and S targets of each of B clips, and the flows to begin from."""

    source: FrameFeatures  # "B ..."
    targets: FrameFeatures  # "B S ..."
    flow: Tensor | None = None  # "BS 2 h w", anchors; None for no motion
    flow3d: Tensor | None = None  # "BS 3 h w"
    time_row: int | None = None  # of the time table, for S = 1; None for row 1

    @property
    def num_targets(self) -> int:
        """S."""
        return self.targets.points.shape[1]

    def start_state(self, hidden: Tensor, detail: Tensor) -> AnchorState:
        """The state before the first iteration: flows as given and detached, visibility unknown, features of the source "BS ..."."""
        nowhere = hidden.new_zeros((len(hidden), 2, *hidden.shape[-2:]), dtype=torch.float32)
        return AnchorState(
            flow=nowhere if self.flow is None else self.flow.detach(),
            flow3d=nowhere[:, :1].expand(-1, 3, -1, -1) if self.flow3d is None else self.flow3d.detach(),
            visconf=nowhere,
            hidden=hidden,
            detail=detail,
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DenseFlow:
    """Flow of all pixels of B sources to S targets each."""

    flow: Tensor  # float32 "B S 2 H W", (x, y) in pixels
    flow3d: Tensor  # float32 "B S 3 H W", target's camera axes minus source's: it holds the camera's own motion
    visconf_logits: Tensor  # float32 "B S 2 H W", of visibility and confidence

    @property
    def visconf(self) -> Tensor:
        """Visibility and confidence in [0, 1], "B S 2 H W"."""
        return self.visconf_logits.sigmoid()


def time_table(length: int, width: int) -> Tensor:
    """Codes of times 0, 1, ..., float32 "length width": sines, then cosines, of waves from 2 pi to 20,000 pi frames long."""
    exponents = torch.arange(width // 2, dtype=torch.float64) / (width / 2)
    angles = torch.arange(length, dtype=torch.float64)[:, None] / _LONGEST_WAVE**exponents
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


def time_rows(table: Tensor, num_targets: int, row: int | None = None) -> Tensor:
    """Codes of S targets, "S width".

    Args:
        table: "L width".
        row: of a single target; None for row 1. Several targets have the table's rows, interpolated linearly where S is not L.
    """
    if num_targets == 1:
        chosen = _PAIR_ROW if row is None else row
        return table[chosen : chosen + 1]
    if num_targets == len(table):
        return table
    return F.interpolate(table.T[None], size=num_targets, mode="linear", align_corners=False)[0].T
