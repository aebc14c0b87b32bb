"""jobs/publish.py without its command line: check licences, write the tables that are not there yet, then the card; send it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.console import ProgressLine
from jobs.evaluating.shard_results import digest, made_from
from pipeline import storage
from pipeline.audit.stored.audit_set import claim_audit, read_audit_set
from pipeline.errors import ConfigError
from pipeline.export.card import Card, Figures, hub_license
from pipeline.export.publication import KIND, Publication, PublishedShard, index_uri, published_shard, write_published
from pipeline.export.redistribution import check_redistribution
from pipeline.labels import labelled_shards, write_label_set
from pipeline.layout import Layout, committed
from pipeline.records import LabelSet
from pipeline.shards.dataset import code_version
from pipeline.storage.hub import send_folder_to_hub
from pipeline.tables import fingerprint, open_table, read_document, read_table, write_document

CARD, DOCUMENT = "README.md", "publication.json"
_OWNED = ("index/*", "labels/*", "audit/*", "shards/*")  # what goes from the hub when it is not in the folder any more
_WHAT = ("labels", "audit", "split", "with_video")


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishConfig:
    """All that jobs/publish.py is asked for."""

    publication: Publication
    out: str
    title: str | None = None  # of the card; the dataset's name by default
    license: str | None = None  # of the labels, for the card
    repo: str | None = None  # OWNER/NAME of a dataset on the hub; None: nothing is sent
    private: bool = False

    def __post_init__(self) -> None:
        root, out = storage.absolute(self.publication.root).rstrip("/"), storage.absolute(self.out).rstrip("/")
        if f"{out}/".startswith(f"{root}/"):
            raise ConfigError(f"--out {self.out} lies in the dataset that is published; name a folder outside of --root")
        if self.repo is not None and not storage.is_local(self.out):
            raise ConfigError(f"--repo sends a folder of this machine, --out is {self.out}; name a local folder")
        if self.repo is not None and self.repo.count("/") != 1:
            raise ConfigError(f"--repo is {self.repo!r}, expected OWNER/NAME")


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Outcome of a publication."""

    figures: Figures
    num_shards: int
    num_waiting: int  # shards that are cut, but not labelled
    url: str | None  # of the dataset on the hub


def publish(config: PublishConfig) -> Published:
    """Write the publication, and send it if asked to.

    Raises: ConfigError for labels or an audit that is not there, for videos whose licence does not allow it, for a folder that holds
        another publication, or if no clip can be published; DataError for labels of other videos.
    """
    publication = replace(config.publication, root=storage.absolute(config.publication.root))
    label_set = publication.check()
    cut = sorted(committed(Layout(publication.root).shards))
    shards = [shard for shard in labelled_shards(publication.root, publication.labels) if shard in cut]
    out = storage.absolute(config.out)
    if publication.with_video:
        for_all = (entry for shard in shards for entry in published_shard(publication, shard).entries)
        check_redistribution(for_all)
    with storage.only_one(storage.join(out, "publish.lock"), f"the publication {out}"):
        _claim(out, publication)
        _write_shards(publication, shards, out)
        figures = read_figures(out, shards)
        if not figures.clips:
            raise ConfigError(f"no clip of {publication.root} is labelled by {publication.labels}, of this split and not forgotten")
        _write_documents(config, label_set, figures, out)
    url = None if config.repo is None else send_folder_to_hub(out, config.repo, owned=_OWNED, private=config.private)
    return Published(figures=figures, num_shards=len(shards), num_waiting=len(cut) - len(shards), url=url)


def read_figures(out: str, shards: Sequence[int]) -> Figures:
    """Sum up the index of what is published."""
    figures = Figures()
    for shard in shards:
        for row in read_table(index_uri(out, shard), KIND).to_pylist():
            figures.add(row)
    return figures


def _write_shards(publication: Publication, shards: Sequence[int], out: str) -> None:
    wanted = _made_from(publication, shards)
    missing = [shard for shard in shards if _found(out, shard) != wanted[shard]]
    with ProgressLine("publishing", len(missing), "shards") as progress:
        for shard in missing:
            chosen: PublishedShard = published_shard(publication, shard)
            write_published(publication, chosen, out, made_from=wanted[shard])
            progress.advance(1)


def _made_from(publication: Publication, shards: Sequence[int]) -> dict[int, str]:
    audit, root = publication.audit, publication.root
    audits = {shard: None if audit is None else fingerprint(Layout(root).audit_shard(audit, shard)) for shard in shards}
    what = digest(_what(publication))
    return made_from(root, shards, [publication.labels], audit=audits, what=dict.fromkeys(shards, what))


def _found(out: str, shard: int) -> str | None:
    """Identity of the files that a published shard was made from; None where it is not there."""
    uri = index_uri(out, shard)
    if not storage.exists(uri):
        return None
    with open_table(uri, KIND) as file:
        return dict(file.schema_arrow.metadata or {}).get(b"made_from", b"").decode()


def _what(publication: Publication) -> dict[str, Any]:
    return {name: getattr(publication, name) for name in _WHAT}


def _claim(out: str, publication: Publication) -> None:
    """Check that the folder holds no other publication. Raises ConfigError naming what differs."""
    uri = storage.join(out, DOCUMENT)
    if not storage.exists(uri):
        return
    found: Mapping[str, Any] = read_document(uri, "publication")
    differing = [f"{name}: {found.get(name)} there, {value} now" for name, value in _what(publication).items() if found.get(name) != value]
    if differing:
        raise ConfigError(f"{out} holds another publication ({'; '.join(differing)}); name another --out, or delete it")


def _write_documents(config: PublishConfig, label_set: LabelSet, figures: Figures, out: str) -> None:
    """Write provenance, figures and, last, the card."""
    publication = config.publication
    write_label_set(out, _without_places(label_set))
    if publication.audit is not None:
        claim_audit(out, read_audit_set(publication.root, publication.audit))
    document = {**_what(publication), "figures": figures.document(), "code_version": code_version()}
    write_document(storage.join(out, DOCUMENT), document, "publication")
    name = publication.root.rstrip("/").rsplit("/", 1)[-1]
    card = Card(
        title=config.title or f"Point tracks of {name}",
        license=hub_license(config.license),
        label_set=_without_places(label_set),
        labels=publication.labels,
        audit=publication.audit,
        figures=figures,
        with_video=publication.with_video,
        repo=config.repo,
    )
    storage.publish_bytes(storage.join(out, CARD), card.text().encode())


def _without_places(label_set: LabelSet) -> LabelSet:
    """The provenance without folders of this machine: of a checkpoint that is a local file only its name stays."""
    checkpoint = label_set.checkpoint
    if checkpoint is None or "://" in checkpoint:
        return label_set
    return replace(label_set, checkpoint=checkpoint.rsplit("/", 1)[-1])
