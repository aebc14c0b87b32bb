"""Metrics of the field as pure numpy functions; arrays in, a record out. An undefined value is NaN, never a number."""

from pipeline.metrics.averages import DefinedMean, defined_mean
from pipeline.metrics.depth import DepthMetrics, DepthProtocol, depth_metrics, mean_depth_metric, published_protocol, resize_to_truth
from pipeline.metrics.point_maps import PointCloud, PointMapMetrics, compare_clouds, point_map_metrics
from pipeline.metrics.relative_poses import RelativePoseErrors, RelativePoseScores, draw_frames, relative_pose_errors, relative_pose_scores
from pipeline.metrics.scale_shift import ScaleShift, fit_scale, fit_scale_shift
from pipeline.metrics.scene_flow import SceneFlow, SceneFlowMetrics, pool_scene_flow, scene_flow_metrics, valid_scene_flow
from pipeline.metrics.similarity import RansacConfig, Similarity, ransac_similarity, umeyama
from pipeline.metrics.tapvid import (
    TapvidMetrics,
    TapvidQueries,
    sample_queries_first,
    sample_queries_strided,
    tapvid_from_labels,
    tapvid_metrics,
    tapvid_trackwise_metrics,
)
from pipeline.metrics.tapvid3d import Tapvid3dConfig, Tapvid3dMetrics, tapvid3d_metrics, tapvid3d_trackwise_metrics
from pipeline.metrics.tapvid3d_protocol import evaluation_focal, mean_over_sources
from pipeline.metrics.track4world import Track4WorldConfig, Track4WorldMetrics, track4world_metrics
from pipeline.metrics.track_accuracy import TrackAccuracy, track_accuracy
from pipeline.metrics.tracks3d import Tracks3d
from pipeline.metrics.trajectories import TrajectoryMetrics, associate_by_time, trajectory_metrics
from pipeline.metrics.world_tracks import WorldTrackMetrics, world_reconstruction_metrics, world_track_metrics

__all__ = [
    "DefinedMean",
    "DepthMetrics",
    "DepthProtocol",
    "PointCloud",
    "PointMapMetrics",
    "RansacConfig",
    "RelativePoseErrors",
    "RelativePoseScores",
    "ScaleShift",
    "SceneFlow",
    "SceneFlowMetrics",
    "Similarity",
    "Tapvid3dConfig",
    "Tapvid3dMetrics",
    "TapvidMetrics",
    "TapvidQueries",
    "Track4WorldConfig",
    "Track4WorldMetrics",
    "TrackAccuracy",
    "Tracks3d",
    "TrajectoryMetrics",
    "WorldTrackMetrics",
    "associate_by_time",
    "compare_clouds",
    "defined_mean",
    "depth_metrics",
    "draw_frames",
    "evaluation_focal",
    "fit_scale",
    "fit_scale_shift",
    "mean_depth_metric",
    "mean_over_sources",
    "point_map_metrics",
    "pool_scene_flow",
    "published_protocol",
    "ransac_similarity",
    "relative_pose_errors",
    "relative_pose_scores",
    "resize_to_truth",
    "sample_queries_first",
    "sample_queries_strided",
    "scene_flow_metrics",
    "tapvid3d_metrics",
    "tapvid3d_trackwise_metrics",
    "tapvid_from_labels",
    "tapvid_metrics",
    "tapvid_trackwise_metrics",
    "track4world_metrics",
    "track_accuracy",
    "trajectory_metrics",
    "umeyama",
    "valid_scene_flow",
    "world_reconstruction_metrics",
    "world_track_metrics",
]
