"""Track4World on a video: geometry of all frames at once, and dense tracks through them."""

from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np
import torch

from jobs.console import ProgressLine
from jobs.devices import choose_precision
from jobs.inferring.config import DENSE_TABLE, DENSE_TRACKS, DOCUMENT, EVERY_PX, PREVIEW, RECORDING, TRAJECTORIES, InferenceConfig
from jobs.inferring.dense_scene import dense_preview, dense_scene, shown_tracks, track_colours
from jobs.inferring.files import write_geometry
from jobs.inferring.frames import FrameChoice, InputFrames
from jobs.inferring.outcome import DenseSummary, Inference, Made
from jobs.inferring.scene import write_rerun
from jobs.loading_models import CheckpointInfo, keep_reconstruction
from labelers.chain import RoundTripRule
from labelers.track4world import EngineConfig, Track4WorldEngine
from labelers.track4world.chaining import VISIBLE, ChainRule, place
from labelers.track4world.dense import ReferenceRule, chain_clip, frame_geometry, track_reference
from labelers.track4world.targets import ClipGeometry
from networks.inputs import fitted_size
from networks.layers.computing import Precision
from networks.track4world.bundle import GeometryBundle, Padding
from networks.track4world.network import Track4World
from pipeline import storage
from pipeline.dense_tracks import write_dense_npz, write_dense_parquet, write_trajectories
from pipeline.drawing import write_image
from pipeline.errors import ConfigError, DataError, MemoryExhausted
from pipeline.records.dense_tracks import DenseTracks
from trainer.families import InferenceDefaults
from trainer.inference import Prediction, Reconstruction
from trainer.inference.colmap import check_cameras
from trainer.inference.digest import take_digest

PUBLISHED = InferenceDefaults(pixels=384 * 512, video_stride=1, frames=256)  # as many as the public code gives its backbone at once
_SHOWN_FRAMES = 64  # of a long video, in picture and recording
_AT_ONCE = 8  # frames whose points are held besides the network's


def infer_densely(config: InferenceConfig, model: Track4World, info: CheckpointInfo, *, is_video: bool) -> Inference:
    """Reconstruct a video, track its pixels, and publish all files but the last.

    Raises: ConfigError for options that are not Track4World's, a decoder without backbone, or too many or too small frames; DataError
        for a video of one frame, or of which no pixel is valid.
    """
    _check_options(config, model)
    choice = _choice(config, info, is_video=is_video)
    given = InputFrames(source=config.source, choice=choice, patch=1, is_video=is_video)
    device = next(model.parameters()).device
    precision = _precision(config, device)
    frames = _read(given, model)
    if config.dense.reference is not None and config.dense.reference >= len(frames):
        raise ConfigError(f"--reference is {config.dense.reference}, and {len(frames)} frames are taken: 0 to {len(frames) - 1}")
    made = Made(
        given=given,
        checkpoint=info,
        reconstruction=None,
        device=str(device),
        precision=precision,
        tracks=True,
        settings=_settings(config),
    )
    visible = VISIBLE if config.visible is None else config.visible
    engine = Track4WorldEngine(model, EngineConfig(precision=precision))
    with Reconstruction(config.out, least_confidence=config.least_confidence, visible=visible) as whole:
        try:
            bundle = engine.geometry(frames)
            _append_geometry(whole, frames, bundle)
            if config.colmap:
                check_cameras(whole)
            tracks = _track(config, engine, frames, bundle)
        except torch.OutOfMemoryError as error:
            num_frames, height, width, _ = frames.shape
            raise MemoryExhausted(
                f"{num_frames} frames of {width}x{height} do not fit into the memory of {device}: {str(error).splitlines()[0]}; take"
                " fewer by --limit or --stride, or smaller ones by --pixels"
            ) from error
        summary = DenseSummary.of(tracks, "chained" if config.dense.reference is None else f"from frame {config.dense.reference}")
        written = _write(config, given, whole, _coloured(tracks, frames), summary)
        return Inference.of(whole, made, written=(*written, DOCUMENT), dense=summary)


def _check_options(config: InferenceConfig, model: Track4World) -> None:
    """Raise ConfigError for options of other models, and for a decoder alone."""
    if config.reconstruction is not None:
        keep_reconstruction(model, config.reconstruction, next(model.parameters()).device)
    for option, value, instead in (
        ("--grid", config.grid_px, "--every N is the distance of its tracks"),
        ("--overlap", config.request.overlap, "it sees all frames at once, at most --frames of them"),
    ):
        if value is not None:
            raise ConfigError(f"{option} is not for Track4World: {instead}")
    if model.backbone is None:
        raise ConfigError(
            f"{config.checkpoint} holds Track4World's decoder alone, over a backbone that is not one of ours; a video needs a file with"
            " Pi3X or TrajVG below the decoder"
        )


def _choice(config: InferenceConfig, info: CheckpointInfo, *, is_video: bool) -> FrameChoice:
    """All frames at once, whatever the checkpoint was trained on; size and stride as that says."""
    at_once = PUBLISHED.frames if config.request.at_once is None else config.request.at_once
    return replace(config.request, at_once=at_once, overlap=1).resolve(info.trained_on, PUBLISHED, is_video=is_video)


def _precision(config: InferenceConfig, device: torch.device) -> Precision:
    chosen = choose_precision(config.precision, device)
    if chosen == "float16":
        if config.precision != "auto":
            raise ConfigError("--precision float16 is not for Track4World; take bfloat16 or float32")
        return "float32"
    return chosen


