"""Networks whose weights others publish: how a file of theirs is known, where it is, and under which licence."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Weights of one network, as somebody publishes them."""

    license: str
    source: str | None = None  # a file of them


_PI3 = "CC BY-NC 4.0 (yyfz/Pi3 weights, non-commercial)"
_COTRACKER = "CC BY-NC 4.0 (facebookresearch/co-tracker, non-commercial)"
PUBLISHED: Mapping[str, Published] = MappingProxyType(  # by `build_model`'s name
    {
        "pi3": Published(license=_PI3, source="hf://yyfz233/Pi3/model.safetensors"),
        "pi3x": Published(license=_PI3),
        "trajvg": Published(license="non-commercial (xingy038/TrajVG, derived from CC BY-NC 4.0 weights)"),
        "cotracker3-offline": Published(license=_COTRACKER, source="hf://facebook/cotracker3/scaled_offline.pth"),
        "cotracker3-online": Published(license=_COTRACKER, source="hf://facebook/cotracker3/scaled_online.pth"),
    }
)
_MARKS = (  # the first that is present decides
    ("track_head.tracker.fmap_norm.weight", "trajvg"),
    ("metric_token", "pi3x"),
    ("point_head.proj.weight", "pi3"),
)
_COTRACKER3 = ("corr_mlp.fc1.weight", "time_emb")  # its two variants have the same names
_ONLINE_WINDOW = 16  # rows of the online variant's time embedding
_OTHERS = (
    ("aggregator.", "VGGT"),
    ("track_feat_updater.", "CoTracker 1 or 2"),
    ("ffeat_updater.", "CoTracker 1 or 2"),
    ("updateformer.", "a CoTracker"),
    ("backbone.pretrained.", "a DINOv2 derivative"),
    ("blocks.", "a bare image encoder such as DINOv2"),
)


def kind_of(tensors: Mapping[str, Tensor]) -> str | None:
    """The network whose weights these are, by `build_model`'s name; None if it is none of ours."""
    if all(name in tensors for name in _COTRACKER3):
        time = tensors["time_emb"]
        return "cotracker3-online" if time.ndim == 3 and time.shape[1] == _ONLINE_WINDOW else "cotracker3-offline"
    return next((kind for mark, kind in _MARKS if mark in tensors), None)


def describe_foreign(names: Collection[str]) -> str:
    """A file of no network of ours, in words."""
    seems = next((what for prefix, what in _OTHERS if any(name.startswith(prefix) for name in names)), None)
    return "another model" if seems is None else f"another model (by its names {seems})"
