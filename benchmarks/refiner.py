"""A small network that refines chains of optical flow: how like the query each place is that a chain, or a search, proposes.

Per point and frame it sees the correlation of the query's feature with features around the chain's place and around the best place of
the whole frame, and what the chain says of itself; it mixes that over time and gives a place, and whether the point is seen there.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FINE, COARSE = 4, 8  # pixels a cell of the two feature maps
FINE_DIM, COARSE_DIM = 40, 64
WIDTH, HEADS, BLOCKS = 128, 4, 3
RADIUS = 3  # of patches of correlations, in cells
SEARCH_RADIUS = 2  # of the neighbourhood of the best cell that its place is averaged over
CLUES = 9  # numbers that a chain says of itself per point and frame, see refiner_clips.clues
ITERATIONS = 2
RESIDUAL_PX = 4.0  # a unit of the residuals
_PATCH = (2 * RADIUS + 1) ** 2
_OTHERS = 15  # numbers beside patches and clues


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RefinerInput:
    """One window: T frames, N points."""

    frames: Tensor  # float32 "T 3 H W" in [0, 1]; H and W are multiples of COARSE
    queries: Tensor  # float32 "N 3", (t, x, y)
    chain_px: Tensor  # float32 "T N 2"
    clues: Tensor  # float32 "T N CLUES"


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
class RefinerOutput:
    """All iterations, and the search."""

    estimates: tuple[Estimate, ...]
    search_px: Tensor  # "T N 2": where the search found the query
    search_logits: Tensor  # "T N h w": of the cells of the coarse map


class Refiner(nn.Module):
    """See the module. All convolutions over images see single frames: frames of a window do not touch each other before the mixer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = FeatureMaps()
        self.sharpness = nn.Parameter(torch.tensor(math.log(10.0)))
        self.enter = nn.Linear(3 * _PATCH + CLUES + _OTHERS, WIDTH)
        self.blocks = nn.ModuleList(MixerBlock() for _ in range(BLOCKS))
        self.leave = nn.LayerNorm(WIDTH)
        self.heads = nn.Linear(WIDTH, 7)
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)
        with torch.no_grad():
            self.heads.bias[4] = -2.0  # at first the chain is trusted

    def forward(self, given: RefinerInput) -> RefinerOutput:
        """Raises: ValueError for frames whose sides are no multiples of COARSE."""
        height, width = given.frames.shape[-2:]
        if height % COARSE or width % COARSE:
            raise ValueError(f"frames are {width}x{height}, expected multiples of {COARSE}")
        fine_map, coarse_map = self.features(given.frames)
        fine = correlations(fine_map, given.queries, FINE)
        coarse = correlations(coarse_map, given.queries, COARSE)
        logits = coarse * self.sharpness.exp()
        search_px, score = best_place(logits)
        beside_search = patches(fine, to_cells(search_px, FINE))
        start, estimates = given.chain_px, []
        for _ in range(ITERATIONS):
            around = (patches(fine, to_cells(start, FINE)), patches(coarse, to_cells(start, COARSE)), beside_search)
            others = beside_patches(given, start, search_px, score)
            estimates.append(self._estimate(torch.cat([*around, given.clues, others], dim=-1), start, search_px))
            start = estimates[-1].place_px.detach()
        return RefinerOutput(estimates=tuple(estimates), search_px=search_px, search_logits=logits)

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


def to_cells(places_px: Tensor, stride: int) -> Tensor:
    """Pixels to cells of a map of that stride (integers are centres)."""
    return (places_px + 0.5) / stride - 0.5


def correlations(maps: Tensor, queries: Tensor, stride: int) -> Tensor:
    """Products of each query's feature, where and when it is asked, with every cell of every frame.

    Args:
        maps: "T C h w", unit features. queries: "N 3", (t, x, y) in pixels.
    Returns: "T N h w" in [-1, 1].
    """
    num_frames, dim, height, width = maps.shape
    cells, frame = to_cells(queries[:, 1:], stride), queries[:, 0].long()
    found, single_maps = [], maps.unbind()  # slices would each send back a gradient of the size of all maps
    for t in torch.unique(frame).tolist():
        asked = torch.nonzero(frame == t)[:, 0]
        places = _normalised(cells[asked], height, width)[None, None]
        sampled = F.grid_sample(single_maps[t][None], places, align_corners=True, padding_mode="border")[0, :, 0].T
        found.append((asked, sampled))
    order = torch.cat([asked for asked, _ in found])
    features = torch.cat([sampled for _, sampled in found])[torch.argsort(order)]
    return (F.normalize(features, dim=1) @ maps.flatten(2)).view(num_frames, -1, height, width)


