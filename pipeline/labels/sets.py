"""A label set's directory and its provenance, label_set.json."""

import dataclasses
import glob
import json
import logging
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError, DataError, TrackmillError
from pipeline.labels.kinds import is_kind
from pipeline.layout import Layout
from pipeline.records import LabelSet, TrackLabels
from pipeline.tables import read_document, write_document

_LOG = logging.getLogger(__name__)
_FIELDS = tuple(field.name for field in dataclasses.fields(LabelSet))
_KIND = "kind"  # not in the documents of sets of tracks, which are older than kinds
_LEFT_OUT = {_KIND: TrackLabels.kind, "parents": None}  # fields that documents hold only where they have another value


def write_label_set(root: str, label_set: LabelSet) -> None:
    """Write label_set.json, once: a set that is there already keeps its file, so that a rerun changes no byte.

    What does not change the labels by rule (package versions, where the checkpoint lay, its licence, its parents) may differ: a warning
    says so.
    Raises DataError if a set of this name was made another way.
    """
    uri = Layout(root).label_set_json(label_set.name)
    if not storage.exists(uri):
        document = {name: value for name, value in _document(label_set).items() if name not in _LEFT_OUT or value != _LEFT_OUT[name]}
        write_document(uri, {"name": label_set.name, **document}, "label_set")
        return
    there = read_label_set(root, label_set.name)
    found, wanted = _document(there), _document(label_set)
    differing = [name for name in _FIELDS if found[name] != wanted[name]]
    if differing:
        changes = "; ".join(f"{name}: {found[name]} there, {wanted[name]} now" for name in differing)
        _LOG.warning("%s is kept as it is, though this run differs in what is not part of its identity: %s", uri, changes)


def read_label_set(root: str, name: str, *, kind: str | None = None) -> LabelSet:
    """Provenance of a label set.

    Args:
        kind: what its labels must be, such as tracks, which those of tracks3d are too; None for any.
    Raises: ConfigError, listing those that exist, if there is none of this name; ConfigError if it is of another kind.
    """
    uri = Layout(root).label_set_json(name)
    if not storage.exists(uri):
        existing = list_label_sets(root)
        choice = f"one of: {', '.join(existing)}" if existing else "none yet: run jobs/pseudolabel.py first"
        raise ConfigError(f"no label set {name!r} under {root}; there is {choice}")
    document = read_document(uri, "label_set")
    try:
        label_set = LabelSet(**{field: document[field] for field in _FIELDS if field not in _LEFT_OUT or field in document})
        _check_types(label_set)
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise DataError(f"{uri}: not the provenance of a label set ({error!r}); restore this file, or delete the directory") from error
    if label_set.name != name:
        raise DataError(
            f"{uri}: its content belongs to label set {label_set.name}, not to {name}; it was edited or the directory renamed: undo that,"
            " or delete the directory and run jobs/pseudolabel.py again"
        )
    if kind is not None and not is_kind(label_set.kind, kind):
        raise ConfigError(f"label set {name} under {root} holds {label_set.kind}, where {kind} are asked for; name a set of {kind}")
    return label_set


def list_label_sets(root: str) -> list[str]:
    """Names of the label sets of a dataset, sorted."""
    pattern = Layout(glob.escape(root)).label_set_json("*")
    return sorted(uri.split("/")[-2] for uri in storage.glob(pattern))


def sets_on_other_frames(root: str, label_set: LabelSet) -> dict[str, int]:
    """Label sets of the dataset that differ from this one in their number of query frames alone: that number by name.

    Sets whose provenance cannot be read are left out.
    """
    found: dict[str, int] = {}
    for name in list_label_sets(root):
        try:
            other = read_label_set(root, name, kind=label_set.kind)
        except TrackmillError:
            continue
        frames = other.queries.get("num_query_frames")
        queries = {**other.queries, "num_query_frames": label_set.queries.get("num_query_frames")}
        alike = dataclasses.replace(other, configuration={**other.configuration, "queries": queries})
        if isinstance(frames, int) and name != label_set.name and alike.name == label_set.name:
            found[name] = frames
    return found


def _check_types(label_set: LabelSet) -> None:
    """Raise DataError for a field of another JSON type than its own."""
    for name in _FIELDS:
        value = getattr(label_set, name)
        wanted: tuple[type, ...] = (dict,) if name in ("configuration", "versions", "parents") else (str,)
        if not isinstance(value, wanted) and not (value is None and name in ("checkpoint", "checkpoint_sha256", "license", "parents")):
            raise DataError(f"{name} is {value!r:.80}, expected {'an object' if wanted == (dict,) else 'text'}")


def _document(label_set: LabelSet) -> dict[str, Any]:
    """The fields as JSON gives them back (tuples become lists)."""
    fields = {name: getattr(label_set, name) for name in _FIELDS}
    fields |= {name: dict(fields[name]) for name in ("configuration", "versions")}
    return dict(json.loads(json.dumps(fields)))
