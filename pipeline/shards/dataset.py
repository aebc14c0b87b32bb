"""dataset.json: the inputs and options of a ROOT, so that a second run continues the same work, adds to it, or refuses."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout, committed
from pipeline.shards.plan import read_plan_columns
from pipeline.shards.policy import CLIPS_PER_SHARD
from pipeline.tables import document_bytes, read_document, write_document

_NO_PART = ("limit",)  # options of a run, not of a dataset; older roots name them
_DRAFTS = ("probe", "errors", "plan")


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetIdentity:
    """Identity of a dataset by how it is made: any difference needs another root."""

    kind: Literal["cut", "registered", "converted"]
    policy: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of policy fields: what a dataset had before there were such fields
    inputs_sha256: str | None = None  # of the inputs, where a dataset cannot grow; None where it can

    def differences(self, found: Mapping[str, Any]) -> list[str]:
        """Differences from a dataset.json, in words."""
        differing = [] if found.get("kind") == self.kind else [f"kind: {found.get('kind')} -> {self.kind}"]
        if self.inputs_sha256 is not None and found.get("inputs_sha256") != self.inputs_sha256:
            differing.append("the inputs changed")
        before = found.get("policy")
        return [*differing, *_changes(_merged(self.defaults, before if isinstance(before, dict) else {}), self.policy)]


def check_dataset(root: str, identity: DatasetIdentity) -> None:
    """Raise ConfigError, naming what differs, if shards are committed below this root that were made in another way."""
    layout = Layout(root)
    if not storage.exists(layout.dataset):
        return
    differing = identity.differences(read_document(layout.dataset, "dataset"))
    if differing and committed(storage.join(root, "shards")):
        raise ConfigError(
            f"{root} was made with other inputs or options ({'; '.join(differing)}); give another --root, or the same inputs and options"
        )


def shard_size(root: str, asked: int | None = None) -> int:
    """Clips per shard of a run below `root`: as asked for, else as its dataset.json records, else CLIPS_PER_SHARD."""
    uri = Layout(storage.absolute(root)).dataset
    if asked is not None or not storage.exists(uri):
        return CLIPS_PER_SHARD if asked is None else asked
    policy = read_document(uri, "dataset").get("policy")
    recorded = policy.get("clips_per_shard") if isinstance(policy, dict) else None
    return recorded if isinstance(recorded, int) else CLIPS_PER_SHARD


def claim_dataset(root: str, identity: DatasetIdentity) -> None:
    """Make dataset.json, or check that the one that is there says the same. To be called by who holds the root's lock.

    While no shard is committed (the first run was stopped early, say) a new identity replaces the old one, and with it plan and probe.
    Raises: ConfigError naming what differs; AlreadyThereError if another job made it meanwhile.
    """
    check_dataset(root, identity)
    layout = Layout(root)
    if storage.exists(layout.dataset):
        if not identity.differences(read_document(layout.dataset, "dataset")):
            return
        left = [uri for folder in _DRAFTS for uri in storage.list_files(storage.join(root, folder))]
        for uri in [layout.dataset, layout.single_plan, *left]:
            storage.remove(uri)
    document = {
        "kind": identity.kind,
        **({} if identity.inputs_sha256 is None else {"inputs_sha256": identity.inputs_sha256}),
        "policy": {name: value for name, value in identity.policy.items() if name not in _NO_PART},
        "code_version": code_version(),
        "licenses": {},
    }
    storage.publish_bytes(layout.dataset, document_bytes(document, "dataset"), once=True)


def state_licenses(root: str) -> None:
    """Write into dataset.json how many sources of the plan have which licence."""
    uri = Layout(root).dataset
    rows = read_plan_columns(root, ["source_id", "license"])
    pairs = rows.group_by(["source_id", "license"]).aggregate([]).to_pylist()
    licenses = dict(sorted(Counter(row["license"] or "unknown" for row in pairs).items()))
    document = read_document(uri, "dataset")
    if document.get("licenses") != licenses:
        write_document(uri, {**document, "licenses": licenses}, "dataset")


def code_version() -> str:
    """Version of trackmill, or `source` when it is not installed."""
    try:
        return version("trackmill")
    except PackageNotFoundError:
        return "source"


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    names = sorted({*found, *wanted} - set(_NO_PART))
    return [f"{name}: {found.get(name)} -> {wanted.get(name)}" for name in names if found.get(name) != wanted.get(name)]


def _merged(defaults: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **found}
    inner = {name: value for name, value in found.items() if isinstance(value, dict) and isinstance(defaults.get(name), dict)}
    return {**merged, **{name: {**defaults[name], **value} for name, value in inner.items() if name != "split_shares"}}
