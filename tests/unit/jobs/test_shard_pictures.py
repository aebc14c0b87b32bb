"""Odd pictures through the whole of jobs/shard.py: each mode's clips, what their records say, and what is refused."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from jobs.execution.run import Executor
from jobs.execution.units import Limits
from jobs.sharding.job import ShardingConfig, make_shards
from pipeline.manifest import ManifestOptions
from pipeline.records import ClipRecord
from pipeline.shards.errors_table import read_errors
from pipeline.shards.index import read_index, read_video
from pipeline.shards.policy import ClipPolicy
from pipeline.video.reader import read_clip_frames

UNIT = 1 << 16
FRAMES = 8
COLOUR = (200, 60, 40)
X264 = {"crf": "6", "preset": "veryfast", "g": "8", "bf": "0"}


def write(path: Path, pictures: Sequence[np.ndarray], *, options: dict[str, str] = X264, codec: str = "libx264", **more) -> Path:
    """H.264 of 25 frames per second; more: tags (matrix, range, primaries, transfer), aspect, matrix, pixel_format."""
    pixel_format = more.get("pixel_format", "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags = more.get("tags", (2, 0, 2, 2))
        if "aspect" in more:
            context.sample_aspect_ratio = more["aspect"]
        if "matrix" in more:
            stream.set_display_matrix(more["matrix"])
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            known = tags[0] != 2
            frame = frame.reformat(format=pixel_format, dst_colorspace=tags[0] if known else None, dst_color_range=tags[1] or 1)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def halves(left: int = 200, right: int = 60, width: int = 120) -> list[np.ndarray]:
    picture = np.full((96, width, 3), right, np.uint8)
    picture[:, : width // 2] = left
    return [picture] * FRAMES


def combed() -> list[np.ndarray]:
    pictures = []
    for index in range(FRAMES):
        picture = np.full((96, 160, 3), 30, np.uint8)
        for parity in (0, 1):
            picture[parity::2, 8 * index + 4 * parity :][:, :16] = 220
        pictures.append(picture)
    return pictures


def join(path: Path, parts: Sequence[Path]) -> None:
    """One stream of several, one behind the other."""
    with av.open(str(path), "w") as output:
        stream = None
        for number, part in enumerate(parts):
            with av.open(str(part)) as source:
                stream = stream or output.add_stream_from_template(source.streams.video[0])
                packets = [packet for packet in source.demux(video=0) if packet.size]
                shift = number * FRAMES * 3600 - packets[0].dts + 90_000
                for packet in packets:
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)
            part.unlink()


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write(folder / "colour.mp4", [np.full((96, 160, 3), COLOUR, np.uint8)] * FRAMES, tags=(1, 1, 1, 1))
    write(
        folder / "hdr.mp4",
        halves(),
        tags=(9, 1, 9, 18),
        codec="libx265",
        options={"x265-params": "log-level=error"},
        pixel_format="yuv420p10le",
    )
    write(folder / "interlaced.mp4", combed(), options={**X264, "flags": "+ilme+ildct", "x264-params": "tff=1"})
    write(folder / "mirrored.mp4", halves(), matrix=[-UNIT, 0, 0, 0, UNIT, 0, 0, 0, 1 << 30])
    write(folder / "wide.mp4", halves(), aspect=Fraction(4, 3))
    join(folder / "resized.ts", [write(folder / f"part{width}.ts", halves(width=width)) for width in (160, 96)])
    late = {**X264, "flags": "+ilme+ildct", "x264-params": "tff=1"}
    join(folder / "late.ts", [write(folder / "even.ts", halves(width=160)), write(folder / "combed.ts", combed(), options=late)])
    return folder


def cut(videos: Path, root: Path, video: str, **policy) -> tuple[dict[str, tuple[ClipRecord, np.ndarray]], dict[str, str]]:
    """Clips by source (record, frames as our reader gives them), and errors by source; of several clips the last."""
    config = ShardingConfig(
        inputs=(str(videos),),
        root=str(root),
        preset="auto",
        manifest=ManifestOptions(),
        policy=ClipPolicy(video=video, clip_frames=FRAMES, **policy),
        executor=Executor(name="inline", limits=Limits(attempts=1, part_s=600.0)),
    )
    make_shards(config, dry_run=False)
    entries = [entry for entry in read_index(str(root), 0) if entry.record is not None]
    clips = {entry.source: (entry.record, read_clip_frames(read_video(str(root), entry), entry.record)) for entry in entries}
    errors = {row.source: row.message for stage in ("probe", "plan", "shards") for row in read_errors(str(root), stage)}
    return clips, errors


@pytest.mark.parametrize("video", ["auto", "h264"])
def test_every_clip_is_what_a_player_shows(video, videos, tmp_path):
    clips, errors = cut(videos, tmp_path / "root", video)
    assert errors == {}
    assert np.abs(clips["colour.mp4"][1].astype(int) - COLOUR).max() <= 4
    record, frames = clips["wide.mp4"]
    assert (record.width, record.height, record.notes) == (160, 96, ("pixels made square, were 4:3",))
    assert (frames[4, 48, 78].max() > 190, frames[4, 48, 81].max() < 70) == (True, True)  # the edge is in the middle
    record, frames = clips["mirrored.mp4"]
    assert (frames[4, 48, 20].max() < 70, frames[4, 48, 100].min() > 190, record.video) == (True, True, "h264")
    record, frames = clips["interlaced.mp4"]
    assert (len(frames), record.notes) == (FRAMES, ("deinterlaced (bwdif)",))
    assert combing(frames) < 3
    record, frames = clips["late.ts"]  # its second clip: the first is progressive
    assert (record.start_s, combing(frames) < 3) == (pytest.approx(FRAMES / 25), True)
    record, frames = clips["resized.ts"]
    assert (record.start_s, frames.shape) == (pytest.approx(FRAMES / 25), (FRAMES, 96, 96, 3))
    record, frames = clips["hdr.mp4"]
    assert record.notes == ("tone-mapped from HLG (BT.2390 curve, 1000 to 203 cd/m2, to BT.709)",)
    # by BT.2100, HLG code 200 / 255 is 251 cd/m2; BT.2390 makes it 174 of 203, which is level 239
    assert np.abs(frames[4, 48, 20].astype(int) - 239).max() <= 4
    assert {record.video for record, _ in clips.values()} - {"h264"} == ({"copy"} if video == "auto" else set())


def test_a_copy_is_kept_with_a_note_or_refused_with_the_remedy(videos, tmp_path):
    clips, errors = cut(videos, tmp_path / "root", "copy")
    assert "interlaced video cannot be copied" in errors["interlaced.mp4"]
    assert "pixels are 4:3, not square, cannot be copied" in errors["wide.mp4"]
    assert "use --video h264 for it" in errors["resized.ts"]
    assert "frame 0 is 96x96, expected 160x96" in errors["resized.ts"]
    assert all("--video auto or h264" in message or "use --video h264" in message for message in errors.values())
    assert clips["hdr.mp4"][0].notes == ("HLG (HDR) as in the source",)
    assert clips["mirrored.mp4"][0].notes == ("mirrored by the display matrix",)
    assert clips["mirrored.mp4"][1][4, 48, 20].max() < 70
    assert clips["colour.mp4"][0].notes == ()
    assert np.abs(clips["colour.mp4"][1].astype(int) - COLOUR).max() <= 4


def test_no_clip_goes_across_a_change_of_size(videos, tmp_path):
    clips, errors = cut(videos, tmp_path / "root", "h264", clip_stride=FRAMES // 2)
    assert (clips["resized.ts"][0].width, errors) == (96, {})
    last = clips["resized.ts"][1][4, 48].max(-1)
    assert (last[46] > 190, last[49] < 70) == (True, True)


def combing(frames: np.ndarray) -> float:
    """Difference between neighbouring lines, in levels."""
    return float(np.abs(np.diff(frames[1:-1].astype(float).mean(-1), axis=1)).mean())
