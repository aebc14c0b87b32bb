"""Parts of the GPU suite that train: TrajVG's full-size step, and the same step under data parallelism of one process.

Clips are made up: noise for images, and a wall seen by a camera that moves and turns, with its true depth, cameras and tracks.
"""

import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from full_size import peak_memory, seconds_of, spread
from gpu_suite_pairs import TOY_GEOMETRY
from gpu_suite_rows import Row, SuiteOptions
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from networks import build_model
from networks.building import Network
from pipeline.errors import DataError
from trainer.data import StepBatch
from trainer.data.batches import PreparedClip, PreparedTruth, collate
from trainer.families import ClipShares
from trainer.loop import TrainConfig, read_config
from trainer.loop.flops import peak_tflops
from trainer.loop.optimisation import freeze
from trainer.loop.step_report import ProcessRank, StepReport
from trainer.loop.train_step import TrainStep, make_objective

WALL_M = 4.0  # from the first camera, square to its axis
_WARM_STEPS = 2  # the first counts operations, with nothing compiled
_EXACT = 1e-6  # a relative difference that is rounding
_TOY_TRAJVG = {
    **TOY_GEOMETRY,
    "track_decoder": {"dim_in": 32, "features": 8, "out_channels": [4, 4, 8, 8], "intermediate_layer_idx": [0, 0, 0, 0]},
    "track_head": {
        **{"features": 8, "iters": 2, "corr_levels": 2, "hidden_size": 16, "k_neighbors": 4},
        **{"update_depth": 1, "update_num_heads": 2, "num_virtual_tracks": 4},
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSize:
    """Clips of a step, and their sizes."""

    labelled: int
    pseudo: int
    frames: int
    side: int = 504  # pixels: 36 patches of 14

    @property
    def images(self) -> int:
        """Of a step."""
        return (self.labelled + self.pseudo) * self.frames


CLIPS = BatchSize(labelled=3, pseudo=1, frames=6)
ONE_CLIP = BatchSize(labelled=1, pseudo=0, frames=24)
TOY_CLIPS = BatchSize(labelled=1, pseudo=1, frames=2, side=56)
TOY_ONE_CLIP = BatchSize(labelled=1, pseudo=0, frames=3, side=56)


def training_steps(options: SuiteOptions) -> Iterator[Row]:
    """Stage 2 on 24 images: of four clips, one of which has tracks alone; then of one clip, where attention across frames costs most."""
    return _steps(options, make_config(options), "")


def compiled_steps(options: SuiteOptions) -> Iterator[Row]:
    """The same with compiled transformer blocks; compiling is not in the seconds."""
    return _steps(options, make_config(options, "model.config.computing.compile=true"), ", compiled blocks")


def _steps(options: SuiteOptions, config: TrainConfig, remark: str) -> Iterator[Row]:
    where = torch.device(options.device)
    step = TrainStep(make_model(config, where), config, ProcessRank(device=where))
    for size in (TOY_CLIPS, TOY_ONE_CLIP) if options.toy else (CLIPS, ONE_CLIP):
        row = _step(step, make_batch(size, config.data.num_tracks).to(where), size, options)
        yield replace(row, what=row.what + remark)


def _step(step: TrainStep, batch: StepBatch, size: BatchSize, options: SuiteOptions) -> Row:
    config, where = step.config, step.process.device
    for number in range(_WARM_STEPS):
        _checked(step([batch], number, wait_s=0.0))
    reports, seconds = [], []
    with peak_memory(where) as memory:
        for number in range(_WARM_STEPS, _WARM_STEPS + options.repeats):
            step_s, report = seconds_of(lambda number=number: step([batch], number, wait_s=0.0), where)
            reports.append(_checked(report))
            seconds.append(step_s)
    timed, tflops = spread(seconds), reports[-1].tflops
    assert tflops is not None, "every step is logged, and its operations counted"
    rate, peak = tflops / timed["median"], options.peak_tflops or peak_tflops(where, config.precision)
    return Row(
        what=f"training step, {size.images} images in {size.labelled} + {size.pseudo} clips, {size.side} x {size.side}",
        precision=config.precision,
        seconds=timed,
        memory=memory,
        tflops_per_s=rate,
        mfu=None if peak is None else rate / peak,
        details={
            "model_tflops": tflops,
            "peak_tflops": peak,
            "images_per_s": size.images / timed["median"],
            "parts_s": [report.parts_s for report in reports],
            "losses": [report.loss for report in reports],
        },
    )


def data_parallel(options: SuiteOptions) -> Iterator[Row]:
    """Forward and backward pass in a process group of one, against the same without.

    Some kernels of a GPU add up in any order, so the plain pass is also held against itself.
    """
    config, where = make_config(options), torch.device(options.device)
    size = TOY_CLIPS if options.toy else CLIPS
    plain = make_objective(make_model(config, where), config)
    batch = make_batch(size, config.data.num_tracks).to(where)
    first = _passes(plain, batch, where, repeats=1)
    without = _passes(plain, batch, where, repeats=options.repeats)
    with process_group_of_one(where):
        within = _passes(DistributedDataParallel(plain, find_unused_parameters=True), batch, where, repeats=options.repeats)
    noise, differences = without.differences(first), within.differences(first)
    wrong = [
        f"{name} differs by {differences[name]:.2g} of its size, and by {noise[name]:.2g} without DDP"
        for name in noise
        if not differences[name] <= _EXACT + 10 * noise[name]
    ]
    what = f"forward and backward, {size.images} images"
    yield Row(
        what=what, precision=config.precision, seconds=spread(without.seconds), against="itself", memory=without.memory, differences=noise
    )
    yield Row(
        what=f"{what}, DDP of one process over {distributed_backend(where)}",
        precision=config.precision,
        seconds=spread(within.seconds),
        speed=statistics.median(without.seconds) / max(statistics.median(within.seconds), 1e-9),
        against="without",
        memory=within.memory,
        differences=differences,
        details={"loss": within.loss, "share_of_gradients_not_zero": within.gradient.ne(0).float().mean().item()},
        fault="; ".join(wrong) or None,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Passes:
    """Forward and backward pass, several times."""

    loss: float
    gradient: Tensor  # float32, flat, of all parameters that learn, on the CPU; of the last time
    seconds: list[float]
    memory: Mapping[str, float]

    def differences(self, other: "Passes") -> dict[str, float]:
        """From another, as a share of the other's size."""
        return {
            "loss": abs(self.loss - other.loss) / abs(other.loss),
            "gradient": float((self.gradient - other.gradient).norm() / other.gradient.norm()),
        }


def _passes(objective: nn.Module, batch: StepBatch, where: torch.device, *, repeats: int) -> Passes:
    """Once to warm up, then `repeats` times."""
    counts = [0 if clips is None else len(clips.keys) for clips in (batch.labelled, batch.pseudo)]
    shares = ClipShares(**{name: 1 / count if count else 0.0 for name, count in zip(("labelled", "pseudo"), counts, strict=True)})
    learning = [parameter for parameter in objective.parameters() if parameter.requires_grad]

    def both() -> Tensor:
        objective.zero_grad(set_to_none=True)
        total: Tensor = objective(batch, shares).total
        total.backward()
        return total.detach()

    both()
    with peak_memory(where) as memory:
        timed = [seconds_of(both, where) for _ in range(repeats)]
    gradient = torch.cat([torch.zeros(part.numel()) if part.grad is None else part.grad.flatten().cpu() for part in learning])
    return Passes(loss=float(timed[-1][1]), gradient=gradient, seconds=[second for second, _ in timed], memory=memory)


@contextmanager
def process_group_of_one(where: torch.device) -> Iterator[None]:
    """torch's process group of this process alone, over the device's own transport."""
    with tempfile.TemporaryDirectory(prefix="trackmill-group-") as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        distributed.init_process_group(distributed_backend(where), init_method=meeting, rank=0, world_size=1)
        try:
            yield
        finally:
            distributed.destroy_process_group()


def distributed_backend(where: torch.device) -> str:
    """Name of the transport, such as nccl for CUDA and gloo for the CPU."""
    return distributed.get_default_backend_for_device(where)


def make_config(options: SuiteOptions, *further: str) -> TrainConfig:
    """Stage 2 of TrajVG as it is shipped: bfloat16, gradient checkpointing. From fresh weights, whose loss counts however large it is."""
    changes = ["model.start=null", "loss_guard=null", "logs.every_steps=1"]
    if options.toy:
        sizes = {**_TOY_TRAJVG, "computing": {"gradient_checkpointing": True}}
        changes += [f"model.config={json.dumps(sizes)}", "data.num_tracks=8"]
    return read_config("trajvg_stage2", [*changes, *further])


def make_model(config: TrainConfig, where: torch.device) -> Network:
    """The network of a configuration, frozen as it says."""
    model = build_model(config.model.name, config.model.config).to(where)
    freeze(model, config.frozen)
    return model


def make_batch(size: BatchSize, num_tracks: int) -> StepBatch:
    """Clips of one step, all different."""
    clips = [make_clip(seed, size, num_tracks) for seed in range(size.labelled + size.pseudo)]
    pseudo = [replace(clip, truth=None) for clip in clips[size.labelled :]]
    return StepBatch(step=0, labelled=collate(clips[: size.labelled]), pseudo=collate(pseudo))


def make_clip(seed: int, size: BatchSize, num_tracks: int) -> PreparedClip:
    """A clip of noise on the wall z = WALL_M of the world, which is the first camera's frame."""
    rng = np.random.default_rng(seed)
    cameras = _cameras(rng, size.frames)
    focal, middle = float(size.side), (size.side - 1) / 2
    intrinsics = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    columns, rows = np.meshgrid(np.arange(size.side), np.arange(size.side))
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(intrinsics).T  # z = 1 in the camera
    depth = (WALL_M - cameras[:, 2, 3, None, None]) / np.einsum("hwk,tk->thw", rays, cameras[:, 2, :3])
    queries = rng.uniform(0, size.side - 1, (num_tracks, 2))
    world = WALL_M * np.column_stack([(queries - middle) / focal, np.ones(num_tracks)])
    seen = (world - cameras[:, None, :3, 3]) @ cameras[:, :3, :3]
    tracks = focal * seen[..., :2] / seen[..., 2:] + middle
    visible = ((tracks > -0.5) & (tracks < size.side - 0.5)).all(-1)
    return PreparedClip(
        key=f"wall-{seed}",
        dataset="walls",
        license=None,
        index=seed,
        is_metric=torch.tensor(True),
        images=torch.from_numpy(rng.integers(0, 256, (size.frames, size.side, size.side, 3), dtype=np.uint8)),
        tracks_px=torch.from_numpy(tracks).float(),
        frame_weights=torch.from_numpy(visible).float(),
        static_score=torch.ones(num_tracks),
        pose_weight=torch.ones(size.frames),
        truth=PreparedTruth(
            depth=torch.from_numpy(depth).float(),
            intrinsics=torch.from_numpy(intrinsics).float().expand(size.frames, 3, 3),
            camera_to_world=torch.from_numpy(cameras).float(),
            pose_valid=torch.ones(size.frames, dtype=torch.bool),
            sky_mask=None,
            tracks3d_world=torch.from_numpy(world).float().expand(size.frames, -1, -1),
            visibility=torch.from_numpy(visible),
            with_normals=torch.tensor(True),
        ),
    )


def _cameras(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Poses "T 4 4" that begin at the identity, go to the side and forward and turn to the side, by up to 0.4 m and 6 degrees."""
    time = np.linspace(0, 1, num_frames)
    angle = np.radians(6) * rng.uniform(-1, 1) * time
    cameras = np.tile(np.eye(4), (num_frames, 1, 1))
    cameras[:, 0, 0] = cameras[:, 2, 2] = np.cos(angle)
    cameras[:, 0, 2], cameras[:, 2, 0] = np.sin(angle), -np.sin(angle)
    cameras[:, :3, 3] = time[:, None] * rng.uniform(-0.4, 0.4, 3)
    return cameras


def _checked(report: StepReport) -> StepReport:
    """The report of a step that was taken. Raises: DataError for another, which would have cost less."""
    if report.outcome != "stepped":
        raise DataError(f"step {report.step} was {report.outcome}: {report.reason}; its seconds would mean nothing")
    return report
