"""Thousands of damaged inputs: no raw exception, no job ended, no hang. Run by make soak."""

import json
import random
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import TrackmillError
from pipeline.manifest import ManifestOptions, read_manifest
from pipeline.shards.errors_table import read_errors
from pipeline.stream import ClipStream, StreamConfig

REPO = Path(__file__).parents[2]
NUM_VIDEOS, VIDEOS_A_JOB, NUM_MANIFESTS = 1008, 56, 1000
JOB_LIMIT_S = 600
# suffix, encoder, pixel format, options
FORMS = (
    ("mp4", "libx264", "yuv420p", {"bf": "2", "g": "12"}),
    ("mp4", "libx265", "yuv420p", {"x265-params": "keyint=12:bframes=2:log-level=error"}),
    ("mp4", "mpeg4", "yuv420p", {"g": "12"}),
    ("mov", "mjpeg", "yuvj420p", {}),
    ("mkv", "libx264", "yuv420p", {"bf": "2", "g": "12"}),
    ("mkv", "ffv1", "yuv420p", {}),
    ("webm", "libvpx", "yuv420p", {"g": "12", "deadline": "realtime"}),
    ("webm", "libvpx-vp9", "yuv420p", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    ("avi", "mpeg4", "yuv420p", {"g": "12"}),
    ("ts", "libx264", "yuv420p", {"bf": "2", "g": "12"}),
    ("ts", "mpeg2video", "yuv420p", {"g": "12"}),
    ("mpg", "mpeg1video", "yuv420p", {"g": "12"}),
    ("flv", "flv", "yuv420p", {"g": "12"}),
    ("wmv", "wmv2", "yuv420p", {"g": "12"}),
)


def write_form(path: Path, form: tuple[str, str, str, dict[str, str]]) -> Path:
    """36 frames of 96x64 in one container and codec."""
    _, encoder, pixel_format, options = form
    picture = np.random.default_rng(0).integers(0, 255, (13, 17, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixel_format
        for index in range(36):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[index : index + 64, index : index + 96]), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def damaged(data: bytes, draw: random.Random) -> bytes:
    """One of seven kinds of damage, at a place and of a size that are drawn."""
    size = len(data)
    at = draw.randrange(size) if draw.random() < 0.6 else draw.randrange(min(size, 600))  # headers more often than their share
    length = min(size - at, draw.choice((1, 4, 16, 188, 1024)))
    kind = draw.randrange(7)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(length) + data[at + length :]
    if kind == 2:
        return data[:at] + data[at + length :]
    if kind == 3:
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    if kind == 4:
        return data[:at] + draw.randbytes(length) + data[at + length :]
    if kind == 5:
        return data[:at] + b"\xff" * length + data[at + length :]
    changed = bytearray(data)
    for _ in range(draw.choice((1, 3, 20, 200))):
        changed[draw.randrange(size)] ^= 1 << draw.randrange(8)
    return bytes(changed)


@pytest.mark.soak
@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("video", ["auto", "copy"])
def test_damaged_videos_end_no_job(video, tmp_path):
    whole = [write_form(tmp_path / f"whole{place}.{form[0]}", form).read_bytes() for place, form in enumerate(FORMS)]
    draw, counts = random.Random(0), {"videos": 0, "clips": 0, "errors": 0, "unexpected": 0, "seconds": 0.0}
    for job in range(NUM_VIDEOS // VIDEOS_A_JOB):
        folder, root = tmp_path / f"videos{job}", tmp_path / f"root{job}"
        folder.mkdir()
        for number in range(VIDEOS_A_JOB):
            place = number % len(FORMS)
            (folder / f"v{number:03d}-{FORMS[place][1]}.{FORMS[place][0]}").write_bytes(damaged(whole[place], draw))
        command = [sys.executable, str(REPO / "jobs/shard.py"), str(folder), "--root", str(root), "--executor", "inline", "--video", video]
        started = time.monotonic()
        done = subprocess.run(
            [*command, "--clip-frames", "12", "--max-error-rate", "1"], capture_output=True, text=True, timeout=JOB_LIMIT_S, check=False
        )
        counts["seconds"] = max(counts["seconds"], time.monotonic() - started)
        assert done.returncode == 0, f"{folder}\n{done.stdout}\n{done.stderr}"
        rows = [row for stage in ("plan", "shards") for row in read_errors(str(root), stage)]
        unexpected = [row for row in rows if row.unexpected]
        for row in unexpected:
            print(row.message)  # noqa: T201
        counts["videos"], counts["errors"] = counts["videos"] + VIDEOS_A_JOB, counts["errors"] + len(rows)
        counts["unexpected"] += len(unexpected)
        counts["clips"] += sum(1 for _ in ClipStream(StreamConfig(root=root, num_frames=None, epochs=1)))
    print(video, json.dumps(counts))  # noqa: T201
    assert counts["unexpected"] == 0


COLUMNS = (
    ("path", "start", "end"),
    ("video", "start_s", "end_s"),
    ("file", "start_time", "end_time"),
    ("path", "license", "caption"),
)
ODD_CELLS = ("gone.mp4", "", "0", "1.5", "0:01", "nan", "[[0, 1]]", "hf://a/b/c", "zip://x::y.zip", "é", '"')


def make_cell(draw: random.Random, name: str, videos: list[str]) -> str:
    likely = 0.8 if name in ("path", "video", "file") else 0.1
    return draw.choice(videos if draw.random() < likely else ODD_CELLS)


def make_table(draw: random.Random, videos: list[str]) -> tuple[str, bytes]:
    """(suffix, bytes) of a table of clips, in one of the forms that people write."""
    names = draw.choice(COLUMNS)
    rows = [[make_cell(draw, name, videos) for name in names] for _ in range(4)]
    form = draw.choice(("csv", "tsv", "semicolon", "jsonl"))
    if form == "jsonl":
        odd = (1, None, [1], {"a": 1}, "\ud800", 1e400, "x" * 1000)
        lines = [json.dumps({**dict(zip(names, row, strict=True)), "more": draw.choice(odd)}) for row in rows]
        return ".jsonl", "\n".join(lines).encode("utf-8", "surrogatepass")
    delimiter = {"csv": ",", "tsv": "\t", "semicolon": ";"}[form]
    text = "\n".join(delimiter.join(row) for row in [list(names), *rows])
    return ".tsv" if form == "tsv" else ".csv", text.encode(draw.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")


@pytest.mark.soak
def test_damaged_manifests_are_refused_or_read(make_video, tmp_path):
    videos = [make_video(f"v{number}.mp4", num_frames=12, size=(32, 48)).name for number in range(2)]
    draw, counts = random.Random(1), {"read": 0, "refused": 0, "clips": 0, "rows": 0}
    started = time.monotonic()
    for number in range(NUM_MANIFESTS):
        suffix, data = make_table(draw, videos)
        for _ in range(draw.randrange(3)):
            data = damaged(data, draw) if data else data
        table = tmp_path / f"table{number}{suffix}"
        table.write_bytes(data)
        try:
            manifest = read_manifest([str(table)], ManifestOptions())
        except TrackmillError:
            counts["refused"] += 1
        else:
            counts["read"], counts["clips"] = counts["read"] + 1, counts["clips"] + len(manifest.specs)
            counts["rows"] += len(manifest.problems)
        table.unlink()
    print(json.dumps({**counts, "seconds": time.monotonic() - started}))  # noqa: T201
    assert counts["read"] + counts["refused"] == NUM_MANIFESTS
