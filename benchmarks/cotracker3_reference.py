"""CoTracker3 as its public code computes it, in the plainest form: what our engine is checked and timed against.

Nothing is made faster or slower: every call encodes all its frames (200 at once), patches come from grid_sample at 49 points each, volumes
and attention are written out, and the centre features that nothing reads are sampled too.
Shapes: B clips, T frames, N points, S frames of a window; points are (x, y), in feature cells (pixels / 4) inside the model.
Source: arXiv 2410.11831 and the behaviour of facebookresearch/co-tracker at commit 82e02e8, described in our own words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812  the name that everyone knows
from torch import Tensor, nn

STRIDE, RADIUS, LEVELS, CHANNELS, HIDDEN, HEADS, ENCODER_CHUNK = 4, 3, 4, 128, 384, 8, 200
PATCH = 2 * RADIUS + 1
TOKEN = 2 + LEVELS * 256 + 84


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """Tracks "B T N 2" in pixels, visibility and confidence "B T N" as probabilities."""

    tracks: Tensor
    visibility: Tensor
    confidence: Tensor


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a strided 1x1 convolution where the size changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = nn.InstanceNorm2d(outputs), nn.InstanceNorm2d(outputs)
        self.downsample = None if stride == 1 else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride), nn.InstanceNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(self.norm2(self.conv2(y)))
        return F.relu((x if self.downsample is None else self.downsample(x)) + y)


class Encoder(nn.Module):
    """Images "M 3 H W" in [-1, 1] to features "M 128 H/4 W/4"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3), nn.InstanceNorm2d(64)
        self.layer1 = nn.Sequential(ResidualBlock(64, 64, 1), ResidualBlock(64, 64, 1))
        self.layer2 = nn.Sequential(ResidualBlock(64, 96, 2), ResidualBlock(96, 96, 1))
        self.layer3 = nn.Sequential(ResidualBlock(96, 128, 2), ResidualBlock(128, 128, 1))
        self.layer4 = nn.Sequential(ResidualBlock(128, 128, 2), ResidualBlock(128, 128, 1))
        self.conv2, self.norm2 = nn.Conv2d(416, 256, 3, 1, 1), nn.InstanceNorm2d(256)
        self.conv3 = nn.Conv2d(256, CHANNELS, 1)

    def forward(self, images: Tensor) -> Tensor:
        size = (images.shape[-2] // STRIDE, images.shape[-1] // STRIDE)
        x, stages = F.relu(self.norm1(self.conv1(images))), []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            stages.append(F.interpolate(x, size, mode="bilinear", align_corners=True))
        return self.conv3(F.relu(self.norm2(self.conv2(torch.cat(stages, 1)))))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, inputs: int, hidden: int, outputs: int, gelu: str) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(inputs, hidden), nn.GELU(gelu), nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class Attention(nn.Module):
    """Eight heads of 48, written out."""

    def __init__(self) -> None:
        super().__init__()
        self.to_q, self.to_kv, self.to_out = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 2 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        k, v = self.to_kv(context).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in (self.to_q(x), k, v))
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        return self.to_out((weights @ v).transpose(1, 2).flatten(2))


class SelfBlock(nn.Module):
    """Self attention, then an MLP, each beside a shortcut and behind a layer norm without parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(HIDDEN, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.attn, self.mlp = Attention(), Mlp(HIDDEN, 4 * HIDDEN, HIDDEN, "tanh")

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        x = x + self.attn(normed, normed)
        return x + self.mlp(self.norm2(x))


class CrossBlock(nn.Module):
    """The same with attention to a context, whose layer norm has parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(HIDDEN, elementwise_affine=False, eps=1e-6) for _ in range(2))
        self.norm_context = nn.LayerNorm(HIDDEN)
        self.cross_attn, self.mlp = Attention(), Mlp(HIDDEN, 4 * HIDDEN, HIDDEN, "tanh")

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        x = x + self.cross_attn(self.norm1(x), self.norm_context(context))
        return x + self.mlp(self.norm2(x))


