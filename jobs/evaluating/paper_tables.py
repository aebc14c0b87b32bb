"""Tables 1 to 10 of TrajVG: protocols, with where each number is from, and what the paper prints.

Numbers are those of public code, read, not run: google-deepmind/tapnet, CUT3R/CUT3R, Junyi42/monst3r, and yyfz/Pi3 (branch evaluation);
comments name the section of the project's specification of metrics. "ours" is what neither the paper nor that code says. The paper's
numbers of Tables 2 to 7 are not at hand.
"""

from dataclasses import replace

from jobs.evaluating.frame_choice import FrameChoice
from jobs.evaluating.paper_records import ClipProtocol, PaperTable, PublishedRow, Section
from trainer.evaluation import SINGLE_IMAGES, EvaluationSettings

TRACKS = ("average_jaccard_3d", "average_pts_within_3d", "occlusion_accuracy")
ANGLES = ("rra_30", "rta_30", "auc_30")
TRAJECTORY = ("ate", "rpe_trans", "rpe_rot_deg")
CLOUDS = tuple(f"{name}_{spread}" for name in ("accuracy", "completion", "normal_consistency") for spread in ("mean", "median"))
MEAN_CLOUDS = CLOUDS[::2]
VIDEO_DEPTH = ("abs_rel_scale", "delta_1_scale", "abs_rel_scale_shift", "delta_1_scale_shift")
IMAGE_DEPTH = ("abs_rel_median", "delta_1_median")

_LONG_SIDE, _LONG_SIDE_OF_POINTS = 512, 518  # yyfz/Pi3, evaluation: load_img_size of poses and depth, and of point maps
_WHOLE = FrameChoice()
_POSES = EvaluationSettings(protocols=("poses",), long_side=_LONG_SIDE)
_PAIRS = replace(_POSES, pose_frames=10)
_DEPTH = EvaluationSettings(protocols=("video_depth",), long_side=_LONG_SIDE)
_IMAGES = EvaluationSettings(protocols=(SINGLE_IMAGES,), long_side=_LONG_SIDE)
# ICP within 0.1 m (metrics, section 7); of DTU 100 mm, which is the same: shards hold metres
_POINTS = EvaluationSettings(
    protocols=("point_maps",), long_side=_LONG_SIDE_OF_POINTS, point_frames=None, max_points=None, icp_distance=0.1
)
_TRACKS = EvaluationSettings(protocols=("tracks3d",))

_SINTEL = tuple(
    f"final/{scene}"
    for scene in (
        *("alley_2", "ambush_4", "ambush_5", "ambush_6", "cave_2", "cave_4", "market_2", "market_5", "market_6", "shaman_3"),
        *("sleeping_1", "sleeping_2", "temple_2", "temple_3"),
    )
)
_TUM = tuple(f"rgbd_dataset_freiburg3_{who}_{how}" for who in ("sitting", "walking") for how in ("static", "xyz", "halfsphere", "rpy"))
_BONN = tuple(f"rgbd_bonn_{name}" for name in ("balloon2", "crowd2", "crowd3", "person_tracking2", "synchronous"))


def _tapvid3d(source: str) -> ClipProtocol:
    return ClipProtocol(
        dataset="tapvid3d",
        sources=(f"{source}/*",),
        settings=replace(_TRACKS, queries="own", num_tracks=None),
        # metrics, section 2
        origin="google-deepmind/tapnet: tracks asked for in their own frames, median scale, every frame counts; the split: as converted",
    )


def _angles(dataset: str) -> ClipProtocol:
    return ClipProtocol(
        dataset=dataset,
        split="test",
        frames=FrameChoice(drawn=10),
        settings=_PAIRS,
        # metrics, section 4
        origin="yyfz/Pi3: 10 frames drawn once with seed 42, all pairs of all sequences pooled; the frames themselves: ours",
    )


def _every_third(dataset: str, sources: tuple[str, ...] = ("*",)) -> ClipProtocol:
    return ClipProtocol(
        dataset=dataset,
        split="test",
        sources=sources,
        frames=FrameChoice(every=3, first=90),
        settings=_POSES,
        # metrics, section 3
        origin="CUT3R/CUT3R, Junyi42/monst3r, yyfz/Pi3: every third frame, the first 90",
    )


