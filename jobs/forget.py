"""Take-down requests: leave clips and sources out for good. `python jobs/forget.py --root ROOT --source ID --clip KEY`."""

from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, counted, print_summary, run_job
from pipeline import storage
from pipeline.errors import ConfigError
from pipeline.layout import Layout
from pipeline.shards.take_downs import forgotten_names, read_planned_names
from pipeline.shards.tombstones import Tombstones, read_tombstones, write_tombstones

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

_BYTES_STAY = (
    "Readers leave these clips out from their next start on. No byte was removed: the clips stay in the tars, and their rows in labels and"
    " audits. To be rid of the bytes, shard what remains into a new root and delete this one."
)


@app.command(cls=options.command_of("--root /data/walks --source SOURCE_ID --dry-run", "--root /data/walks --clip KEY --clip OTHER_KEY"))
def forget(
    root: options.Root,
    source: Annotated[
        list[str] | None, typer.Option(help="Id of a source, all of whose clips are to go; repeat it.", show_default="none")
    ] = None,
    clip: Annotated[list[str] | None, typer.Option(help="Key of a clip that is to go; repeat it.", show_default="none")] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Print what is forgotten, line by line.")] = False,
    dry_run: options.DryRun = False,
) -> None:  # fmt: skip
    """Add clips and sources to those that every reader leaves out. This cannot be taken back; a name that is there already is no error."""

    def body() -> int:
        asked = Tombstones(keys=frozenset(clip or ()), source_ids=frozenset(source or ()))
        if asked == Tombstones() and not show_list:
            raise ConfigError("nothing to forget: give --source ID, --clip KEY or both, as often as needed; or --list")
        forget_clips(storage.absolute(root), asked, show_list=show_list, dry_run=dry_run)
        return DONE

    run_job(body)


def forget_clips(root: str, asked: Tombstones, *, show_list: bool = False, dry_run: bool = False) -> None:
    """Check a request against the plan, publish it and say what is forgotten. Raises ConfigError, writing nothing, for an unknown name."""
    names = read_planned_names(root)
    names.check_known(asked.keys, asked.source_ids)
    before = read_tombstones(root)
    after = before.joined(asked)
    if after != before and not dry_run:
        after = write_tombstones(root, asked.keys, asked.source_ids)
    covered = names.covered(after)
    if show_list:
        for line in forgotten_names(after, covered):
            typer.echo(line)
    rows = [
        ("forgotten by this request", f"{counted(covered.keys - names.covered(before).keys, 'clip')} more"),
        ("forgotten in all", f"{covered.keys} of {counted(len(names.table), 'clip')}, of {counted(len(covered.by_source), 'source')}"),
        ("tombstones", f"{Layout(root).tombstones}{' (not written)' if dry_run else ''}"),
    ]
    print_summary(f"{root}: to be forgotten", rows)
    if covered.keys:
        typer.echo(_BYTES_STAY)


if __name__ == "__main__":
    app()
