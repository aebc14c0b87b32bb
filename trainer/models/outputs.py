"""What a model gives."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelOutput:
    """Geometry of B clips of T frames, and tracks of N queries; lengths in a scale that the network chooses, cameras OpenCV.

    A model without tracker (π³, Pi3X) leaves the tracks None. Lists have one entry per iteration of the tracker, the last the best.
    """

    points: Tensor  # "B T H W 3", in the world frame that the network chooses (frame 0 is not its origin)
    local_points: Tensor  # "B T H W 3", in each frame's camera
    conf: Tensor  # "B T H W 1", logit
    camera_poses: Tensor  # "B T 4 4", camera to world
    traj3d_camera: list[Tensor] | None = None  # "B T N 3" each, in the camera of frame t
    traj3d_world: list[Tensor] | None = None  # "B T N 3" each, in the world frame
    visibility: Tensor | None = None  # "B T N", in [0, 1], of the last iteration
    visibility_logits: list[Tensor] | None = None  # "B T N" each
