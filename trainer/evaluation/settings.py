"""Settings of an evaluation, and the names of its protocols."""

from dataclasses import dataclass

from networks.inputs import PIXEL_BUDGET
from pipeline.errors import ConfigError
from pipeline.metrics import DepthProtocol, published_protocol
from trainer.evaluation.world_track import SIM3
from trainer.inference.reconstruction import VISIBLE

PROTOCOL_NAMES = ("poses", "video_depth", "point_maps", "tracks3d")  # measured unless asked for otherwise
WORLD_TRACK_PROTOCOLS = ("world_track", "world_reconstruction")  # of the WorldTrack benchmark
MOTION_PROTOCOLS = ("fixed_bubbles", "scene_flow")  # of Track4World
SINGLE_IMAGES = "single_images"  # every frame is shown to the model alone
ALL_PROTOCOLS = (*PROTOCOL_NAMES, *WORLD_TRACK_PROTOCOLS, *MOTION_PROTOCOLS, SINGLE_IMAGES)
TRACKING = ("tracks3d", "world_track", *MOTION_PROTOCOLS)  # protocols for which a model is asked for tracks
GEOMETRIES = ("model", "truth")
QUERIES = ("first", "own")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationSettings:
    """Settings of an evaluation. The defaults are the field's where it has any; the others are ours."""

    protocols: tuple[str, ...] = PROTOCOL_NAMES  # what is measured
    geometry: str = "model"  # where points and cameras come from: "model", or "truth" for one that has no geometry of its own
    pixel_budget: int = PIXEL_BUDGET  # of a frame as the model sees it
    long_side: int | None = None  # pixels, in the place of `pixel_budget`; rounded to whole patches, as is the short side
    queries: str = "first"  # where tracks are asked for: "first", in the clip's first frame, or "own", each in its own query frame
    num_tracks: int | None = 512  # at most, thinned evenly, of the true tracks that are seen where they are asked for; None: all
    visible: float = VISIBLE  # score above which a predicted point counts as seen
    pose_frames: int = 10  # drawn from a clip for RRA, RTA and AUC; all of them if it has fewer
    depth_range: str | None = None  # "sintel", "bonn", "kitti" or "nyu": their tables' range of true depths and clipping
    point_frames: int | None = 4  # spread over a clip, whose points are compared; None: all
    max_points: int | None = 20_000  # of these frames together, thinned evenly; None: all
    icp_distance: float | None = 0.1  # largest distance of an ICP match in the truth's unit; None leaves ICP out
    flow_frame: int = 4  # scene flow goes from the first frame to this one
    world_sim3: str = "sim3"  # the similarity of world_track; "sim3_repository": with the scale as the public evaluation has it
    seed: int = 0  # of the drawn frames, and of RANSAC

    def __post_init__(self) -> None:
        at_least = {"num_tracks": 1, "pose_frames": 2, "point_frames": 1, "flow_frame": 1, "max_points": 100, "seed": 0, "long_side": 14}
        for name, least in at_least.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"evaluation: {name} is {value}, expected at least {least}")
        if not self.protocols or not set(self.protocols) <= set(ALL_PROTOCOLS):
            raise ConfigError(
                f"evaluation: protocols are {', '.join(self.protocols) or 'none'}, expected some of {', '.join(ALL_PROTOCOLS)}"
            )
        if SINGLE_IMAGES in self.protocols and len(self.protocols) > 1:
            raise ConfigError(f"evaluation: {SINGLE_IMAGES} shows the model one frame at a time; measure {', '.join(self.protocols)} apart")
        if self.queries not in QUERIES:
            raise ConfigError(f"evaluation: queries is {self.queries!r}, expected {' or '.join(QUERIES)}")
        if self.world_sim3 not in SIM3:
            raise ConfigError(f"evaluation: world_sim3 is {self.world_sim3!r}, expected {' or '.join(SIM3)}")
        if self.queries == "own" and self.geometry == "truth":
            raise ConfigError("evaluation: tracks are asked for in their own frames of a model with geometry of its own alone")
        if self.geometry not in GEOMETRIES:
            raise ConfigError(f"evaluation: geometry is {self.geometry!r}, expected {' or '.join(GEOMETRIES)}")
        if not 0 <= self.visible < 1:
            raise ConfigError(f"evaluation: visible is {self.visible}, expected a score from 0 to below 1")
        if self.icp_distance is not None and not self.icp_distance > 0:
            raise ConfigError(f"evaluation: icp_distance is {self.icp_distance}, expected a positive length, or none")
        self.depth_protocol("metric")

    def depth_protocol(self, alignment: str) -> DepthProtocol:
        """The depth range of these settings under an alignment. Raises ConfigError for an unknown range."""
        return DepthProtocol(alignment=alignment) if self.depth_range is None else published_protocol(self.depth_range, alignment)
