"""Look at clips and labels: a contact sheet, a clip with its tracks as a video, or a recording for the Rerun viewer."""

from pathlib import PurePosixPath
from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, run_job
from jobs.showing.clips import Shown, choose_clip, choose_shown
from jobs.showing.pictures import describe_clip, draw_clip, draw_clips, sheet_clips
from jobs.showing.recording import record_clip
from pipeline import storage
from pipeline.drawing import ANIMATION_SUFFIXES, IMAGE_SUFFIXES, write_animation, write_image
from pipeline.errors import ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_SUFFIXES = tuple(dict.fromkeys((*IMAGE_SUFFIXES, *ANIMATION_SUFFIXES)))


@app.command(
    cls=options.command_of(
        "--root /data/walks --out sheet.webp",
        "--root /data/walks --audit AUDIT --clip KEY --out clip.mp4",
    )
)
def show(
    root: options.Root,
    out: Annotated[
        str | None,
        typer.Option(
            help="FILE.webp, .jpg (below 1 MB) or .png: a contact sheet. FILE.mp4, .gif, .apng, or .webp with --clip: one clip in motion.",
            show_default="no picture",
        ),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Label set to draw.", show_default="that of --audit, or clips alone")] = None,
    audit: Annotated[
        str | None, typer.Option(help="Audit of the labels: tracks are coloured by weight, with its verdicts.", show_default="none")
    ] = None,
    clip: Annotated[str | None, typer.Option(help="Key of the clip.", show_default="one from the middle")] = None,
    clips: Annotated[int, typer.Option(help="Clips on a contact sheet, spread over the shards.")] = 12,
    rerun: Annotated[
        str | None, typer.Option(help="FILE.rrd: one clip for the Rerun viewer (the viz extra).", show_default="no recording")
    ] = None,
) -> None:  # fmt: skip
    """Draw a clip, or a contact sheet, to a file; or record a clip, with cameras and points in space where they are known."""

    def body() -> int:
        if out is None and rerun is None:
            raise ConfigError("nothing to write: give --out FILE.webp (or .png, .mp4, ...), --rerun FILE.rrd, or both")
        shown = choose_shown(root, labels, audit)
        if rerun is not None:
            record_clip(shown, clip, rerun)
            typer.echo(describe_clip(choose_clip(shown.root, clip), named=clip is not None))
            typer.echo(rerun)
        if out is not None:
            typer.echo(write_picture(shown, clip, clips, out))
            typer.echo(out)
        return DONE

    run_job(body)


def write_picture(shown: Shown, clip: str | None, clips: int, out: str) -> str:
    """Publish a contact sheet or an animation and say what is on it; the suffix chooses, and for .webp whether a clip is named.

    Raises: ConfigError for another suffix.
    """
    suffix = PurePosixPath(out).suffix.lower()
    moves = suffix in ANIMATION_SUFFIXES and (suffix not in IMAGE_SUFFIXES or clip is not None)
    if moves:
        stored = choose_clip(shown.root, clip)
        frames, fps = draw_clip(shown, stored.entry.key)
        write_animation(storage.absolute(out), frames, fps)
        return describe_clip(stored, named=clip is not None)
    if suffix not in IMAGE_SUFFIXES:
        raise ConfigError(f"--out {out}: cannot write {suffix or 'a file without suffix'}; use {', '.join(_SUFFIXES)}")
    chosen = sheet_clips(shown.root, clip, clips)
    write_image(storage.absolute(out), draw_clips(shown, chosen))
    return describe_clip(chosen[0], named=clip is not None) if len(chosen) == 1 else f"{len(chosen)} clips, spread over the dataset"


if __name__ == "__main__":
    app()
