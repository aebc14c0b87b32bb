"""Which model's weights a file holds, told by its names, and under which licence the public ones are."""

from collections.abc import Collection
from types import MappingProxyType

_MARKS = (  # the first that is present decides
    ("track_head.tracker.fmap_norm.weight", "trajvg"),
    ("metric_token", "pi3x"),
    ("point_head.proj.weight", "pi3"),
)
_STRANGERS = (
    ("aggregator.", "VGGT"),
    ("updateformer.", "a CoTracker"),
    ("backbone.pretrained.", "a DINOv2 derivative"),
    ("blocks.", "a bare image encoder such as DINOv2"),
)
LICENSES = MappingProxyType(
    {
        "pi3": "CC BY-NC 4.0 (yyfz/Pi3 weights, non-commercial)",
        "pi3x": "CC BY-NC 4.0 (yyfz/Pi3 weights, non-commercial)",
        "trajvg": "non-commercial (xingy038/TrajVG, derived from CC BY-NC 4.0 weights)",
    }
)
PUBLIC = "hf://yyfz233/Pi3/model.safetensors"


def kind_of(names: Collection[str]) -> str | None:
    """The model, by `build_model`'s name; None for a stranger."""
    return next((kind for mark, kind in _MARKS if mark in names), None)


def stranger(names: Collection[str]) -> str:
    """What a file of no model of ours seems to be, in words."""
    seems = next((what for prefix, what in _STRANGERS if any(name.startswith(prefix) for name in names)), None)
    return "another model" if seems is None else f"another model (by its names {seems})"
