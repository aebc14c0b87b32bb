"""dataset.json: what a ROOT was made from, so that a second run continues the same work or refuses."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.tables import read_document, write_document


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetIdentity:
    """What decides the content of a dataset: any difference needs another root."""

    kind: str  # cut | registered
    inputs_sha256: str  # over the sorted inputs: sources with their spans, or tars
    policy: dict[str, Any]


def claim_dataset(root: str, identity: DatasetIdentity, licenses: Iterable[str | None]) -> None:
    """Write dataset.json, or check that the one that is there says the same.

    While no shard is committed (after a dry run, say) a new identity replaces the old one, and with it plan and probe.
    Raises: ConfigError naming what differs.
    """
    layout = Layout(root)
    document = {
        "kind": identity.kind,
        "inputs_sha256": identity.inputs_sha256,
        "policy": identity.policy,
        "code_version": code_version(),
        "licenses": dict(sorted(Counter(license or "unknown" for license in licenses).items())),
    }
    if storage.exists(layout.dataset):
        found = read_document(layout.dataset, "dataset")
        differing = [name for name in ("kind", "inputs_sha256", "policy") if found.get(name) != document[name]]
        if not differing:
            return
        if any(uri.endswith(".parquet") for uri in storage.list_files(storage.join(root, "shards"))):
            detail = "; ".join(_difference(name, found.get(name), document[name]) for name in differing)
            raise ConfigError(
                f"{root} was made from other inputs or options ({detail}); give another --root, or the same inputs and options"
            )
        for uri in [layout.plan, *storage.list_files(storage.join(root, "probe")), *storage.list_files(storage.join(root, "errors"))]:
            storage.remove(uri)
    write_document(layout.dataset, document, "dataset")


def code_version() -> str:
    """Version of trackmill, or `source` when it is not installed."""
    try:
        return version("trackmill")
    except PackageNotFoundError:
        return "source"


def _difference(name: str, found: object, wanted: object) -> str:
    if name == "inputs_sha256":
        return "the input videos or manifest rows changed"
    if isinstance(found, dict) and isinstance(wanted, dict):
        return ", ".join(
            f"{key}: {found.get(key)} -> {wanted.get(key)}" for key in sorted({*found, *wanted}) if found.get(key) != wanted.get(key)
        )
    return f"{name}: {found} -> {wanted}"
