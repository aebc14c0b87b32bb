"""Published sets of clips: their columns, the paths of their files, the names of their rows. Data, and a few small functions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import parse_qs, urlsplit

from pipeline.manifest.cells import Cells

_SEKAI_CLIP = re.compile(r"(?P<video>.+)_(?P<start>\d{1,12})_(?P<end>\d{1,12})")  # the last two underscores count: ids hold some too
_NUMBERED_CLIP = re.compile(r"(?P<video>.+?)_\d+(_\d+to\d+)?")
_PART_OF_VIDEO = re.compile(r"(?P<video>.+)_\d+_\d+to\d+")
_YOUTUBE_PATH = re.compile(r"/(shorts|embed|live|v)/(?P<id>[\w-]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RowNames:
    """Names in a row, and bounds within a name."""

    video_id: str | None = None  # of the source video; None: the row names a file only
    clip_id: str | None = None  # stem of a file that holds this clip and nothing else, where such files are usual
    start_frame: int | None = None
    end_frame: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PathTemplate:
    """A possible path of a row's file: a template over the row's columns, `path`, `video_id` and `clip_id`.

    `anywhere` looks for a file of this name at any depth; a template without a video suffix takes any.
    """

    template: str
    whole: bool = False  # the file is the clip: the row's bounds are not for it
    anywhere: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """One kind of table. Columns are this set's own names for the roles of `ManifestOptions`."""

    columns: Mapping[str, str]
    required: tuple[str, ...]
    name_row: Callable[[Cells], RowNames]
    path_templates: tuple[PathTemplate, ...]
    video_of_file: Callable[[str], str] | None = None  # stem of a file in a folder -> its source video; None: for tables only
    first_column: str | None = None  # role of column 0 when its usual name is not there
    per_clip: tuple[str, ...] = ()  # columns with one entry per clip of the row
    base_fps: float | None = None
    kept: tuple[str, ...] = field(default=("id", "url"))  # roles whose columns stay among the extra columns


def sekai_names(cells: Cells) -> RowNames:
    """`<video>_<start>_<end>.mp4`, frames half-open at 30 fps. A name of another form is a clip of its own."""
    clip_id = PurePosixPath(cells.text("id") or "").stem
    match = _SEKAI_CLIP.fullmatch(clip_id)
    if match is None:
        return RowNames(clip_id=clip_id or None)
    return RowNames(video_id=match["video"], clip_id=clip_id, start_frame=int(match["start"]), end_frame=int(match["end"]))


def sekai_video(stem: str) -> str:
    """The source video of a cut Sekai clip; an uncut one is its own."""
    match = _SEKAI_CLIP.fullmatch(stem)
    return match["video"] if match else stem


def panda_names(cells: Cells) -> RowNames:
    """One row is one source video."""
    return RowNames(video_id=cells.text("id") or youtube_id(cells.text("url")))


def koala_names(cells: Cells) -> RowNames:
    """One row is one clip, its id the source's and a number; the address names the source for certain."""
    clip_id = cells.text("id")
    match = _NUMBERED_CLIP.fullmatch(clip_id or "")
    video_id = youtube_id(cells.text("url")) or (match["video"] if match else clip_id)
    return RowNames(video_id=video_id, clip_id=None if clip_id == video_id else clip_id)


def openvid_names(cells: Cells) -> RowNames:
    """One row is one finished file."""
    path = cells.text("path")
    return RowNames(video_id=cells.text("id") or (None if path is None else openvid_video(PurePosixPath(path).stem)))


def openvid_video(stem: str) -> str:
    """`<video>_<scene>_<first>to<last>` is a part of `<video>`; any other file is a source of its own."""
    match = _PART_OF_VIDEO.fullmatch(stem)
    return match["video"] if match else stem


def id_names(cells: Cells) -> RowNames:
    """The id column, where there is one."""
    return RowNames(video_id=cells.text("id"))


def youtube_id(url: str | None) -> str | None:
    """The video id in a YouTube address; None if it is not one."""
    try:
        parts = urlsplit(url or "")
    except ValueError:  # such as an unclosed bracket
        return None
    host = parts.hostname or ""
    if host == "youtu.be":
        return parts.path.strip("/") or None
    if host != "youtube.com" and not host.endswith(".youtube.com"):
        return None
    named = _YOUTUBE_PATH.match(parts.path)
    return named["id"] if named else parse_qs(parts.query).get("v", [None])[0]


PRESETS: Mapping[str, Preset] = {
    "sekai": Preset(
        columns={"id": "videoFile", "camera": "cameraFile", "license": "license"},
        required=("id",),
        name_row=sekai_names,
        path_templates=(PathTemplate(template="{clip_id}", whole=True), PathTemplate(template="{video_id}")),
        video_of_file=sekai_video,
        first_column="id",
        base_fps=30.0,
    ),
    "panda70m": Preset(
        columns={"id": "videoID", "url": "url", "clips": "timestamp", "license": "license"},
        required=("id", "clips"),
        name_row=panda_names,
        path_templates=(PathTemplate(template="{video_id}"),),
        per_clip=("caption", "matching_score", "desirable_filtering", "shot_boundary_detection"),
    ),
    "openvid": Preset(
        columns={"path": "video", "license": "license"},
        required=("path",),
        name_row=openvid_names,
        path_templates=(PathTemplate(template="{path}", whole=True),),
        video_of_file=openvid_video,
    ),
    "koala36m": Preset(
        columns={"id": "videoID", "url": "url", "clips": "timestamp", "license": "license"},
        required=("id", "clips"),
        name_row=koala_names,
        path_templates=(PathTemplate(template="{clip_id}", whole=True), PathTemplate(template="{video_id}")),
    ),
    "webvid": Preset(
        columns={"id": "videoid", "license": "license"},
        required=("id",),
        name_row=id_names,
        path_templates=(
            PathTemplate(template="{page_dir}/{video_id}.mp4", whole=True, anywhere=False),
            PathTemplate(template="{video_id}", whole=True),
        ),
    ),
    "generic": Preset(
        columns={
            **{"path": "path", "id": "video_id", "start": "start_s", "end": "end_s", "camera": "camera_path"},
            **{"start_frame": "start_frame", "end_frame": "end_frame", "base_fps": "frame_base_fps", "license": "license"},
        },
        required=("path",),
        name_row=id_names,
        path_templates=(PathTemplate(template="{path}", anywhere=False),),
    ),
}
