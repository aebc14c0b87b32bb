"""Parts of the GPU suite that need no training: the device's matrix product, Track4World and St4RTrack on a pair of frames."""

from collections.abc import Iterator
from typing import Any

import st4rtrack_forward
import torch
import track4world_forward
from full_size import seconds_of, spread
from gpu_suite_rows import Row, SuiteOptions

from networks.layers.computing import PRECISIONS, Precision
from trainer.loop.flops import peak_tflops

_PRODUCTS = 10  # in a row, so that starting one costs nothing
TOY_GEOMETRY: dict[str, Any] = {
    "encoder": {"img_size": 56, "embed_dim": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2},
    "decoder": {"dim": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2},
    "point_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 16},
    "camera_decoder": {"in_dim": 32, "dec_embed_dim": 16, "depth": 1, "dec_num_heads": 2, "out_dim": 8},
    "point_head": {"dim_proj": 16, "dim_upsample": [8, 8, 8], "last_conv_channels": 4},
    "conf_head": {"dim_proj": 16, "dim_upsample": [8, 8, 8], "last_conv_channels": 4, "dim_out": [1]},
    "camera_head": {"dim": 8},
}
_TOY_TRACK4WORLD: dict[str, Any] = {
    "backbone_config": {**TOY_GEOMETRY, "metric_decoder": {"dec_embed_dim": 16, "depth": 1, "out_dim": 16}},
    **{"dim_feature": 16, "flow_dim": 16, "flow3d_dim": 16, "flow_depth": 1, "depth3d": 1, "heads": 2, "ctx": [8, 8, 16]},
    **{"ctx_depth": [1, 1, 1], "ctx_dim": 16, "hdim": 16, "n2d": 1, "n3d": 1, "levels": 2, "corr_radius": 2, "seqlen": 2},
}
_TOY_ST4RTRACK: dict[str, Any] = {
    **{"enc_embed_dim": 16, "enc_depth": 1, "enc_num_heads": 2, "dec_embed_dim": 16, "dec_depth": 4, "dec_num_heads": 2},
    **{"dpt_feature_dim": 8, "dpt_last_dim": 8, "dpt_layer_dims": [8, 8, 8, 8]},
}


def matrix_products(options: SuiteOptions) -> Iterator[Row]:
    """Products of square matrices: what the device gives a program that does nothing else."""
    where, side = torch.device(options.device), 64 if options.toy else 8192
    yield from (_matrix_product(side, precision, where, options) for precision in PRECISIONS)


def _matrix_product(side: int, precision: Precision, where: torch.device, options: SuiteOptions) -> Row:
    draw = torch.Generator().manual_seed(0)
    first, second = (torch.randn(side, side, generator=draw).to(where, getattr(torch, precision)) for _ in range(2))

    def multiply() -> None:
        for _ in range(_PRODUCTS):
            torch.mm(first, second)

    seconds = [seconds_of(multiply, where)[0] / _PRODUCTS for _ in range(1 + options.repeats)][1:]
    median = sorted(seconds)[len(seconds) // 2]
    rate, peak = 2e-12 * side**3 / max(median, 1e-9), peak_tflops(where, precision)
    if precision == "bfloat16":
        peak = options.peak_tflops or peak
    what = f"matrix product, {side} x {side}"
    return Row(what=what, precision=precision, seconds=spread(seconds), tflops_per_s=rate, mfu=None if peak is None else rate / peak)


def track4world(options: SuiteOptions) -> Iterator[Row]:
    """Geometry and flow of one pair, each precision."""
    height, width = (64, 64) if options.toy else (384, 512)
    for part in ("geometry", "decoder"):
        plain_s: float | None = None
        for precision in PRECISIONS:
            found = track4world_forward.measure(
                part,
                height,
                width,
                precision=precision,
                device=options.device,
                repeats=options.repeats,
                config=_TOY_TRACK4WORLD if options.toy else None,
            )
            row = _row(f"{part} of a pair, {height} x {width}", precision, found, plain_s)
            plain_s = plain_s or row.details["seconds"]["median"]
            yield row


def st4rtrack(options: SuiteOptions) -> Iterator[Row]:
    """One pair in each precision, then a clip whose images are encoded once, against the network called pair by pair."""
    plain_s: float | None = None
    for case, precision in (*(("pair", known) for known in PRECISIONS), ("clip", "float32")):
        found = st4rtrack_forward.measure(
            case,
            precision=precision,
            device=options.device,
            frames=2 if options.toy else 24,
            repeats=options.repeats,
            size=(32, 48) if options.toy else None,
            config=_TOY_ST4RTRACK if options.toy else None,
        )
        height, width = found["size"]
        if case == "pair":
            row = _row(f"pair, {height} x {width}", precision, found, plain_s)
            plain_s = plain_s or row.details["seconds"]["median"]
            yield row
            continue
        yield Row(
            what=f"clip of {found['frames']}, {height} x {width}, images encoded once",
            precision=precision,
            seconds=found["encoded_once_s"],
            speed=found["ratio"],
            against="pair by pair",
            memory=_memory(found),
            differences={"largest": found["largest_difference"]},
            details=found,
        )


def _row(what: str, precision: str, found: dict[str, Any], plain_s: float | None) -> Row:
    """A forward pass, beside the median of the same in float32 where there is one."""
    return Row(
        what=what,
        precision=precision,
        seconds=found["seconds"],
        speed=None if plain_s is None else plain_s / max(found["seconds"]["median"], 1e-9),
        against=None if plain_s is None else "float32",
        memory=_memory(found),
        details=found,
    )


def _memory(found: dict[str, Any]) -> dict[str, float]:
    return {name: found[name] for name in ("weights_mib", "peak_mib")}