def patches(volume: Tensor, cells: Tensor) -> Tensor:
    """A square of RADIUS cells around a place in each point's own map, bilinear, 0 beyond the map.

    Args:
        volume: "T N h w". cells: "T N 2", (x, y) in cells; no gradient flows to them.
    Returns: "T N (2 RADIUS + 1)^2", rows of the square one after the other.
    """
    num_frames, num_points, height, width = volume.shape
    return _squares(volume, cells, RADIUS).reshape(num_frames, num_points, -1)


def _squares(volume: Tensor, cells: Tensor, radius: int) -> Tensor:
    height, width = volume.shape[-2:]
    step = torch.arange(-radius, radius + 1, device=volume.device, dtype=volume.dtype)
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1)  # "s s 2", (x, y)
    places = cells.detach().flatten(0, 1)[:, None, None] + offsets
    return F.grid_sample(volume.flatten(0, 1)[:, None], _normalised(places, height, width), align_corners=True)[:, 0]


def _normalised(cells: Tensor, height: int, width: int) -> Tensor:
    """Cells (x, y) as grid_sample wants them with aligned corners."""
    return 2 * cells / cells.new_tensor([max(width - 1, 1), max(height - 1, 1)]) - 1


def best_place(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The best cell of every map, averaged with its neighbours by their softmax.

    Args:
        logits: "T N h w" of the coarse map.
    Returns: pixels "T N 2", and the share of the whole softmax that this neighbourhood holds, "T N" in [0, 1]. Gradient flows to the
        logits, through the averages.
    """
    num_frames, num_points, height, width = logits.shape
    best = logits.detach().flatten(2).argmax(dim=-1)
    cells = torch.stack([best % width, best // width], dim=-1).to(logits.dtype)
    near = _squares(logits, cells, SEARCH_RADIUS).view(num_frames, num_points, -1)
    step = torch.arange(-SEARCH_RADIUS, SEARCH_RADIUS + 1, device=logits.device, dtype=logits.dtype)
    offsets = torch.stack(torch.meshgrid(step, step, indexing="xy"), dim=-1).flatten(0, 1)
    places = cells[:, :, None] + offsets
    inside = ((places >= 0) & (places <= places.new_tensor([width - 1, height - 1]))).all(dim=-1)
    near = near.masked_fill(~inside, -torch.inf)
    average = cells + (near.softmax(dim=-1)[..., None] * offsets).sum(dim=-2)
    share = (near.logsumexp(dim=-1) - logits.flatten(2).logsumexp(dim=-1)).exp()
    return (average + 0.5) * COARSE - 0.5, share


def beside_patches(given: RefinerInput, start: Tensor, search_px: Tensor, score: Tensor) -> Tensor:
    """What else is seen: where the search points, motion, borders, time. "T N _OTHERS"; no gradient flows from it."""
    height, width = given.frames.shape[-2:]
    start, search_px, chain = start.detach(), search_px.detach(), given.chain_px
    size = start.new_tensor([width, height])
    frames = torch.arange(len(start), device=start.device, dtype=start.dtype)[:, None]
    since = (frames - given.queries[:, 0]) / 24
    ahead = F.pad(start[1:] - start[:-1], (0, 0, 0, 0, 0, 1))
    behind = F.pad(start[1:] - start[:-1], (0, 0, 0, 0, 1, 0))
    parts = [
        _squeezed((search_px - start) / COARSE),
        _squeezed((start - chain) / COARSE),
        _squeezed(ahead / COARSE),
        _squeezed(behind / COARSE),
        ((start + 0.5) / 32).clamp(-1, 1),
        ((size - 0.5 - start) / 32).clamp(-1, 1),
        score.detach()[..., None],
        since[..., None],
        since.abs()[..., None],
    ]
    return torch.cat(parts, dim=-1)


def _squeezed(values: Tensor) -> Tensor:
    """sign(x) log(1 + |x|)."""
    return values.sign() * values.abs().log1p()
