"""Labels for others to use, as a folder with a card, and as a dataset of the hub: `python jobs/publish.py --root ROOT --out DIR`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, print_summary, run_job
from jobs.publishing.job import CARD, PublishConfig, Published, publish
from pipeline.export.publication import Publication

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    "publish", cls=options.command_of("--root /data/walks --labels LABELSET --audit AUDIT --out /data/publication --license cc-by-4.0")
)
def publish_command(
    root: options.Root,
    labels: Annotated[str, typer.Option(help="Label set of tracks to publish.")],
    out: Annotated[str, typer.Option(help="Folder or URL for the publication.")],
    audit: Annotated[
        str | None, typer.Option(help="Audit of these labels: verdicts, measures and weights are published too.", show_default="none")
    ] = None,
    split: options.Split = None,
    with_video: Annotated[bool, typer.Option("--with-video", help="Publish the clips as well: only if every licence allows it.")] = False,
    title: Annotated[str | None, typer.Option(help="Title of the card.", show_default="made of the dataset's name")] = None,
    license: Annotated[str | None, typer.Option(help="Licence of the labels, for the card: cc-by-4.0, ...", show_default="other")] = None,
    repo: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Send the folder to this dataset of the Hugging Face hub.", show_default="it is not sent"),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Hide a dataset that is made from others.")] = False,
) -> None:  # fmt: skip
    """Publish labels with a card; the receiver joins them with videos by hash, or by source and times. Forgotten clips are left out."""

    def body() -> int:
        publication = Publication(root=root, labels=labels, audit=audit, split=split, with_video=with_video)
        config = PublishConfig(publication=publication, out=out, title=title, license=license, repo=repo, private=private)
        print_summary("publication", summary_rows(publish(config), config))
        return DONE

    run_job(body)


def summary_rows(done: Published, config: PublishConfig) -> list[tuple[str, object]]:
    """Summary rows: content, licences, place."""
    figures = done.figures
    rows: list[tuple[str, object]] = [
        ("labels", f"{config.publication.labels}, audit {config.publication.audit or 'none: they are published unjudged'}"),
        ("clips", f"{figures.clips:,}, split {config.publication.split or 'all'}; shards: {done.num_shards:,}"),
        ("tracks", f"{figures.tracks:,}, {figures.trusted:,} of weight 0.5 or more" if figures.measured else f"{figures.tracks:,}"),
        ("licences", ", ".join(f"{count} {name}" for name, count in sorted(figures.licenses.items()))),
        ("video", "included" if config.publication.with_video else "not included (--with-video)"),
    ]
    if done.num_waiting:
        rows.append(("not labelled", f"{done.num_waiting} shards; run jobs/pseudolabel.py to its end, then this command again"))
    rows.append(("written", f"{config.out}/{CARD}"))
    if done.url is not None:
        rows.append(("sent", done.url))
    return rows


if __name__ == "__main__":
    app()