def _keyframes(dataset: str, every: int) -> ClipProtocol:
    return ClipProtocol(
        dataset=dataset,
        split="test",
        frames=FrameChoice(every=every),
        settings=_POINTS,
        # metrics, section 7
        origin=f"yyfz/Pi3: every {every}th frame, 518 pixels wide, Umeyama, ICP within 0.1 m; points at the model's size: ours",
    )


def _depth(
    dataset: str,
    settings: EvaluationSettings,
    *,
    name: str,
    sources: tuple[str, ...] = ("*",),
    frames: FrameChoice = _WHOLE,
) -> ClipProtocol:
    images = SINGLE_IMAGES in settings.protocols
    # metrics, sections 5 and 6
    way = (
        "CUT3R/CUT3R, Junyi42/monst3r: each image by its median"
        if images
        else "CUT3R/CUT3R, Junyi42/monst3r, yyfz/Pi3: each sequence at once"
    )
    return ClipProtocol(
        dataset=dataset,
        sources=sources,
        frames=frames,
        settings=replace(settings, depth_range=name),
        whole=dataset != "nyu_v2",
        origin=f"{way}, weighted by valid pixels",
    )


def _depths(settings: EvaluationSettings, measures: tuple[str, ...]) -> tuple[Section, ...]:
    sets = {
        "Sintel": _depth("sintel", settings, name="sintel", sources=_SINTEL),
        "Bonn": _depth("bonn", settings, name="bonn", sources=_BONN, frames=FrameChoice(skip=30, first=110)),
        "KITTI": _depth("kitti_depth", settings, name="kitti", sources=("val/*",), frames=FrameChoice(first=110)),
    }
    if settings is _IMAGES:
        sets["NYU-v2"] = _depth("nyu_v2", settings, name="nyu")
    return tuple(Section(title=title, protocol=protocol, measures=measures) for title, protocol in sets.items())


def _published(*rows: tuple[str, tuple[float, ...]]) -> tuple[PublishedRow, ...]:
    return tuple(PublishedRow(name=name, values=values) for name, values in rows)


