"""Hostile tars by the hundred: registering ends, in bounded time, with errors of ours alone. Run by `make soak`."""

import io
import tarfile
import time
from pathlib import Path

import pytest

from pipeline.shards.foreign import ForeignTar, scan_tar
from tests.mutations import damaged

NUM_TARS, LONGEST_S = 300, 5.0
SHARES = {"train": 1.0}


@pytest.mark.soak
@pytest.mark.unexpected
def test_hostile_tars_end_with_rows(make_video, tmp_path: Path):
    video = make_video(num_frames=6, size=(48, 64)).read_bytes()
    forms = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
    errors = clips = unforeseen = 0
    for seed in range(NUM_TARS):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=forms[seed % 3]) as tar:
            for name, data in (("é" * 70 + "a.mp4", video), ("b.mp4", video), ("b.json", b'{"videoid": "v"}'), ("c.mp4", video)):
                info = tarfile.TarInfo(name if forms[seed % 3] != tarfile.USTAR_FORMAT else name[-5:])
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        data = buffer.getvalue()
        header = (seed // 3 % 4) * 512
        path = tmp_path / "t.tar"
        in_header = data[:header] + damaged(data[header : header + 512], seed) + data[header + 512 :]
        path.write_bytes(in_header if seed % 2 else damaged(data, seed))
        started = time.monotonic()
        found = scan_tar(ForeignTar(uri=str(path), name="t.tar"), shares=SHARES, license=None, crashed={})
        assert time.monotonic() - started < LONGEST_S, seed
        assert not any("shards/tar_" in (row.traceback or "") for row in found.errors), seed
        unforeseen += sum(row.unexpected for row in found.errors)
        errors, clips = errors + len(found.errors), clips + sum(entry.status == "ok" for entry in found.entries)
    print(f"{NUM_TARS} hostile tars: {clips} clips, {errors} error rows, {unforeseen} of them unforeseen")  # noqa: T201  the figures of a soak
    assert clips
    assert errors