class UpdateTransformer(nn.Module):
    """Tokens "B N T 1110" to updates (dx, dy, visibility, confidence) "B N T 4"."""

    def __init__(self) -> None:
        super().__init__()
        self.virual_tracks = nn.Parameter(torch.zeros(1, 64, 1, HIDDEN))  # spelled so in the public checkpoints
        self.input_transform = nn.Linear(TOKEN, HIDDEN)
        self.flow_head, self.vis_conf_head = nn.Linear(HIDDEN, 2), nn.Linear(HIDDEN, 2)
        self.time_blocks = nn.ModuleList(SelfBlock() for _ in range(3))
        self.space_virtual_blocks = nn.ModuleList(SelfBlock() for _ in range(3))
        self.space_point2virtual_blocks = nn.ModuleList(CrossBlock() for _ in range(3))
        self.space_virtual2point_blocks = nn.ModuleList(CrossBlock() for _ in range(3))

    def forward(self, tokens: Tensor) -> Tensor:
        B, N, T, _ = tokens.shape
        x = torch.cat([self.input_transform(tokens), self.virual_tracks.repeat(B, 1, T, 1)], 1)
        for k in range(3):
            x = self.time_blocks[k](x.flatten(0, 1)).unflatten(0, (B, -1))
            per_frame = x.transpose(1, 2).flatten(0, 1)
            points, virtual = per_frame[:, :N], per_frame[:, N:]
            virtual = self.space_virtual_blocks[k](self.space_virtual2point_blocks[k](virtual, points))
            points = self.space_point2virtual_blocks[k](points, virtual)
            x = torch.cat([points, virtual], 1).unflatten(0, (B, T)).transpose(1, 2)
        return torch.cat([self.flow_head(x[:, :N]), self.vis_conf_head(x[:, :N])], -1)


