"""Look at clips and labels: a contact sheet, a clip with its tracks as a video, or a recording for the Rerun viewer."""

from pathlib import PurePosixPath
from typing import Annotated

import typer

from jobs import options
from jobs.console import DONE, run_job
from jobs.showing.clips import Shown, choose_clip, choose_shown
from jobs.showing.pictures import draw_clip, draw_sheet
from jobs.showing.recording import record_clip
from pipeline import storage
from pipeline.drawing import ANIMATION_SUFFIXES, write_animation, write_image
from pipeline.errors import ConfigError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    cls=options.command_of(
        "--root /data/walks --out sheet.png",
        "--root /data/walks --labels LABELSET --audit AUDIT --clip KEY --out clip.mp4",
    )
)
def show(
    root: options.Root,
    out: Annotated[
        str | None, typer.Option(help="FILE.png: a contact sheet. FILE.mp4, .webp, ...: one clip in motion.", show_default="no picture")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Label set to draw.", show_default="that of --audit, or clips alone")] = None,
    audit: Annotated[
        str | None, typer.Option(help="Audit of the labels: tracks coloured by weight, with its verdicts.", show_default="none")
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
            raise ConfigError("nothing to write: give --out FILE.png (or .mp4, ...), --rerun FILE.rrd, or both")
        shown = choose_shown(root, labels, audit)
        key = clip
        if clip is None and (rerun is not None or not is_sheet(out)):
            key = choose_clip(shown.root, None).entry.key
            typer.echo(f"clip {key}, from the middle; another one: --clip KEY", err=True)
        if rerun is not None:
            record_clip(shown, key, rerun)
        if out is not None:
            write_picture(shown, clip if is_sheet(out) else key, clips, out)
        for written in (rerun, out):
            if written is not None:
                typer.echo(written)
        return DONE

    run_job(body)


def is_sheet(out: str | None) -> bool:
    """Whether `--out` is a contact sheet of many clips, rather than one clip in motion."""
    return out is not None and PurePosixPath(out).suffix.lower() == ".png"


def write_picture(shown: Shown, clip: str | None, clips: int, out: str) -> None:
    """Publish a contact sheet or an animation; the suffix chooses. Raises ConfigError for another suffix."""
    suffix = PurePosixPath(out).suffix.lower()
    if is_sheet(out):
        write_image(storage.absolute(out), draw_sheet(shown, clip, clips))
    elif suffix in ANIMATION_SUFFIXES:
        frames, fps = draw_clip(shown, clip)
        write_animation(storage.absolute(out), frames, fps)
    else:
        raise ConfigError(f"--out {out}: cannot write {suffix or 'a file without suffix'}; use .png, {', '.join(ANIMATION_SUFFIXES)}")


if __name__ == "__main__":
    app()
