"""What a plan amounts to, before anything is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage
from pipeline.layout import Layout
from pipeline.tables import read_table

_COLUMNS = ["shard", "source", "probe", "num_frames", "lead_in", "video", "estimated_bytes"]

# CPU seconds on one core, from 720p H.264: 2.6 ms of decoding, 2.3 ms of area scaling, 7.8 ms for a whole
# re-encode to 512x384. Per frame and megapixel of the source: a decode (the proof of a copied clip), and a decode with
# scaling; per encoded frame: x264 at a long side of 512, and the decode that proves it; per frame copied by its packets alone.
DECODE_S, DECODE_AND_SCALE_S, ENCODE_S, PACKET_S = 0.003, 0.005, 0.004, 0.0001


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSummary:
    """Counts and estimates."""

    sources: int
    clips: int
    shards: int
    frames: int
    copied_clips: int
    estimated_bytes: int
    copy_inflation: float  # bytes of copied clips over those of their shown frames; NaN without any
    estimated_cpu_hours: float
    registered: bool  # tars that others wrote: nothing is cut


def summarise_plan(root: str, *, proven_by_packets: bool = False) -> PlanSummary:
    """Read a plan's counts from its columns.

    Args:
        proven_by_packets: copied clips are not decoded (--snap key-frames).
    """
    table = read_table(Layout(root).plan, "plan", _COLUMNS)
    copied = table.filter(pc.equal(table["video"], "copy"))
    frames, lead, num_bytes = (copied[name].to_numpy().astype(float) for name in ("num_frames", "lead_in", "estimated_bytes"))
    shown = (num_bytes * frames / (frames + lead)).sum() if len(frames) else 0.0
    return PlanSummary(
        sources=len(pc.unique(table["source"])),
        clips=len(table),
        shards=len(pc.unique(table["shard"])),
        frames=pc.sum(table["num_frames"]).as_py() or 0,
        copied_clips=len(copied),
        estimated_bytes=pc.sum(table["estimated_bytes"]).as_py() or 0,
        copy_inflation=float(num_bytes.sum() / shown) if shown else float("nan"),
        estimated_cpu_hours=_cpu_s(root, table, proven_by_packets) / 3600,
        registered=bool(pc.any(pc.equal(table["video"], "foreign")).as_py()),
    )


def _cpu_s(root: str, table: pa.Table, proven_by_packets: bool) -> float:
    """CPU seconds of cutting: frames copied by packets, copied and decoded, or re-encoded, each at what its picture size costs."""
    cut = table.filter(pc.is_in(table["video"], pa.array(["copy", "h264"])))
    if not len(cut):
        return 0.0
    sizes = _megapixels(root, pc.unique(cut["probe"]).to_pylist())
    megapixels = np.array([sizes.get(source, 1.0) for source in cut["source"].to_pylist()])
    frames, lead = (cut[name].to_numpy().astype(float) for name in ("num_frames", "lead_in"))
    copied = pc.equal(cut["video"], "copy").to_numpy(zero_copy_only=False)
    per_copied = np.full(len(frames), PACKET_S) if proven_by_packets else PACKET_S + DECODE_S * megapixels
    return float(((frames + lead) * per_copied)[copied].sum() + (frames * (DECODE_AND_SCALE_S * megapixels + ENCODE_S))[~copied].sum())


def _megapixels(root: str, probes: Sequence[int | None]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number in probes:
        uri = Layout(root).probe(int(number or 0))
        if storage.exists(uri):
            rows = read_table(uri, "probe", ["relative_uri", "width", "height"]).to_pylist()
            found |= {row["relative_uri"]: row["width"] * row["height"] / 1e6 for row in rows if row["width"]}
    return found
