"""One refiner at work: reads what the label sets know of a clip, refines its poses, gives encoded rows back."""

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

import numpy as np
import pyarrow as pa
import torch

from jobs.execution.threads import pin_threads
from jobs.labeling.outcome import EncodedClip, Unlabelled, at_border, encode_clip
from jobs.labeling.shards import LabelItem
from jobs.labeling.worker import LabelledItem, item_summary
from jobs.refining.inputs import ClipInputs, InputReader, InputSets
from pipeline.records import CameraLabels
from pipeline.records.cameras import PoseScale
from pipeline.shards.index import ClipEntry
from trainer.geometry.pose_refinement import Refinement, RefinementSettings, refine_clip, rigid_camera_to_world
from trainer.geometry.start_cameras import StartCameras, find_missing_poses, fit_focal, fit_unit
from trainer.geometry.static_tracks import lift_pixels, lift_tracks, static_by_displacement

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RefinerSettings:
    """Settings of a worker, sent to every process."""

    sets: InputSets
    refinement: RefinementSettings
    static_share: float  # of the depth, that a static point may be displaced by, where the gate is displacement
    threads: int = 1
    kind: str = CameraLabels.kind

    @property
    def root(self) -> str:
        """The dataset."""
        return self.sets.root

    def make_worker(self) -> "RefineWorker":
        """The worker."""
        return RefineWorker(self)


class RefineWorker:
    """Refines items. `label_item` may be called from several threads: reading runs beside refining, refining alone."""

    def __init__(self, settings: RefinerSettings) -> None:
        self._settings = settings
        self._reader = InputReader(settings.sets)
        self._lock = Lock()
        self._idle_since = time.perf_counter()

    def label_item(self, item: LabelItem) -> LabelledItem:
        """Refine the clips of one item. A clip that fails becomes a row that says why."""
        read = {entry.key: self._read(item.shard, entry) for entry in item.entries}
        with self._lock:
            pin_threads(self._settings.threads)
            started, idle_since = time.perf_counter(), self._idle_since
            clips = [self._row(entry, read[entry.key]) for entry in item.entries]
            ended = self._idle_since = time.perf_counter()
        summary = item_summary(clips, busy_s=ended - started, waited_s=started - idle_since)
        return LabelledItem(table=pa.concat_tables([clip.table for clip in clips]), summary=summary)

    def _read(self, shard: int, entry: ClipEntry) -> ClipInputs | Unlabelled:
        left_out = self._reader.left_out(shard, entry)
        return at_border(entry.key, partial(self._reader.read, shard, entry)) if left_out is None else left_out

    def _row(self, entry: ClipEntry, inputs: ClipInputs | Unlabelled) -> EncodedClip:
        if isinstance(inputs, Unlabelled):
            return encode_clip(entry, inputs, self._settings.kind)
        cameras = at_border(entry.key, partial(refined_cameras, inputs, self._settings.refinement, self._static_share))
        return encode_clip(entry, cameras, self._settings.kind)

    @property
    def _static_share(self) -> float | None:
        return self._settings.static_share if self._settings.sets.static == "displacement" else None


def refined_cameras(inputs: ClipInputs, settings: RefinementSettings, static_share: float | None) -> CameraLabels:
    """The clip's cameras, refined; in the unit of its depth. Where there is nothing to refine by, as they came, with a note.

    Args:
        static_share: tell by displacement which tracks are static; None: their weights say so.
    """
    came = inputs.cameras
    valid = torch.from_numpy(came.pose_valid)
    num_static = int((inputs.weights[(inputs.depth > 0).any(axis=0)] > 0).sum())
    if len(valid) < 2:
        return _as_it_came(came, "the clip has one frame")
    if not valid.any():
        return _as_it_came(came, "none of them is known")
    if num_static < settings.fewest_tracks:
        return _as_it_came(came, f"{num_static} static tracks with depth, expected {settings.fewest_tracks} or more")
    start = _start(inputs, settings, valid)
    if static_share is not None:
        known = static_by_displacement(start.tracks.of_frames(valid), start.poses[valid], static_share)
        start = replace(start, tracks=replace(start.tracks, weights=start.tracks.weights * known))
    start, found = find_missing_poses(start, valid, size=inputs.size)
    refinement = refine_clip(start.tracks.of_frames(found), start.poses[found], settings)
    if refinement is None:
        return _as_it_came(came, f"no two frames share {settings.fewest_tracks} static tracks with depth")
    return _labels(inputs, start, refinement, found)


def _as_it_came(came: CameraLabels, reason: str) -> CameraLabels:
    return replace(came, degraded=f"not refined, poses as they came: {reason}")


def _start(inputs: ClipInputs, settings: RefinementSettings, valid: torch.Tensor) -> StartCameras:
    """Tracks lifted by the clip's intrinsics, or those that are fitted; start poses in the unit of depth."""
    came, num_frames = inputs.cameras, len(valid)
    intrinsics = np.tile(np.eye(3), (num_frames, 1, 1)) if came.intrinsics is None else came.intrinsics
    lifted = lift_tracks(
        *map(torch.from_numpy, (inputs.tracks.tracks_px, inputs.tracks.visibility, inputs.depth, intrinsics, inputs.weights))
    )
    poses = torch.linalg.inv(torch.from_numpy(came.camera_to_world).double())
    known = StartCameras(tracks=lifted.of_frames(valid), poses=poses[valid])
    other_unit = not (came.scale == "metric" and inputs.depth_scale == "metric")
    if came.intrinsics is None:
        known = fit_focal(known, size=inputs.size, settings=settings, with_unit=other_unit)
        matrices = known.tracks.intrinsics[:1].repeat(num_frames, 1, 1)
        points = lift_pixels(lifted.pixels, torch.from_numpy(inputs.depth), matrices)
        lifted = replace(lifted, intrinsics=matrices, points=points)
    elif other_unit:
        known = fit_unit(known, huber_px=settings.huber_px)
    poses[valid] = known.poses
    return StartCameras(tracks=lifted, poses=poses)


def _labels(inputs: ClipInputs, start: StartCameras, refinement: Refinement, found: torch.Tensor) -> CameraLabels:
    came, num_frames = inputs.cameras, len(found)
    held = np.zeros(num_frames, bool)
    held[found.numpy()] = refinement.held.numpy()
    valid = came.pose_valid | held
    camera_to_world = np.tile(np.eye(4, dtype=np.float32), (num_frames, 1, 1))
    camera_to_world[found.numpy()] = rigid_camera_to_world(refinement.poses).numpy()
    errors = np.full(num_frames, np.nan, np.float32)
    errors[found.numpy()] = refinement.errors_px[1].numpy()
    scale: PoseScale = "metric" if inputs.depth_scale == "metric" else "relative"
    left = int((valid & ~held).sum())
    before, after = (float(each.nanmedian()) for each in refinement.errors_px)
    energies = refinement.energies
    _LOG.debug("error %.2f to %.2f px, energy %.6g to %.6g in %d steps", before, after, energies[0], energies[-1], len(energies) - 1)
    return CameraLabels(
        camera_to_world=np.where(valid[:, None, None], camera_to_world, np.eye(4, dtype=np.float32)),
        pose_valid=valid,
        scale=scale,
        intrinsics=start.tracks.intrinsics.numpy().astype(np.float32),
        reprojection_px=errors,
        degraded=f"{left} of {num_frames} frames moved with a neighbour: they share too few static tracks" if left else None,
    )