_ETH3D = _keyframes("eth3d", 5)
TABLES = {
    table.number: table
    for table in (
        PaperTable(
            number=1,
            title="3D tracks, TAPVid-3D",
            sections=(
                Section(
                    title="ADT",
                    protocol=_tapvid3d("adt"),
                    measures=TRACKS,
                    published=_published(
                        ("TrajVG", (23.1, 32.5, 93.8)),
                        ("SpatialTrackerV2, MegaSaM depth", (22.3, 32.2, 93.7)),
                        ("TAPIP3D, MegaSaM depth", (21.6, 31.0, 90.4)),
                        ("CoTracker3 lifted, MegaSaM depth", (20.4, 30.1, 89.8)),
                    ),
                ),
                Section(
                    title="DriveTrack",
                    protocol=_tapvid3d("drivetrack"),
                    measures=TRACKS,
                    published=_published(
                        ("TrajVG", (17.8, 25.2, 92.2)),
                        ("SpatialTrackerV2, MegaSaM depth", (15.8, 23.0, 90.0)),
                        ("TAPIP3D, MegaSaM depth", (14.6, 21.3, 82.2)),
                        ("CoTracker3 lifted, MegaSaM depth", (14.1, 20.3, 88.5)),
                    ),
                ),
                Section(
                    title="PStudio",
                    protocol=_tapvid3d("pstudio"),
                    measures=TRACKS,
                    published=_published(
                        ("TrajVG", (18.2, 28.8, 86.3)),
                        ("SpatialTrackerV2, MegaSaM depth", (18.2, 28.6, 87.3)),
                        ("TAPIP3D, MegaSaM depth", (18.1, 27.7, 85.5)),
                        ("CoTracker3 lifted, MegaSaM depth", (17.4, 27.2, 85.0)),
                    ),
                ),
            ),
        ),
        PaperTable(
            number=2,
            title="relative poses",
            sections=(
                Section(title="RealEstate10K", protocol=_angles("real_estate10k"), measures=ANGLES),
                Section(title="Co3Dv2", protocol=_angles("co3d"), measures=ANGLES),
            ),
        ),
        PaperTable(
            number=3,
            title="camera trajectories",
            sections=(
                Section(
                    title="Sintel",
                    protocol=ClipProtocol(
                        dataset="sintel",
                        sources=_SINTEL,
                        settings=_POSES,
                        # metrics, section 3
                        origin="CUT3R/CUT3R, Junyi42/monst3r, yyfz/Pi3: 14 sequences of the final pass, all frames",
                    ),
                    measures=TRAJECTORY,
                ),
                Section(title="TUM-dynamics", protocol=_every_third("tum", _TUM), measures=TRAJECTORY),
                Section(title="ScanNet", protocol=_every_third("scannet"), measures=TRAJECTORY),
            ),
        ),
        PaperTable(
            number=4,
            title="point maps",
            sections=(
                Section(title="DTU, millimetres", protocol=_keyframes("dtu", 5), measures=CLOUDS, millimetres=True),
                Section(title="ETH3D", protocol=_ETH3D, measures=CLOUDS),
            ),
        ),
        PaperTable(
            number=5,
            title="point maps of rooms",
            sections=(
                Section(title="7-Scenes, sparse", protocol=_keyframes("seven_scenes", 200), measures=CLOUDS),
                Section(title="7-Scenes, dense", protocol=_keyframes("seven_scenes", 40), measures=CLOUDS),
                Section(title="NRGBD, sparse", protocol=_keyframes("nrgbd", 500), measures=CLOUDS),
                Section(title="NRGBD, dense", protocol=_keyframes("nrgbd", 100), measures=CLOUDS),
            ),
        ),
        PaperTable(number=6, title="video depth", sections=_depths(_DEPTH, VIDEO_DEPTH)),
        PaperTable(number=7, title="depth of single images", sections=_depths(_IMAGES, IMAGE_DEPTH)),
        PaperTable(
            number=8,
            title="joint training, ETH3D",
            sections=(
                Section(
                    title="ETH3D",
                    protocol=_ETH3D,
                    measures=MEAN_CLOUDS,
                    published=_published(
                        ("no tracks", (0.177, 0.201, 0.888)),
                        ("tracks", (0.175, 0.199, 0.887)),
                        ("tracks, L_cam, L_self", (0.172, 0.198, 0.890)),
                        ("tracks, L_cons, L_self", (0.173, 0.200, 0.887)),
                        ("tracks, L_cons, L_cam", (0.170, 0.196, 0.889)),
                        ("TrajVG: tracks, L_cons, L_cam, L_self", (0.168, 0.192, 0.891)),
                    ),
                ),
            ),
        ),
        PaperTable(
            number=9,
            title="camera trajectories in the wild, Sekai",
            sections=(
                Section(
                    title="Sekai",
                    protocol=ClipProtocol(
                        dataset="sekai",
                        settings=replace(_POSES, long_side=None),
                        whole=False,
                        # metrics, section 3
                        origin="ours: clips as they were cut, all frames. The cameras are estimates, of no metric scale",
                    ),
                    measures=TRAJECTORY,
                    published=_published(("TrajVG", (0.0101, 0.0051, 0.2515)), ("without L_self", (0.0154, 0.0103, 0.4413))),
                ),
            ),
        ),
        PaperTable(
            number=10,
            title="3D tracks, Dynamic Replica",
            sections=(
                Section(
                    title="Dynamic Replica",
                    protocol=ClipProtocol(
                        dataset="dynamic_replica",
                        split="test",
                        frames=FrameChoice(first=24),
                        settings=_TRACKS,
                        whole=False,
                        # metrics, section 2.2
                        origin="ours: as TAPVid-3D, on the first 24 frames of clips of the split test, up to 512 tracks of the first frame",
                    ),
                    measures=TRACKS,
                    published=_published(
                        ("base", (49.8, 65.7, 83.4)),
                        ("+ L_cons", (57.4, 70.1, 84.1)),
                        ("+ L_cam", (59.1, 72.3, 85.0)),
                        ("TrajVG: + L_self", (59.5, 72.5, 85.1)),
                    ),
                ),
            ),
        ),
    )
}
DATASETS = tuple(dict.fromkeys(name for table in TABLES.values() for name in table.datasets))
