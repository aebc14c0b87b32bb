"""Roots with one scene under the names that benchmarks have, and a predictor that knows it by the colours of its frames."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry, write_index
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tar import ShardWriter, TarSample, arrays_npz
from pipeline.tables import document_bytes, write_document
from trainer.inference import PredictedTracks, Prediction

H, W, T = 28, 42, 34
K = np.array([[40, 0, 20.5], [0, 40, 13.5], [0, 0, 1]], np.float32)
PIXELS = H * W


def poses() -> np.ndarray:
    """A camera on a curve, float64 "T 4 4"."""
    time = np.arange(T)
    found = np.tile(np.eye(4), (T, 1, 1))
    found[:, :3, :3] = Rotation.from_rotvec(np.outer(time, [0.002, 0.006, 0.0])).as_matrix()
    found[:, :3, 3] = np.stack([0.05 * time, 0.3 * np.sin(time / 5), 0.1 * np.cos(time / 4)], axis=1)
    return found


def depths() -> np.ndarray:
    """A wavy wall, other in every frame, float32 "T H W"."""
    y, x = np.mgrid[:H, :W]
    return np.stack([5 + np.sin(x / 7 + t) + 0.5 * np.cos(y / 5) for t in range(T)]).astype(np.float32)


def tracks() -> np.ndarray:
    """Six points in the camera of each frame, float32 "T 6 3"; each stays within the image."""
    base = np.array([[-1.5, -0.8, 5], [1.5, -0.8, 5.5], [0, 0, 4.5], [-1, 0.7, 6], [1, 0.7, 5], [0.5, -0.4, 5.2]])
    drift = 0.01 * np.arange(T)[:, None, None] * np.array([1, 0.5, -1])
    return (base + drift).astype(np.float32)


QUERY_FRAMES = np.array([0, 0, 3, 3, 3, 7], np.int32)


def tracks_px() -> np.ndarray:
    """Their pixels, float32 "T 6 2"."""
    projected = tracks() @ K.T
    return projected[..., :2] / projected[..., 2:]


def visible() -> np.ndarray:
    """bool "T 6": two points are hidden now and then, none in its query frame."""
    seen = np.ones((T, 6), bool)
    seen[10:12, 1] = seen[20, 5] = False
    return seen


def frames() -> np.ndarray:
    """uint8 "T H W 3": each of one colour, its number."""
    return np.broadcast_to(np.arange(T, dtype=np.uint8)[:, None, None, None], (T, H, W, 3)).copy()


def write_root(folder: Path, sources: Sequence[str], *, fields: Sequence[str], split: str = "test", clip_frames: int = 0, **record) -> str:
    """One clip a source, with these of the scene's arrays."""
    found = {
        "intrinsics": np.tile(K, (T, 1, 1)),
        "camera_to_world": poses().astype(np.float32),
        "pose_valid": np.ones(T, bool),
        "depth": depths(),
        "tracks2d": tracks_px(),
        "tracks3d": tracks(),
        "visibility": visible(),
        "track_valid": np.ones((T, 6), bool),
        "query_frame": QUERY_FRAMES,
    }
    keys = {source: f"c{number}" for number, source in enumerate(sources)}
    write_plan(
        str(folder),
        (PlannedClip(shard=0, key=key, source=source, source_uri=source, source_id=key, split=split) for source, key in keys.items()),
    )
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    write_document(str(folder / "dataset.json"), {"policy": {"clip_frames": clip_frames}}, "dataset")
    images = tuple(cv2.imencode(".png", frame)[1].tobytes() for frame in frames())
    digest = hashlib.sha256(b"".join(images)).hexdigest()
    with ShardWriter(folder / "shards" / "000000.tar") as writer:
        entries = []
        for source, key in keys.items():
            clip = ClipRecord(
                key=key, source=source, source_id=key, split=split, start_s=0.0, end_s=T / 10, fps=10.0, frames=T, width=W, height=H,
                codec="png", video="images", sha256=digest, timestamps=tuple(t / 10 for t in range(T)),
                pose_source="gt" if "camera_to_world" in fields else None, is_metric=True,
            )  # fmt: skip
            clip = replace(clip, **record)
            entry = ClipEntry(key=key, sample_key=key, tar="000000.tar", source=source, source_id=key, split=split)
            arrays = arrays_npz({name: found[name] for name in fields})
            entries.append(
                writer.add(entry, TarSample(record=clip, video=images, document=document_bytes(clip.document(), "clip"), arrays=arrays))
            )
    write_index(str(folder), 0, writer.located(entries))
    return str(folder)


@dataclass
class Oracle:
    """Predicts the truth in another unit and world; notes which frames it was shown, pass by pass."""

    shown: list[list[int]]
    scale: float = 0.4
    depth_factor: np.ndarray | None = None  # "T", by which the depth of each frame is wrong

    def __call__(self, model, images, queries, *, precision, geometry) -> Prediction:
        number = images[:, 0, 0, 0].astype(int)
        self.shown.append(number.tolist())
        turn = Rotation.from_rotvec([0.3, -1.1, 0.4]).as_matrix()
        cameras = poses()[number]
        cameras[:, :3, 3] = self.scale * cameras[:, :3, 3] @ turn.T
        cameras[:, :3, :3] = turn @ cameras[:, :3, :3]
        y, x = np.mgrid[:H, :W]
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(K).T
        depth = depths() if self.depth_factor is None else depths() * self.depth_factor[:, None, None]
        local = self.scale * rays * depth[number][..., None]
        points = np.einsum("tij,thwj->thwi", cameras[:, :3, :3], local) + cameras[:, None, None, :3, 3]
        found = None
        if queries is not None:
            distance = np.linalg.norm(tracks_px()[number[0]][None] - queries[:, None], axis=-1)
            assert distance.min(axis=1).max() < 1e-3, "a query is no true point of the frame that is shown first"
            index = distance.argmin(axis=1)
            camera = self.scale * tracks()[number][:, index]
            world = np.einsum("tij,tnj->tni", cameras[:, :3, :3], camera) + cameras[:, None, :3, 3]
            score = np.where(visible()[number][:, index], np.float32(0.9), np.float32(0.1))
            found = PredictedTracks(
                queries=queries, world=world.astype(np.float32), camera=camera.astype(np.float32), visibility_score=score
            )
        return Prediction(
            frames=images, points=points.astype(np.float32), local_points=local.astype(np.float32),
            confidence=np.ones(local.shape[:3], np.float32), camera_to_world=cameras.astype(np.float32), tracks=found,
        )  # fmt: skip
