"""HDR pictures become BT.709 by the documented formula; the values stand in its docstring or were worked out from the standards."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.video.colour import HLG, PQ, Colour
from pipeline.video.copy import copy_spans
from pipeline.video.encode import EncodePolicy, encode_spans
from pipeline.video.groups import Span
from pipeline.video.open import open_video, to_rgb
from pipeline.video.probe import probe_video
from pipeline.video.tone_map import compress_highlights, light_to_pq, pq_to_light, tone_map


def level(code: float, transfer: int) -> int:
    """The grey level that a grey code in [0, 1] becomes."""
    red, green, blue = tone_map(np.full((1, 1, 3), round(65535 * code), np.uint16), Colour(matrix=9, primaries=9, transfer=transfer))[0, 0]
    assert red == green == blue
    return int(red)


@pytest.mark.parametrize(
    ("code", "light"),
    [(0.0, 0.0), (0.508078, 100.0), (0.580689, 203.0), (0.751827, 1000.0), (1.0, 10_000.0)],  # SMPTE ST 2084; BT.2408, table 1
)
def test_pq_codes_are_light(code, light):
    assert float(pq_to_light(np.array(code))) == pytest.approx(light, rel=1e-4)
    assert float(light_to_pq(light)) == pytest.approx(code, abs=1e-5)


def test_the_curve_leaves_the_dark_alone_and_ends_at_white():
    light = np.array([0, 1, 50, 87, 203, 1000, 4000], float)
    np.testing.assert_allclose(compress_highlights(light), [0, 1, 50, 87, 159.04, 203, 203], rtol=1e-4, atol=1e-4)


# 50 cd/m2: 255 (50 / 203) ** (1 / 2.4) = 142; 203: the curve gives 159.04, and 255 (159.04 / 203) ** (1 / 2.4) = 230
@pytest.mark.parametrize(("light", "expected"), [(0, 0), (50, 142), (203, 230), (1000, 255), (4000, 255)])
def test_grey_of_pq(light, expected):
    assert level(float(light_to_pq(light)), PQ) == expected


# HLG on 1000 cd/m2: E = code**2 / 3 to 0.5, light 1000 E**1.2: 0.25 -> 9.87 -> 72; 0.5 -> 50.7 -> 143; 0.75 -> 203 -> 230 (BT.2408)
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (0.25, 72), (0.5, 143), (0.75, 230), (1, 255)])
def test_grey_of_hlg(code, expected):
    assert level(code, HLG) == expected


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_is_never_darker(transfer):
    ramp = np.arange(65536, dtype=np.uint16)[:, None, None].repeat(3, 2)
    levels = tone_map(ramp, Colour(matrix=9, primaries=9, transfer=transfer))[:, 0, 0].astype(int)
    assert (levels[0], levels[-1]) == (0, 255)
    assert np.diff(levels).min() == 0


def test_primaries_are_converted():
    light = np.array([0.6274, 0.0691, 0.0164]) * 50  # BT.709's red at 50 cd/m2 in BT.2020 (BT.2087)
    codes = np.rint(65535 * light_to_pq(light)).astype(np.uint16)[None, None]
    red = tone_map(codes, Colour(matrix=9, primaries=9, transfer=PQ))[0, 0].astype(int)
    assert abs(red[0] - 142) <= 1
    assert red[1:].max() <= 12


def write_hdr(path: Path, transfer: int, grey_codes: tuple[float, ...] = (0.0, 0.25, 0.5, 0.58)) -> Path:
    """Four frames of 10 bits, BT.2020; four columns of grey."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=30, options={"x265-params": "log-level=error:crf=4"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = 9, 1, 9, transfer
        for index in range(4):
            frame = av.VideoFrame(64, 64, "yuv420p10le")
            luma = np.repeat(np.rint(64 + 876 * np.array(grey_codes)), 16).astype(np.uint16)
            for plane, line in zip(frame.planes, (luma, np.full(32, 512, np.uint16), np.full(32, 512, np.uint16)), strict=True):
                rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
                rows[:, : plane.width] = line
                plane.update(rows.tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("transfer", "name"), [(PQ, "PQ"), (HLG, "HLG")])
def test_an_hdr_source_is_tone_mapped_in_encoding_and_so_is_a_copy_in_reading(transfer, name, tmp_path, play_with_pyav):
    path = write_hdr(tmp_path / "a.mp4", transfer)
    probe = probe_video(str(path), path.name)
    assert probe.picture.needs_encoding == (f"HDR ({name})",)
    assert probe.picture.notes("h264") == (f"tone-mapped from {name} (BT.2390 curve, 1000 to 203 cd/m2, to BT.709)",)
    assert probe.picture.notes("copy") == (f"{name} (HDR) as in the source",)
    expected = [level(code, transfer) for code in (0.0, 0.25, 0.5, 0.58)]
    ((_, encoded),) = encode_spans(str(path), path.name, probe, [Span(0, 4)], EncodePolicy())
    ((_, copied),) = copy_spans(str(path), path.name, probe, [Span(0, 4)])
    for data in (encoded, copied):
        with open_video(data, "clip") as (container, stream):
            pictures = [to_rgb(frame) for frame in container.decode(stream)]
        assert len(pictures) == 4
        np.testing.assert_allclose(pictures[1][32, 8::16], np.repeat(expected, 3).reshape(4, 3), atol=4)
    np.testing.assert_allclose(play_with_pyav(encoded)[1, 32, 8::16, 0], expected, atol=4)  # any reader: it is plain BT.709 now
    assert b"colr" + b"nclx" + bytes([0, 1, 0, 1, 0, 1, 0]) in encoded
    assert probe_video(encoded, "clip").picture.needs_encoding == ()