def _settings(config: InferenceConfig) -> dict[str, object]:
    """Settings of the tracks, resolved, and of the cloud."""
    dense = config.dense
    return {
        "every_px": dense.every_px or EVERY_PX,
        "reference": dense.reference,
        "round_trip_px": dense.round_trip_px,
        "visible": VISIBLE if config.visible is None else config.visible,
        "least_confidence": config.least_confidence,
    }


def _read(given: InputFrames, model: Track4World) -> np.ndarray:
    """All chosen frames, uint8 "T H W 3". Raises: ConfigError where they are too many or too small; DataError for a single one."""
    frames: list[np.ndarray] = []
    for frame in given:
        if len(frames) == given.choice.at_once:
            raise ConfigError(
                f"{given.source} has more than {len(frames)} frames, which Track4World sees all at once: take some by --limit"
                f" {len(frames)} or --stride N, or allow more by --frames N, as memory has room"
            )
        if not frames:
            _check_size(given, frame.shape[:2], model.config.smallest_side)
        frames.append(frame)
    if len(frames) < 2:
        raise DataError(f"{given.source}: 1 frame is taken, and tracks need 2 or more; give a longer video, or other --limit, --stride")
    return np.stack(frames)


def _check_size(given: InputFrames, size: tuple[int, ...], smallest: int) -> None:
    """Raise ConfigError for frames that are too small for the coarsest level of the correlation."""
    height, width = size
    if min(height, width) >= smallest:
        return
    aspect = given.stored_size[1] / given.stored_size[0]
    enough = next(pixels for pixels in range(smallest**2, smallest**5, 512) if min(fitted_size(aspect, pixels, patch=1)) >= smallest)
    raise ConfigError(
        f"frames of {width}x{height} pixels are too small: this Track4World needs {smallest} or more both ways; allow --pixels {enough} or"
        " more"
    )


def _track(config: InferenceConfig, engine: Track4WorldEngine, frames: np.ndarray, bundle: GeometryBundle) -> DenseTracks:
    dense, visible = config.dense, VISIBLE if config.visible is None else config.visible
    every, steps = dense.every_px or EVERY_PX, len(frames) - 1
    with ProgressLine("tracks", steps, "frames") as progress:

        def advance() -> None:
            progress.advance(1)

        if dense.reference is not None:
            asked = ReferenceRule(frame=dense.reference, every=every, visible=visible)
            return track_reference(engine, frames, bundle, asked, on_frame=advance)
        round_trip = None if dense.round_trip_px is None else RoundTripRule(px=dense.round_trip_px)
        rule = ChainRule(every=every, visible=visible, round_trip=round_trip)
        return chain_clip(engine, engine.encode(frames, bundle), rule, on_frame=advance)


def _append_geometry(whole: Reconstruction, frames: np.ndarray, bundle: GeometryBundle) -> None:
    """Points by the one camera of the clip, on which the tracks lie too, some frames at a time."""
    num_frames, height, width, _ = frames.shape
    padding = Padding(height=height, width=width)
    geometry = ClipGeometry.of_bundle(bundle, padding, num_frames)
    confidence = padding.crop(bundle.mask[0]).cpu().numpy()
    poses = geometry.poses().cpu().numpy()
    for first in range(0, num_frames, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, num_frames))
        local = np.stack([frame_geometry(geometry, frame).points for frame in numbers])
        world = np.stack(
            [place(points.reshape(-1, 3), poses[frame]).reshape(points.shape) for frame, points in zip(numbers, local, strict=True)]
        )
        part = slice(first, numbers.stop)
        prediction = Prediction(
            frames=frames[part], points=world, local_points=local, confidence=confidence[part], camera_to_world=poses[part]
        )
        whole.append(prediction, first=first)


def _coloured(tracks: DenseTracks, frames: np.ndarray) -> DenseTracks:
    """With the colours of the queries' pixels."""
    t, x, y = np.rint(tracks.queries).astype(np.int64).T
    return replace(tracks, colours=frames[t, y, x])


def _write(config: InferenceConfig, given: InputFrames, whole: Reconstruction, tracks: DenseTracks, summary: DenseSummary) -> list[str]:
    """Publish the files. Returns their names."""
    folder, name = storage.absolute(config.out), PurePosixPath(config.source.rstrip("/")).name
    times_s = np.asarray(given.times_s, np.float64)
    written = write_geometry(folder, whole, times_s, colmap=config.colmap)
    write_dense_npz(storage.join(folder, DENSE_TRACKS), tracks)
    colours = track_colours(tracks)
    write_trajectories(storage.join(folder, TRAJECTORIES), tracks, colours.table[colours.entries])
    digest = take_digest(whole, at_most=_SHOWN_FRAMES)
    shown = shown_tracks(tracks, digest)
    write_image(storage.join(folder, PREVIEW), dense_preview(name, digest, shown, summary))
    written += [DENSE_TRACKS, TRAJECTORIES, PREVIEW]
    if config.dense.table:
        write_dense_parquet(storage.join(folder, DENSE_TABLE), tracks)
        written.append(DENSE_TABLE)
    if config.rerun:
        write_rerun(storage.join(folder, RECORDING), dense_scene(name, digest, shown, times_s=times_s[digest.numbers]))
        written.append(RECORDING)
    return written
