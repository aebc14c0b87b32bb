"""Batches of clips that are made up on the spot: a plane of points before a moving camera, seen exactly."""

from collections.abc import Iterator
from typing import Any

import torch

from trainer.data import ClipBatch, DataConfig, StepBatch, parse_data_config
from trainer.losses import GeometryTruth, TrackObservations

FRAMES, SIDE, TRACKS, FOCAL = 2, 42, 5, 35.0

TINY = {
    "encoder": {"img_size": 42, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2},
    "decoder": {"dim": 16, "depth": 8, "num_heads": 2, "mlp_ratio": 2},
    "point_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 8},
    "camera_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 8},
    "point_head": {"dim_proj": 8, "dim_upsample": [32, 32, 32], "num_res_blocks": 1, "last_conv_channels": 8},
    "conf_head": {"dim_proj": 8, "dim_upsample": [32, 32, 32], "num_res_blocks": 1, "last_conv_channels": 8, "dim_out": [1]},
    "camera_head": {"dim": 8},
    "track_decoder": {"dim_in": 32, "features": 8, "out_channels": [8, 8, 8, 8], "intermediate_layer_idx": [0, 1, 2, 3]},
    "track_head": {
        "features": 8, "iters": 2, "corr_levels": 2, "hidden_size": 16, "update_depth": 1, "update_num_heads": 2,
        "num_virtual_tracks": 2, "k_neighbors": 4,
    },
}  # fmt: skip


def make_data() -> DataConfig:
    """A data section that nothing is read from: the tests bring their own batches."""
    return parse_data_config({"labelled": [{"root": "data/none"}]})


def make_clips(seed: int, num_clips: int, *, labelled: bool, side: int = SIDE) -> ClipBatch:
    """Clips whose points all lie on the plane z = 4 of the world, before a camera that goes sideways."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.rand(num_clips, FRAMES, 3, side, side, generator=draw)
    cameras = torch.eye(4).repeat(num_clips, FRAMES, 1, 1)
    cameras[:, :, 0, 3] = torch.arange(FRAMES) * (0.1 + torch.rand(num_clips, 1, generator=draw))
    y, x = torch.meshgrid(torch.arange(side) - side / 2, torch.arange(side) - side / 2, indexing="ij")
    plane = 4 * torch.stack([x / FOCAL, y / FOCAL, torch.ones_like(x)], dim=-1)
    queries = torch.rand(num_clips, TRACKS, 2, generator=draw) * 20 + 10
    world = 4 * torch.cat([(queries - side / 2) / FOCAL, torch.ones(num_clips, TRACKS, 1)], dim=-1)
    world = world[:, None].expand(-1, FRAMES, -1, -1).contiguous()
    in_camera = world - cameras[:, :, None, :3, 3]
    pixels = in_camera[..., :2] / in_camera[..., 2:] * FOCAL + side / 2
    seen = (pixels > 0).all(-1) & (pixels < side - 1).all(-1)
    observations = TrackObservations(tracks_px=pixels, frame_weights=seen.float(), static_score=torch.ones(num_clips, TRACKS))
    valid = torch.ones(num_clips, FRAMES, side, side, dtype=torch.bool)
    intrinsics = torch.tensor([[FOCAL, 0, side / 2], [0, FOCAL, side / 2], [0, 0, 1]]).expand(num_clips, FRAMES, 3, 3)
    points = plane.expand(num_clips, FRAMES, -1, -1, -1)
    truth = GeometryTruth(local_points=points, camera_to_world=cameras, valid=valid, intrinsics=intrinsics)
    return ClipBatch(
        keys=tuple(f"{'labelled' if labelled else 'pseudo'}-{seed}-{clip}" for clip in range(num_clips)),
        datasets=("plane",) * num_clips,
        licenses=("CC0",) * num_clips,
        images=images,
        query_points=queries,
        observations=observations,
        is_metric=torch.ones(num_clips, dtype=torch.bool),
        geometry=truth if labelled else None,
        tracks3d_world=world if labelled else None,
        track_valid=torch.ones_like(seen) if labelled else None,
        visibility=seen if labelled else None,
    )


class Planes:
    """Steps of such clips, counted like a StepLoader's; each process takes its share of two labelled clips and two with pseudo tracks."""

    def __init__(self, state: dict[str, Any] | None, *, rank: int = 0, world_size: int = 1) -> None:
        self.step = 0 if state is None else int(state["step"])
        self.mine = slice(rank, None, world_size)

    def __iter__(self) -> Iterator[StepBatch]:
        while True:
            labelled, pseudo = make_clips(2 * self.step, 2, labelled=True), make_clips(2 * self.step + 1, 2, labelled=False)
            self.step += 1
            yield StepBatch(step=self.step - 1, labelled=share(labelled, self.mine), pseudo=share(pseudo, self.mine))

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        return {"step": self.step}


def share(clips: ClipBatch, mine: slice) -> ClipBatch:
    """Some clips of a batch."""
    seen, truth = clips.observations, clips.geometry
    assert seen.static_score is not None
    return ClipBatch(
        keys=clips.keys[mine],
        datasets=clips.datasets[mine],
        licenses=clips.licenses[mine],
        images=clips.images[mine],
        query_points=clips.query_points[mine],
        observations=TrackObservations(
            tracks_px=seen.tracks_px[mine], frame_weights=seen.frame_weights[mine], static_score=seen.static_score[mine]
        ),
        is_metric=clips.is_metric[mine],
        geometry=None
        if truth is None
        else GeometryTruth(local_points=truth.local_points[mine], camera_to_world=truth.camera_to_world[mine], valid=truth.valid[mine]),
        tracks3d_world=None if clips.tracks3d_world is None else clips.tracks3d_world[mine],
        track_valid=None if clips.track_valid is None else clips.track_valid[mine],
        visibility=None if clips.visibility is None else clips.visibility[mine],
    )