class ReferenceCoTracker3(nn.Module):
    """What the offline and the online model share. `model_resolution` is (H, W); video is "B T 3 H W" in 0..255."""

    def __init__(self, window_len: int, model_resolution: tuple[int, int]) -> None:
        super().__init__()
        self.window_len, self.model_resolution = window_len, model_resolution
        angles = torch.arange(window_len, dtype=torch.float64)[:, None] * 10000 ** (-torch.arange(555, dtype=torch.float64) / 555)
        self.register_buffer("time_emb", torch.cat([angles.sin(), angles.cos()], -1)[None].float())
        self.fnet, self.updateformer = Encoder(), UpdateTransformer()
        self.corr_mlp = Mlp(PATCH**4, 384, 256, "none")

    def encode(self, video: Tensor) -> list[Tensor]:
        """The pyramid: unit-length features "B T 128 h w", then halved three times by averaging."""
        images = 2 * (video / 255.0) - 1.0
        features = torch.cat([self.fnet(part.flatten(0, 1)).unflatten(0, part.shape[:2]) for part in images.split(ENCODER_CHUNK, 1)], 1)
        pyramid = [features / features.square().sum(2, keepdim=True).clamp_min(1e-12).sqrt()]
        for _ in range(LEVELS - 1):
            pyramid.append(F.avg_pool2d(pyramid[-1].flatten(0, 1), 2).unflatten(0, video.shape[:2]))
        return pyramid

    def query_patches(self, pyramid: Sequence[Tensor], frames: Tensor, points: Tensor) -> list[Tensor]:
        """Per level "B N 7 7 128" around points "B N 2" (cells) of frames "B N", sampled in (t, x, y) together."""
        offsets, patches, centres = _offsets(points), [], []
        for level, features in enumerate(pyramid):
            time = frames[:, None, :, None].to(points).expand(-1, PATCH * PATCH, -1, -1)
            around = torch.cat([points[:, None] / 2**level + offsets[:, None], time], -1)  # "B 49 N 3"
            sampled = _sample(features.transpose(1, 2), around[..., None, :])[..., 0]  # "B 128 49 N"
            patches.append(sampled.permute(0, 3, 2, 1).unflatten(2, (PATCH, PATCH)).contiguous())
            centres.append(sampled[:, :, PATCH * PATCH // 2, None].repeat(1, 1, features.shape[1], 1))  # never read, as in the public code
        return patches

    def refine(self, pyramid: Sequence[Tensor], patches: Sequence[Tensor], state: Tensor, iters: int) -> Tensor:
        """Update the state "B T N 4", which is (x, y) in cells, visibility logit, confidence logit, `iters` times."""
        for _ in range(iters):
            tracks, logits = state[..., :2].detach(), state[..., 2:]
            tokens = torch.cat([logits, *self._correlate(pyramid, patches, tracks), self._motion(tracks)], -1).transpose(1, 2)
            state = torch.cat([tracks, logits], -1) + self.updateformer(tokens + self._time(state.shape[1])).transpose(1, 2)
        return state

    def _correlate(self, pyramid: Sequence[Tensor], patches: Sequence[Tensor], tracks: Tensor) -> list[Tensor]:
        """Per level "B T N 256": every cell of the patch here with every cell of the query's patch."""
        B, T, N, _ = tracks.shape
        offsets, embeddings = _offsets(tracks), []
        for level, (features, patch) in enumerate(zip(pyramid, patches, strict=True)):
            around = tracks[..., None, :] / 2**level + offsets  # "B T N 49 2"
            sampled = _sample(features.flatten(0, 1), around.flatten(0, 1))  # "BT 128 N 49"
            target = sampled.unflatten(0, (B, T)).permute(0, 1, 3, 4, 2).unflatten(3, (PATCH, PATCH))
            volume = torch.einsum("btnhwc,bnijc->btnhwij", target, patch)
            embeddings.append(self.corr_mlp(volume.reshape(B, T, N, PATCH**4)))
        return embeddings

    def _motion(self, tracks: Tensor) -> Tensor:
        """Steps to the next and from the previous frame with their sines, "B T N 84"."""
        steps = (tracks[:, 1:] - tracks[:, :-1]) / (tracks.new_tensor(self.model_resolution[::-1]) / STRIDE)
        motion = torch.cat([F.pad(-steps, (0, 0, 0, 0, 0, 1)), F.pad(steps, (0, 0, 0, 0, 1, 0))], -1)
        angles = (motion[..., None, :] * 2.0 ** torch.arange(10, device=tracks.device)[:, None]).flatten(-2)
        return torch.cat([motion, angles.sin(), (angles + 0.5 * torch.pi).sin()], -1)

    def _time(self, num_frames: int) -> Tensor:
        """The time embedding, "1 1 T 1110"."""
        if num_frames == self.window_len:
            return self.time_emb[:, None]
        return F.interpolate(self.time_emb.transpose(1, 2), num_frames, mode="linear").transpose(1, 2)[:, None]


class ReferenceOffline(ReferenceCoTracker3):
    """The whole clip in one window."""

    def __init__(self, *, model_resolution: tuple[int, int] = (384, 512), window_len: int = 60) -> None:
        super().__init__(window_len, model_resolution)

    def forward(self, video: Tensor, queries: Tensor, iters: int = 4) -> Prediction:
        """Queries are "B N 3" (t, x, y) in pixels of the video."""
        pyramid = self.encode(video)
        patches = self.query_patches(pyramid, queries[..., 0].long(), queries[..., 1:] / STRIDE)
        return _prediction(self.refine(pyramid, patches, _at_query(queries, video.shape[1]), iters))


@dataclass(kw_only=True, slots=True, eq=False)
class StreamState:
    """What the online model carries from window to window of one video."""

    start: int = 0  # first frame of the next window
    patches: list[Tensor] = field(default_factory=list)
    stored: Tensor | None = None  # "B T N 4" of all frames so far


class ReferenceOnline(ReferenceCoTracker3):
    """Windows of 16 frames that overlap by half."""

    def __init__(self, *, model_resolution: tuple[int, int] = (384, 512), window_len: int = 16) -> None:
        super().__init__(window_len, model_resolution)
        self.step = window_len // 2

    def forward(self, video: Tensor, queries: Tensor, iters: int = 4) -> Prediction:
        """The whole video at once. No more than half a window of frames gives zeros and one half, as the public code does."""
        T, S = video.shape[1], self.window_len
        pyramid = self.encode(_repeat_last(video, -T % S))
        patches = self.query_patches(pyramid, queries[..., 0].long(), queries[..., 1:] / STRIDE)
        stored = queries.new_zeros(len(queries), T, queries.shape[1], 4)
        for start in range(0, self.step * ((T - S + self.step - 1) // self.step + 1), self.step):
            state = StreamState(start=start, patches=patches, stored=stored)
            result = self._window([level[:, start : start + S] for level in pyramid], queries, state, iters)
            stored[:, start : start + S] = result[:, : T - start]
        return _prediction(stored)

    def stream(self, chunk: Tensor, queries: Tensor, state: StreamState, iters: int = 4) -> Prediction:
        """The next chunk of a video, which begins with the last half window of the one before; everything predicted so far."""
        num_frames, S, first = chunk.shape[1], self.window_len, state.stored is None
        added = queries.new_zeros(len(queries), num_frames if first else min(self.step, num_frames - self.step), queries.shape[1], 4)
        state.stored = added if state.stored is None else torch.cat([state.stored, added], 1)
        pyramid = self.encode(_repeat_last(chunk, S - num_frames))
        frames = queries[..., 0].long()
        new = (frames >= (0 if first else state.start + self.step)) & (frames < state.start + S)
        here = self.query_patches(pyramid, frames - state.start, queries[..., 1:] / STRIDE)
        sampled = [patch * new[..., None, None, None] for patch in here]
        state.patches = sampled if first else [old + patch for old, patch in zip(state.patches, sampled, strict=True)]
        state.stored[:, state.start :] = self._window(pyramid, queries, state, iters)[:, :num_frames]
        state.start += self.step
        return _prediction(state.stored)

    def _window(self, pyramid: Sequence[Tensor], queries: Tensor, state: StreamState, iters: int) -> Tensor:
        """One window, begun with what the window before said of its first half. Points queried later do not correlate yet."""
        frames, begun = queries[..., 0].long(), _at_query(queries, self.window_len)
        if state.start > 0 and state.stored is not None:
            known = (frames < state.start + self.step)[:, None, :, None]
            begun = torch.where(known, _repeat_last(state.stored[:, state.start : state.start + self.step], self.step), begun)
        seen = (frames < state.start + self.window_len)[..., None, None, None]
        return self.refine(pyramid, [patch * seen for patch in state.patches], begun, iters)


def _offsets(like: Tensor) -> Tensor:
    """ "49 2": x outside, y inside."""
    steps = torch.arange(-RADIUS, RADIUS + 1, device=like.device, dtype=like.dtype)
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).flatten(0, 1)


def _sample(maps: Tensor, points: Tensor) -> Tensor:
    """grid_sample with integer = centre of a cell and repeated borders; points (x, y) or (x, y, t) in cells."""
    sizes = points.new_tensor(maps.shape[2:][::-1])
    return F.grid_sample(maps, 2 * points / (sizes - 1).clamp_min(1) - 1, padding_mode="border", align_corners=True)


def _at_query(queries: Tensor, num_frames: int) -> Tensor:
    """The state that a window begins with, "B T N 4"."""
    return F.pad(queries[:, None, :, 1:] / STRIDE, (0, 2)).expand(-1, num_frames, -1, -1)


def _prediction(state: Tensor) -> Prediction:
    return Prediction(tracks=state[..., :2] * STRIDE, visibility=state[..., 2].sigmoid(), confidence=state[..., 3].sigmoid())


def _repeat_last(x: Tensor, count: int) -> Tensor:
    return torch.cat([x, x[:, -1:].expand(-1, count, *x.shape[2:])], 1) if count else x
