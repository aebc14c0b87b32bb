"""High dynamic range to standard: PQ and HLG pictures as BT.709, by a fixed formula.

1. Code to light, in cd/m2 per channel: PQ by SMPTE ST 2084's EOTF; HLG by BT.2100's inverse OETF and its OOTF for a display of
   1000 cd/m2 (system gamma 1.2).
2. Tone curve: BT.2390's EETF from a peak of 1000 cd/m2 (brighter light is cut there) to 203 cd/m2, the reference white of BT.2408,
   with black at 0. It is taken of the largest channel, and all three are scaled by the same factor: hues stay.
   Light below 87 cd/m2 is not changed.
3. Primaries: BT.2020 (or those of the tags: Display P3, BT.709) to BT.709, in linear light; what lies outside is clipped.
4. Light to code: (L / 203) ** (1 / 2.4), the inverse of BT.1886, full-range RGB.

So black stays 0, 203 cd/m2 (PQ 0.5807, HLG 0.75) becomes 230, and 1000 cd/m2 becomes 255. Nothing depends on the picture's content.
"""

from functools import cache

import numpy as np

from pipeline.video.colour import HLG, Colour

PEAK, WHITE = 1000.0, 203.0  # cd/m2
FORMULA = "BT.2390 curve, 1000 to 203 cd/m2, to BT.709"

# linear RGB to linear BT.709 RGB, white D65: BT.2087 (inverse) and the matrix of SMPTE EG 432-1's primaries
_FROM_BT2020 = ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730))
_FROM_P3 = ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274))
_SAME = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_TO_BT709 = {1: _SAME, 11: _FROM_P3, 12: _FROM_P3}  # by H.273's number of the primaries; anything else that HDR comes in is BT.2020
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)


def tone_map(codes: np.ndarray, colour: Colour) -> np.ndarray:
    """An HDR picture as BT.709 RGB, uint8 "H W 3".

    Args:
        codes: uint16 "H W 3", R'G'B' of full range.
        colour: the picture's tags; its transfer is PQ or HLG.
    """
    light = _hlg_light(codes) if colour.transfer == HLG else _pq_table()[codes]
    light *= _gains(light.max(axis=-1))[..., None]
    matrix = np.array(_TO_BT709.get(colour.primaries, _FROM_BT2020), np.float32)
    relative = np.clip(light @ (matrix.T / np.float32(WHITE)), 0, 1)
    return np.asarray(np.rint(255 * relative ** np.float32(1 / 2.4)), np.uint8)


def pq_to_light(code: np.ndarray) -> np.ndarray:
    """PQ code in [0, 1] to cd/m2 (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.asarray(code, np.float64) ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def light_to_pq(light: np.ndarray | float) -> np.ndarray:
    """cd/m2 to PQ code in [0, 1] (SMPTE ST 2084)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (np.asarray(light, np.float64) / 10_000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def compress_highlights(light: np.ndarray) -> np.ndarray:
    """Light of a display of 1000 cd/m2 as one of 203 cd/m2 shows it (BT.2390, section 5.4.1, black at 0)."""
    peak = light_to_pq(PEAK)
    code = light_to_pq(np.minimum(light, PEAK)) / peak
    target = light_to_pq(WHITE) / peak
    knee = 1.5 * target - 0.5
    t = np.maximum(code - knee, 0) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * target
    return np.where(code < knee, light, pq_to_light(np.where(code < knee, code, curve) * peak))


def _gains(light: np.ndarray) -> np.ndarray:
    """Gains of pixels whose largest channel is this bright, in cd/m2."""
    nodes, gains = _gain_table()
    return np.asarray(np.interp(light, nodes, gains) * np.minimum(1, PEAK / np.maximum(light, 1)), np.float32)


def _hlg_light(codes: np.ndarray) -> np.ndarray:
    scene = _hlg_table()[codes]
    return np.asarray(scene * (PEAK * (scene @ _BT2020_LUMA) ** np.float32(0.2))[..., None], np.float32)


@cache
def _pq_table() -> np.ndarray:
    return pq_to_light(np.arange(65536) / 65535).astype(np.float32)


@cache
def _hlg_table() -> np.ndarray:
    """Scene light in [0, 1] of 16-bit HLG codes (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.arange(65536) / 65535
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


@cache
def _gain_table() -> tuple[np.ndarray, np.ndarray]:
    nodes = np.arange(int(PEAK) + 1, dtype=np.float64)
    return nodes, compress_highlights(np.maximum(nodes, 1)) / np.maximum(nodes, 1)
