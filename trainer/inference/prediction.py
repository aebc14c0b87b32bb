"""A model's prediction for one video: the record, on the CPU, and the forward pass that makes it."""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from networks import model_name
from networks.building import Network
from networks.layers.computing import FORWARD_PRECISIONS, ForwardPrecision, forward_precision
from networks.pi3 import ModelOutput
from pipeline.errors import ConfigError, DataError, MemoryExhausted
from pipeline.records.arrays import check_array
from trainer.families import family_of
from trainer.families.protocol import KnownGeometry

_DIVERGED = "training may have diverged: take an earlier checkpoint, or compute with --precision float32"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PredictedTracks:
    """N points of frame 0 followed through T frames; positions are predictions where a point is hidden."""

    queries: npt.NDArray[np.float32]  # float32 "N 2", (x, y) in pixels of frame 0
    world: npt.NDArray[np.float32]  # float32 "T N 3"
    camera: npt.NDArray[np.float32]  # float32 "T N 3", in the camera of each frame
    visibility_score: npt.NDArray[np.float32]  # float32 "T N" in [0, 1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """Geometry of T frames of H x W pixels, in a world and a unit of length that the model chooses. Cameras are OpenCV's."""

    frames: npt.NDArray[np.uint8]  # uint8 "T H W 3", as the model saw them
    points: npt.NDArray[np.float32]  # float32 "T H W 3", in the world
    local_points: npt.NDArray[np.float32]  # float32 "T H W 3", in the camera of each frame
    confidence: npt.NDArray[np.float32]  # float32 "T H W" in [0, 1]
    camera_to_world: npt.NDArray[np.float32]  # float32 "T 4 4"
    tracks: PredictedTracks | None = None  # None if the model tracks nothing, or was not asked to
    camera_found: npt.NDArray[np.bool_] | None = None  # bool "T": False where no camera sees the points; None if cameras are predicted

    def __post_init__(self) -> None:
        num_frames, height, width, _ = self.frames.shape
        image = (num_frames, height, width)
        shapes = {"points": (*image, 3), "local_points": (*image, 3), "confidence": image, "camera_to_world": (num_frames, 4, 4)}
        arrays = {name: (getattr(self, name), shape) for name, shape in shapes.items()}
        if self.tracks is not None:
            num_tracks = len(self.tracks.queries)
            arrays |= {name: (getattr(self.tracks, name), (num_frames, num_tracks, 3)) for name in ("world", "camera")}
            arrays |= {
                "queries": (self.tracks.queries, (num_tracks, 2)),
                "visibility_score": (self.tracks.visibility_score, (num_frames, num_tracks)),
            }
        if self.camera_found is not None:
            check_array("camera_found", self.camera_found, "bool", (num_frames,))
        for name, (array, shape) in arrays.items():
            check_array(f"predicted {name}", array, "float32", shape)
            if not np.isfinite(array).all():
                share = 1 - np.isfinite(array).mean()
                raise DataError(f"the model's {name} hold NaN or infinity ({share:.1%} of the values); {_DIVERGED}")

    @property
    def depth(self) -> npt.NDArray[np.float32]:
        """float32 "T H W": along z, in the model's unit."""
        return self.local_points[..., 2]


def predict(
    model: Network,
    frames: npt.NDArray[np.uint8],
    queries: npt.NDArray[np.float32] | None = None,
    *,
    precision: ForwardPrecision = "float32",
    geometry: KnownGeometry | None = None,
) -> Prediction:
    """Reconstruct T frames at once, and follow points of frame 0 if there are any and the model can.

    The model computes on the device where its weights are.

    Args:
        frames: uint8 "T H W 3", RGB, H and W multiples of the model's patch.
        queries: float32 "N 2", (x, y) in pixels of frame 0; None or no row: geometry alone.
        precision: of encoder, decoder and transformer heads; dense heads, poses and tracker compute in float32 in any case.
        geometry: of these frames, for a model that does not infer from images alone.
    Raises: ConfigError for another precision, or for geometry that the model has no use for; DataError if the prediction is not finite;
        MemoryExhausted if it does not fit into the device's memory.
    """
    if precision not in FORWARD_PRECISIONS:
        raise ConfigError(f"precision is {precision!r}, expected one of {', '.join(FORWARD_PRECISIONS)}")
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), forward_precision(device, precision):
            images = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2)[None].float() / 255
            output, asked = _forward(model, images, queries, geometry)
        return _record(frames, output, asked)
    except torch.linalg.LinAlgError as error:  # of a matrix that holds NaN
        raise DataError(f"the prediction cannot be computed ({str(error).splitlines()[0]}); {_DIVERGED}") from error
    except torch.OutOfMemoryError as error:
        num_frames, height, width, _ = frames.shape
        raise MemoryExhausted(
            f"{num_frames} frames of {width}x{height} do not fit into the memory of {device}: {str(error).splitlines()[0]}; take fewer"
            " frames, or smaller ones"
        ) from error
    finally:
        model.train(was_training)


def _forward(
    model: Network, images: Tensor, queries: np.ndarray | None, geometry: KnownGeometry | None
) -> tuple[ModelOutput, np.ndarray | None]:
    """The output, and the queries that it answers."""
    family = family_of(model_name(model))
    if geometry is not None:
        if family.infers(model):
            raise ConfigError(f"this {model_name(model)} predicts geometry from images; leave --geometry truth to one without a backbone")
        geometry = KnownGeometry(**{field.name: getattr(geometry, field.name).to(images.device) for field in fields(geometry)})
    if queries is None or not len(queries) or not family.tracks(model):
        return family.predict(model, images, None, geometry), None
    asked = np.asarray(queries, np.float32)
    return family.predict(model, images, torch.from_numpy(asked)[None].to(images.device), geometry), asked


def _record(frames: np.ndarray, output: ModelOutput, queries: np.ndarray | None) -> Prediction:
    assert output.conf is not None, "a family predicts confidence"
    tracks = None
    if queries is not None:
        assert output.traj3d_world is not None, "the family says that it tracks"
        assert output.traj3d_camera is not None, "the family says that it tracks"
        assert output.visibility is not None, "the family says that it tracks"
        tracks = PredictedTracks(
            queries=queries,
            world=_array(output.traj3d_world[-1]),
            camera=_array(output.traj3d_camera[-1]),
            visibility_score=_array(output.visibility),
        )
    return Prediction(
        frames=frames,
        points=_array(output.points),
        local_points=_array(output.local_points),
        confidence=_array(output.conf[..., 0].float().sigmoid()),
        camera_to_world=_array(output.camera_poses),
        tracks=tracks,
        camera_found=None if output.camera_found is None else output.camera_found[0].cpu().numpy(),
    )


def _array(tensor: Tensor) -> np.ndarray:
    """The only clip of a batch, float32."""
    return tensor[0].float().cpu().numpy()
