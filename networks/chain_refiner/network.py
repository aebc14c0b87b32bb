"""A small network that refines chains of optical flow: how like the query each place is that a chain, or a search, proposes.

Per point and frame it sees the correlation of the query's feature with features around the chain's place and around the best place of
the whole frame, and what the chain says of itself; it mixes that over time and gives a place, and whether the point is seen there.
Ours, trained by benchmarks/refiner_gate.py.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.building import Network
from networks.chain_refiner.correlation import COARSE, FINE, RADIUS, best_place, correlations, features_at, patches, to_cells

FINE_DIM, COARSE_DIM = 40, 64
WIDTH, HEADS, BLOCKS = 128, 4, 3
CLUES = 9  # numbers that a chain says of itself per point and frame, see labelers.refined_flow.clues
ITERATIONS = 2
RESIDUAL_PX = 4.0  # a unit of the residuals
UNIT_FRAMES, MOST_UNITS = 24, 2.0  # of the time since the query; it learned on windows of 48 frames at most
_PATCH = (2 * RADIUS + 1) ** 2
_OTHERS = 15  # numbers beside patches and clues


@dataclass(frozen=True, slots=True)
class ChainRefinerConfig:
    """Its sizes are those of the constants of this module: there is one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Chains:
    """N points in a window of T frames, as chains of optical flow follow them. In pixels of the frames that the network sees."""

    queries: Tensor  # float32 "N 3", (t, x, y); t counts from the window's first frame, and may lie outside the window
    chain_px: Tensor  # float32 "T N 2"
    clues: Tensor  # float32 "T N CLUES"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """Unit features with cells of FINE and of COARSE pixels: maps "T C h w" of frames, or "N C" of queries."""

    fine: Tensor
    coarse: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Estimate:
    """One iteration: two places to go on from, where each should be, and what is thought of them."""

    start_px: Tensor  # "T N 2": where the iteration began
    refined_px: Tensor  # "T N 2": that, corrected
    matched_px: Tensor  # "T N 2": the place found by the search, corrected
    choice: Tensor  # "T N": logit of taking the matched place
    visibility: Tensor  # "T N": logit
    certainty: Tensor  # "T N": logit of being right within a few pixels

    @property
    def place_px(self) -> Tensor:
        """The place that is chosen, "T N 2"."""
        return torch.where(self.choice[..., None] > 0, self.matched_px, self.refined_px)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChainRefinerOutput:
    """All iterations, and the search."""

    estimates: tuple[Estimate, ...]
    search_px: Tensor  # "T N 2": where the search found the query
    search_logits: Tensor  # "T N h w": of the cells of the coarse map


class ChainRefiner(Network):
    """See the module. All convolutions see single frames: those of a window do not touch each other before the blocks, points never do."""

    config_type: ClassVar[type] = ChainRefinerConfig

    def __init__(self, config: ChainRefinerConfig) -> None:
        super().__init__(config)
        self.features = FeatureMaps()
        self.sharpness = nn.Parameter(torch.empty(()))
        self.enter = nn.Linear(3 * _PATCH + CLUES + _OTHERS, WIDTH)
        self.blocks = nn.ModuleList(MixerBlock() for _ in range(BLOCKS))
        self.leave = nn.LayerNorm(WIDTH)
        self.heads = nn.Linear(WIDTH, 7)
        self._begin_at_the_chain()

    def initialise(self, generator: torch.Generator) -> None:
        """As a network's; it begins at the chain."""
        super().initialise(generator)
        self._begin_at_the_chain()

    def fill_constants(self) -> None:
        """There are no buffers."""

    @torch.no_grad()
    def _begin_at_the_chain(self) -> None:
        """Heads that say nothing, and trust in the chain's place more than in the search's."""
        self.sharpness.fill_(math.log(10.0))
        self.heads.weight.zero_()
        self.heads.bias.zero_()
        self.heads.bias[4] = -2.0

    def maps(self, frames: Tensor) -> Features:
        """Of frames, float32 "T 3 H W" in [0, 1]. Raises: ValueError for frames whose sides are no multiples of COARSE."""
        height, width = frames.shape[-2:]
        if height % COARSE or width % COARSE:
            raise ValueError(f"frames are {width}x{height}, expected multiples of {COARSE}")
        fine, coarse = self.features(frames)
        return Features(fine=fine, coarse=coarse)

    def forward(self, maps: Features, queries: Features, chains: Chains) -> ChainRefinerOutput:
        """Refine chains.

        Args:
            maps: of the window's frames. queries: of the points, see `features_of`.
        """
        size = (maps.coarse.shape[-2] * COARSE, maps.coarse.shape[-1] * COARSE)
        fine = correlations(maps.fine, queries.fine)
        coarse = correlations(maps.coarse, queries.coarse)
        logits = coarse * self.sharpness.exp()
        search_px, score = best_place(logits)
        beside_search = patches(fine, to_cells(search_px, FINE))
        start, estimates = chains.chain_px, []
        for _ in range(ITERATIONS):
            around = (patches(fine, to_cells(start, FINE)), patches(coarse, to_cells(start, COARSE)), beside_search)
            others = beside_patches(chains, size, start, search_px, score)
            estimates.append(self._estimate(torch.cat([*around, chains.clues, others], dim=-1), start, search_px))
            start = estimates[-1].place_px.detach()
        return ChainRefinerOutput(estimates=tuple(estimates), search_px=search_px, search_logits=logits)

    def _estimate(self, seen: Tensor, start: Tensor, search_px: Tensor) -> Estimate:
        tokens = self.enter(seen).transpose(0, 1)  # "N T C"
        for block in self.blocks:
            tokens = block(tokens)
        out = self.heads(self.leave(tokens)).transpose(0, 1)
        return Estimate(
            start_px=start,
            refined_px=start + RESIDUAL_PX * out[..., 0:2],
            matched_px=search_px.detach() + RESIDUAL_PX * out[..., 2:4],
            choice=out[..., 4],
            visibility=out[..., 5],
            certainty=out[..., 6],
        )


