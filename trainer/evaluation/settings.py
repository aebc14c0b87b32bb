"""What a model is asked, and how its answers are measured."""

from dataclasses import dataclass

from networks.inputs import PIXEL_BUDGET
from pipeline.errors import ConfigError
from pipeline.metrics import DepthProtocol, published_protocol
from trainer.inference.files import VISIBLE

PROTOCOL_NAMES = ("poses", "video_depth", "point_maps", "tracks3d")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSettings:
    """The defaults are the field's where it has any; the others are ours."""

    protocols: tuple[str, ...] = PROTOCOL_NAMES  # what is measured
    pixel_budget: int = PIXEL_BUDGET  # of a frame as the model sees it
    num_tracks: int = 512  # at most, thinned evenly, of the true tracks that are seen in the first frame
    visible: float = VISIBLE  # score above which a predicted point counts as seen
    pose_frames: int = 10  # drawn from a clip for RRA, RTA and AUC; all of them if it has fewer
    depth_range: str | None = None  # "sintel", "bonn", "kitti" or "nyu": their tables' range of true depths and clipping
    point_frames: int = 4  # spread over a clip, whose points are compared
    max_points: int = 20_000  # of these frames together, thinned evenly
    icp_distance: float | None = 0.1  # largest distance of an ICP match in the truth's unit; None leaves ICP out
    seed: int = 0  # of the drawn frames

    def __post_init__(self) -> None:
        for name, least in {"num_tracks": 1, "pose_frames": 2, "point_frames": 1, "max_points": 100, "seed": 0}.items():
            if getattr(self, name) < least:
                raise ConfigError(f"evaluation: {name} is {getattr(self, name)}, expected at least {least}")
        if not self.protocols or not set(self.protocols) <= set(PROTOCOL_NAMES):
            raise ConfigError(
                f"evaluation: protocols are {', '.join(self.protocols) or 'none'}, expected some of {', '.join(PROTOCOL_NAMES)}"
            )
        if not 0 <= self.visible < 1:
            raise ConfigError(f"evaluation: visible is {self.visible}, expected a score from 0 to below 1")
        if self.icp_distance is not None and not self.icp_distance > 0:
            raise ConfigError(f"evaluation: icp_distance is {self.icp_distance}, expected a positive length, or none")
        self.depth_protocol("metric")

    def depth_protocol(self, alignment: str) -> DepthProtocol:
        """The depth range of these settings under an alignment. Raises ConfigError for an unknown range."""
        return DepthProtocol(alignment=alignment) if self.depth_range is None else published_protocol(self.depth_range, alignment)
