"""A clip as a recording for the Rerun viewer. The only file that needs rerun-sdk, of the `viz` extra.

Rerun puts the corner of the first pixel at (0, 0), we its centre: positions and principal points move by half a pixel at this border.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from pipeline import storage
from pipeline.drawing.clip_scene import ClipScene
from pipeline.drawing.tracks import tail_length, tails
from pipeline.errors import DataError
from pipeline.records import ClipSample

_CAMERA, _IMAGE = "world/camera", "world/camera/image"
_QUALITY = 80  # of the JPEG frames
_TAIL_FRAMES, _TAIL_BYTES = 8, 350_000  # of all tails together
_CLOUD_POINTS, _CLOUD_BYTES = 2000, 500_000  # points of a frame's depth, and bytes of all
_TRUE_COLOUR = (126, 214, 138)
_POINT, _HIDDEN, _LINE = -2.5, -1.2, -1.0  # radii; Rerun takes negative ones as points of the screen
_HALF = np.float32(0.5)


def write_recording(uri: str, scene: ClipScene) -> None:
    """Publish one clip as .rrd: frames, tracks and their tails, plots, the report; cameras, depth and 3D tracks where there are any.

    Raises: DataError if a frame cannot be encoded; StorageError.
    """
    with storage.publishing(uri) as path:
        recording = rr.RecordingStream("trackmill", recording_id=scene.sample.key, send_properties=False)
        recording.save(path, default_blueprint=_blueprint(scene))
        writer = _Writer(recording, scene.sample)
        writer.frames()
        writer.report(scene.report)
        writer.tracks(scene)
        writer.plots(scene)
        writer.cameras()
        writer.true_tracks()
        recording.flush()
        recording.disconnect()


def _blueprint(scene: ClipScene) -> rrb.Blueprint:
    """2D on the left, 3D on the right where there is any, plots and the report below."""
    views = [rrb.Spatial2DView(origin=_CAMERA, name="clip")]
    if scene.sample.camera_to_world is not None or scene.sample.tracks3d_world is not None:
        views.append(rrb.Spatial3DView(origin="world", name="space"))
    below = [rrb.TimeSeriesView(origin="plots", name="mean over tracks")] if scene.labels is not None else []
    below.append(rrb.TextDocumentView(origin="report", name="report"))
    return rrb.Blueprint(rrb.Vertical(rrb.Horizontal(*views), rrb.Horizontal(*below), row_shares=[3, 1]), collapse_panels=True)


class _Writer:
    """Sends the parts of one clip, each as whole columns over the time lines `frame` and `time`."""

    def __init__(self, recording: rr.RecordingStream, sample: ClipSample) -> None:
        self._recording, self._sample = recording, sample
        self._num_frames = len(sample.frames)

    def frames(self) -> None:
        """The pictures."""
        blobs = [_jpeg(frame, self._sample.key) for frame in self._sample.frames]
        self._send(_IMAGE, rr.EncodedImage.columns(blob=blobs, media_type=["image/jpeg"] * len(blobs)))

    def report(self, text: str) -> None:
        """The text for a person."""
        self._recording.log("report", rr.TextDocument(text, media_type=rr.MediaType.MARKDOWN), static=True)

    def tracks(self, scene: ClipScene) -> None:
        """Visible points bright, hidden ones small and dim, and lines to where the visible ones came from."""
        labels, colours = scene.labels, scene.colours
        if labels is None or colours is None:
            return
        places = labels.tracks_px + _HALF
        dim = (0.45 * colours).astype(np.uint8)
        self._points(f"{_IMAGE}/visible", rr.Points2D, places, labels.visibility, colours, radius=_POINT)
        self._points(f"{_IMAGE}/hidden", rr.Points2D, places, ~labels.visibility, dim, radius=_HIDDEN)
        self._tails(f"{_IMAGE}/tails", rr.LineStrips2D, places, labels.visibility, colours)

    def plots(self, scene: ClipScene) -> None:
        """Means over the tracks by frame: share visible; likeness and weight of the visible ones."""
        if scene.labels is None or not scene.labels.visibility.size:
            return
        seen = scene.labels.visibility
        means = {"visible": seen.mean(axis=1)}
        if scene.ncc is not None:
            means["likeness"] = _mean_where(scene.ncc, seen & np.isfinite(scene.ncc))
        if scene.weights is not None:
            means["weight"] = _mean_where(np.broadcast_to(scene.weights, seen.shape), seen)
        for name, values in means.items():
            self._send(f"plots/{name}", rr.Scalars.columns(scalars=values.astype(np.float64)))
            self._recording.log(f"plots/{name}", rr.SeriesLines.from_fields(names=name), static=True)

    def cameras(self) -> None:
        """Poses and intrinsics, and the depth maps as coloured points in the world."""
        sample = self._sample
        if sample.camera_to_world is None or sample.intrinsics is None:
            return
        valid = np.ones(self._num_frames, bool) if sample.pose_valid is None else sample.pose_valid
        self._recording.log("world", rr.ViewCoordinates.RDF, static=True)
        height, width = sample.frames.shape[1:3]
        pixels = sample.intrinsics.copy()
        pixels[:, :2, 2] += _HALF
        pinholes = rr.Pinhole.columns(image_from_camera=pixels, resolution=np.tile([float(width), float(height)], (len(pixels), 1)))
        self._send(_CAMERA, pinholes)
        poses = sample.camera_to_world[valid]
        self._send(_CAMERA, rr.Transform3D.columns(translation=poses[:, :3, 3], mat3x3=poses[:, :3, :3]), at=np.flatnonzero(valid))
        if sample.depth is not None:
            self._cloud(sample.depth, sample.intrinsics, valid)

    def true_tracks(self) -> None:
        """Points in the world with their tails, in frames where they are seen and known."""
        sample = self._sample
        if sample.tracks3d_world is None or sample.visibility is None:
            return
        seen = sample.visibility if sample.track_valid is None else sample.visibility & sample.track_valid
        seen = seen & np.isfinite(sample.tracks3d_world).all(axis=-1)
        colours = np.tile(np.array(_TRUE_COLOUR, np.uint8), (seen.shape[1], 1))
        self._points("world/tracks", rr.Points3D, sample.tracks3d_world, seen, colours, radius=_POINT)
        self._tails("world/tails", rr.LineStrips3D, sample.tracks3d_world, seen, colours)

    def _cloud(self, depth: np.ndarray, intrinsics: np.ndarray, valid: np.ndarray) -> None:
        height, width = depth.shape[1:]
        per_frame = min(_CLOUD_POINTS, _CLOUD_BYTES // (16 * self._num_frames))
        step = max(1, int(np.ceil(np.sqrt(height * width / max(per_frame, 1)))))
        y, x = (grid.ravel() for grid in np.mgrid[step // 2 : height : step, step // 2 : width : step])
        poses, places, colours = self._sample.camera_to_world, [], []
        assert poses is not None, "a cloud without cameras"
        for t in range(self._num_frames):
            near = (depth[t, y, x] > 0) & valid[t]
            rays = np.linalg.solve(intrinsics[t], np.stack([x[near], y[near], np.ones(near.sum())]))  # "3 n"
            camera = rays * depth[t, y, x][near]
            places.append((poses[t, :3, :3] @ camera).T + poses[t, :3, 3])
            colours.append(self._sample.frames[t, y, x][near])
        columns = rr.Points3D.columns(positions=np.concatenate(places), colors=np.concatenate(colours))
        self._send("world/depth", columns.partition([len(each) for each in places]))
        self._recording.log("world/depth", rr.Points3D.from_fields(radii=[-1.5]), static=True)

    def _points(
        self,
        entity: str,
        kind: type[rr.Points2D] | type[rr.Points3D],
        places: np.ndarray,
        shown: np.ndarray,
        colours: np.ndarray,
        *,
        radius: float,
    ) -> None:
        """The points "T N D" of each frame that are `shown`, bool "T N"; a frame without any clears those of the frame before."""
        colour = np.broadcast_to(colours, (*shown.shape, 3))[shown]
        columns = kind.columns(positions=places[shown], colors=colour)
        self._send(entity, columns.partition(shown.sum(axis=1)))
        self._recording.log(entity, kind.from_fields(radii=[radius]), static=True)

    def _tails(
        self, entity: str, kind: type[rr.LineStrips2D] | type[rr.LineStrips3D], places: np.ndarray, seen: np.ndarray, colours: np.ndarray
    ) -> None:
        length = tail_length(seen, most=_TAIL_FRAMES, bytes_per_point=places.shape[-1] * 4, budget=_TAIL_BYTES)
        drawn = [tails(places, seen, t, length) for t in range(self._num_frames)]
        strips = [strip for strips, _ in drawn for strip in strips]
        if not strips:
            return
        columns = kind.columns(strips=strips, colors=np.concatenate([colours[tracks] for _, tracks in drawn]))
        self._send(entity, columns.partition([len(tracks) for _, tracks in drawn]))
        self._recording.log(entity, kind.from_fields(radii=[_LINE]), static=True)

    def _send(self, entity: str, columns: rr.ComponentColumnList, *, at: Sequence[int] | np.ndarray | None = None) -> None:
        frames = np.arange(self._num_frames) if at is None else np.asarray(at)
        times = [rr.TimeColumn("frame", sequence=frames), rr.TimeColumn("time", duration=self._sample.frame_times[frames])]
        self._recording.send_columns(entity, times, columns)


def _jpeg(frame: np.ndarray, key: str) -> bytes:
    encoded, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not encoded:
        raise DataError(f"clip {key}: a frame of shape {list(frame.shape)} cannot be written as JPEG; make the clip again")
    return bytes(data.tobytes())


def _mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean over the second axis of what is chosen, float64 "T"; NaN where nothing is."""
    count = where.sum(axis=1)
    total = np.where(where, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