class FeatureMaps(nn.Module):
    """Two maps of unit features of every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, kernel=7, stride=2), _conv(16, FINE_DIM, stride=2))
        self.fine = Residual(FINE_DIM)
        self.fine_out = nn.Conv2d(FINE_DIM, FINE_DIM, 1)
        self.down = _conv(FINE_DIM, COARSE_DIM, stride=2)
        self.coarse = Residual(COARSE_DIM)
        self.coarse_out = nn.Conv2d(COARSE_DIM, COARSE_DIM, 1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames "T 3 H W" to maps "T C h w" with cells of FINE and of COARSE pixels."""
        fine = self.fine(self.stem(2 * frames - 1))
        coarse = self.coarse(self.down(fine))
        return F.normalize(self.fine_out(fine), dim=1), F.normalize(self.coarse_out(coarse), dim=1)


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.second = _conv(dim, dim), _conv(dim, dim)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps "T C h w" to maps of the same shape."""
        result: Tensor = maps + self.second(self.first(maps))
        return result


class MixerBlock(nn.Module):
    """Mixes each point's tokens over time: with neighbouring frames, with all frames, and within the token."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.near = nn.Conv1d(WIDTH, WIDTH, 5, padding=2, groups=WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens "N T C" to tokens of the same shape."""
        tokens = tokens + self.near(self.norms[0](tokens).transpose(1, 2)).transpose(1, 2)
        tokens = tokens + self._attend(self.norms[1](tokens))
        result: Tensor = tokens + self.mlp(self.norms[2](tokens))
        return result

    def _attend(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).unflatten(-1, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        result: Tensor = self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))
        return result


def _conv(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, norm of each frame, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(8, outputs), nn.ReLU())


def features_of(maps: Features, queries: Tensor) -> Features:
    """Of queries "N 3", (t, x, y), each where and when it is asked among the frames of the maps."""
    return Features(fine=features_at(maps.fine, queries, FINE), coarse=features_at(maps.coarse, queries, COARSE))


def beside_patches(chains: Chains, size: tuple[int, int], start: Tensor, search_px: Tensor, score: Tensor) -> Tensor:
    """What else is seen: where the search points, motion, borders, time. "T N _OTHERS"; no gradient flows from it.

    Args:
        size: (height, width) of the frames.
    """
    start, search_px, chain = start.detach(), search_px.detach(), chains.chain_px
    last = start.new_tensor(size[::-1]) - 0.5
    frames = torch.arange(len(start), device=start.device, dtype=start.dtype)[:, None]
    since = ((frames - chains.queries[:, 0]) / UNIT_FRAMES).clamp(-MOST_UNITS, MOST_UNITS)
    ahead = F.pad(start[1:] - start[:-1], (0, 0, 0, 0, 0, 1))
    behind = F.pad(start[1:] - start[:-1], (0, 0, 0, 0, 1, 0))
    parts = [
        _squeezed((search_px - start) / COARSE),
        _squeezed((start - chain) / COARSE),
        _squeezed(ahead / COARSE),
        _squeezed(behind / COARSE),
        ((start + 0.5) / 32).clamp(-1, 1),
        ((last - start) / 32).clamp(-1, 1),
        score.detach()[..., None],
        since[..., None],
        since.abs()[..., None],
    ]
    return torch.cat(parts, dim=-1)


def _squeezed(values: Tensor) -> Tensor:
    """sign(x) log(1 + |x|)."""
    return values.sign() * values.abs().log1p()
