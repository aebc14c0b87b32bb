"""The network that a weight file is of: by its header or its names, with its licence, and entry by entry."""

import dataclasses
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import torch
from torch import Tensor, nn

from networks.building import Network, Shapes
from networks.registry import network_class
from networks.weights.reading import WeightFile, list_names
from networks.weights.saving import Description, TrainingOrigin, TrainingShape, read_description
from pipeline.errors import ConfigError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Published weights of one network: licence and file."""

    license: str
    source: str | None = None  # a file of them


_PI3 = "CC BY-NC 4.0 (yyfz/Pi3 weights, non-commercial)"
_TWIN = "CC BY-NC-SA 4.0, and the terms of the training sets"
_COTRACKER = "CC BY-NC 4.0 (facebookresearch/co-tracker, non-commercial)"
PUBLISHED: Mapping[str, Published] = MappingProxyType(  # by `build_model`'s name
    {
        "pi3": Published(license=_PI3, source="hf://yyfz233/Pi3/model.safetensors"),
        "pi3x": Published(license=_PI3),
        "trajvg": Published(license="non-commercial (xingy038/TrajVG, derived from CC BY-NC 4.0 weights)"),
        "cotracker3-offline": Published(license=_COTRACKER, source="hf://facebook/cotracker3/scaled_offline.pth"),
        "cotracker3-online": Published(license=_COTRACKER, source="hf://facebook/cotracker3/scaled_online.pth"),
        "dust3r": Published(
            license=f"{_TWIN} (naver/dust3r, non-commercial)", source="hf://naver/DUSt3R_ViTLarge_BaseDecoder_512_dpt/model.safetensors"
        ),
        "mast3r": Published(
            license=f"{_TWIN} (naver/mast3r, non-commercial)",
            source="hf://naver/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric/model.safetensors",
        ),
        "st4rtrack": Published(
            license="non-commercial research (St4RTrack; DUSt3R's files have the same names, and CC BY-NC-SA 4.0)",
            source="hf://yupengchengg147/St4RTrack/model.safetensors",
        ),
        "track4world": Published(
            license="academic use only, non-commercial (TencentARC/Track4World; backbones beside: Pi3X, Depth-Anything-3 CC BY-NC 4.0)",
            source="hf://TencentARC/Track4World/track4world_pi3.pth",
        ),
    }
)
_DPT = "downstream_head1.dpt.head.4.weight"  # of the twin networks' DPT heads
_MARKS = (  # the first that is present decides
    ("flow_update_block.compressor.weight", "track4world"),
    ("track_head.tracker.fmap_norm.weight", "trajvg"),
    ("metric_token", "pi3x"),
    ("point_head.proj.weight", "pi3"),
    ("downstream_head1.head_local_features.fc1.weight", "mast3r"),
    ("downstream_head1.proj.weight", "dust3r"),  # linear heads
    (_DPT, "st4rtrack"),  # or DUSt3R: equal in names, shapes and what they compute
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


def recognise_network(tensors: Mapping[str, Tensor]) -> str | None:
    """The network whose weights these are, by `build_model`'s name; None if it is none of ours."""
    if all(name in tensors for name in _COTRACKER3):
        time = tensors["time_emb"]
        return "cotracker3-online" if time.ndim == 3 and time.shape[1] == _ONLINE_WINDOW else "cotracker3-offline"
    return next((kind for mark, kind in _MARKS if mark in tensors), None)


def describe_foreign(names: Collection[str]) -> str:
    """Guess at the network of a foreign file, in words."""
    seems = next((what for prefix, what in _OTHERS if any(name.startswith(prefix) for name in names)), None)
    return "another model" if seems is None else f"another model (by its names {seems})"


def describe_weights(file: WeightFile) -> Description:
    """Description of a file's network, by its header or its entries' names. Raises ConfigError for weights of no network of ours."""
    described = read_description(file)
    if described is not None:
        return described
    kind = recognise_network(file.tensors)
    if kind is None:
        known = ", ".join(f"{name} ({public.source})" if public.source else name for name, public in PUBLISHED.items())
        raise ConfigError(f"{file.source} holds {describe_foreign(file.tensors)}; expected {known}, or a file of ours")
    sizes = network_class(kind).config_of({name: tuple(tensor.shape) for name, tensor in file.tensors.items()})
    return Description(model=kind, config=sizes, license=PUBLISHED[kind].license)


def license_of(file: WeightFile) -> str | None:
    """The licence that a file's weights are under; None if it names none and they are no published ones."""
    described = read_description(file)
    if described is not None:
        return described.license
    kind = recognise_network(file.tensors)
    return None if kind is None else PUBLISHED[kind].license


def training_shape_of(file: WeightFile) -> TrainingShape | None:
    """Shape of the clips that a file's weights were trained on; None if its header does not say."""
    described = read_description(file)
    return None if described is None else described.trained_on


def origin_of(file: WeightFile) -> TrainingOrigin | None:
    """All that a file's weights were made of; None where its header does not say, as of published files."""
    described = read_description(file)
    return None if described is None else described.origin


@cache
def warn_non_commercial(license: str | None) -> None:
    """Log once per process that weights are for non-commercial use only."""
    if license is not None and "non-commercial" in license:
        _log.warning("these weights are %s; so is what is made or trained from them", license)


def shapes_of(model: nn.Module) -> Shapes:
    """Shape of every entry of a model's state_dict."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def name_all(file: WeightFile, model: Network) -> WeightFile:
    """A file whose entries bear all names that the model has for them, where it holds at least one of them; less what it leaves unread.

    Raises: ConfigError if two names of one tensor have different values.
    """
    unread = model.unread(file.tensors)
    if unread:
        _log.info("%s: %d entries are left unread: %s", file.source, len(unread), list_names(sorted(unread)))
    tensors = {name: tensor for name, tensor in file.tensors.items() if name not in unread}
    for second, first in model.aliases().items():
        known = [tensors[name] for name in (first, second) if name in tensors]
        if len(known) == 2 and not torch.equal(*known):
            raise ConfigError(f"{file.source}: {first} and {second} are one tensor of the network, and differ; fetch or save it again")
        if known:
            tensors[first] = tensors[second] = known[0]
    return dataclasses.replace(file, tensors=tensors)


def share_config_type(one: str, other: str) -> bool:
    """Whether two networks are described by the same configuration, so that one can begin from the other's weights."""
    return network_class(one).config_type is network_class(other).config_type


def check_fit(file: WeightFile, expected: Shapes, name: str) -> None:
    """Raise ConfigError unless a file has exactly these entries in these shapes; the message names them and a remedy.

    Args:
        expected: of the model that the file is for.
        name: that model's, as `build_model` calls it.
    """
    given = {key: tuple(tensor.shape) for key, tensor in file.tensors.items()}
    misshapen = [key for key in expected if key in given and given[key] != expected[key]]
    complaints = {
        "missing": [key for key in expected if key not in given],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [f"{key} {list(given[key])} for {list(expected[key])}" for key in misshapen],
    }
    found = "; ".join(f"{len(keys)} {what}: {list_names(keys)}" for what, keys in complaints.items() if keys)
    if found:
        advice = _advice(file, name, expected, resized=bool(misshapen))
        raise ConfigError(f"{file.source} does not fit {name}: of {len(expected)} entries {found}. {advice}")


def _advice(file: WeightFile, name: str, expected: Shapes, *, resized: bool) -> str:
    kind = recognise_network(file.tensors)
    if kind == "dust3r" and _DPT in expected:
        needing = "a network with DPT heads is asked for" if name == kind else f"{name} has DPT heads"
        return f"It holds weights of dust3r with linear heads, and {needing}; begin from {PUBLISHED['mast3r'].source}"
    if kind is None:
        source = PUBLISHED[name].source if name in PUBLISHED else None
        return f"It holds {describe_foreign(file.tensors)}; a file of {name} is needed" + (f", such as {source}" if source else "")
    if kind != name:
        start = f"begin {name} from it with start_from" if share_config_type(kind, name) else f"weights of {name}"
        return f"It holds weights of {kind}: take that model, or {start}"
    return "It was made with other sizes: build the model with its configuration" if resized else "It is incomplete, or of another version"
