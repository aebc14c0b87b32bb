"""The command `trackmill`: every job is a subcommand, loaded when it is asked for. Also: commands as the user would type them."""

import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS: dict[str, tuple[str, str]] = {  # name -> (module of the job's `app`, or module:command of it; one line of help)
    "run": ("jobs.run", "Videos to audited tracks in one go: shard, screen, label, audit, contact sheet."),
    "status": ("jobs.status", "Tell what a dataset holds, what is missing, and which command is next."),
    "shard": ("jobs.shard", "Cut videos into WebDataset shards, or register tars that others wrote."),
    "screen": ("jobs.audit:screen", "Judge clips by their picture alone, before any label is paid for."),
    "label": ("jobs.pseudolabel", "Label every clip, with 2D tracks or depth."),
    "audit": ("jobs.audit", "Judge labels (run), fit a calibration (calibrate), compare two audits (compare)."),
    "consensus": ("jobs.consensus", "Fuse label sets of tracks into one, by votes."),
    "refine": ("jobs.refine", "Refine camera poses by static tracks and depth, as labels."),
    "show": ("jobs.show", "Draw clips and tracks: a contact sheet, a clip in motion, a Rerun recording."),
    "train": ("jobs.train", "Train a stage."),
    "adapt": ("jobs.adapt", "Adapt a model to your videos in one go: run, depth labels, train, infer."),
    "infer": ("jobs.infer", "Reconstruct a video with a trained model: cameras, points, tracks."),
    "evaluate": ("jobs.evaluate", "Measure labels and models where the truth is known."),
    "convert": ("jobs.convert", "Convert a dataset with ground truth into shards."),
    "synthesize": ("jobs.synthesize", "Render clips with exact truth into shards."),
    "forget": ("jobs.forget", "Take-down requests: leave clips and sources out for good."),
    "demo": ("jobs.demo", "The whole way on a rendered walk, compared with its truth."),
    "export": ("jobs.export", "Write clips and tracks in the layouts of other trainers."),
    "publish": ("jobs.publish", "Make a folder with a dataset card, and upload it."),
}


class JobCommands(TyperGroup):
    """Subcommands of which only the one that is called is imported: the help needs neither torch nor Ray."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update({name: TyperCommand(name, help=line) for name, (_, line) in COMMANDS.items()})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The called command itself, in place of the line that stands for it in the help."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name in COMMANDS else listed, rest


def load_command(name: str) -> Any:
    """The command of this name, from its job's module; its help names commands as the user types them."""
    module, _, inner = COMMANDS[name][0].partition(":")
    command: Any = typer.main.get_command(importlib.import_module(module).app)
    command = command.commands[inner] if inner else command
    command.name = name
    for each in (command, *getattr(command, "commands", {}).values()):
        each.help = each.help and as_called(each.help)
        for parameter in each.params:
            parameter.help = getattr(parameter, "help", None) and as_called(parameter.help)
    return command


app = typer.Typer(cls=JobCommands, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


def print_version(asked: bool) -> None:
    """Print the version of what is installed, if asked to, and leave."""
    if asked:
        try:
            typer.echo(version("trackmill"))
        except PackageNotFoundError:
            typer.echo("source")
        raise typer.Exit


@app.callback()
def trackmill(
    show_version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.", callback=print_version)] = False,
) -> None:
    """Raw video in, training data for feed-forward 3D models out.

    Begin with `trackmill run VIDEOS --root FOLDER`; `trackmill status --root FOLDER` says where a dataset stands. Every command has --help.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """How this process was called: all that the spelling of another command depends on."""

    program: str  # sys.argv[0]
    python: str  # sys.executable
    folder: Path  # the current one
    find: Callable[[str], str | None] = shutil.which  # a program's file on the PATH

    @property
    def by_console_script(self) -> bool:
        """Whether `trackmill` was called, not a job's file."""
        program = PurePath(self.program)
        return program.stem == "trackmill" and program.suffix in ("", ".exe")

    def words(self, name: str) -> list[str]:
        """The beginning of the command line of a subcommand."""
        if self.by_console_script:
            return [self._shortest(self.program), name]
        module, _, inner = COMMANDS[name][0].partition(":")
        file = f"{module.rpartition('.')[2]}.py"
        beside = PurePath(self.program).parent
        script = beside / file if beside.name == "jobs" else PurePath("jobs", file)
        return [self._shortest(self.python), str(script), *([inner] if inner else [])]

    def _shortest(self, program: str) -> str:
        """A program by its name alone where the PATH leads to it, else from the current folder where it lies below."""
        path = Path(program)
        if self.find(path.name) in (program, str(self.folder / program)):
            return path.name
        return str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else program


def this_call() -> Call:
    """How this process was called."""
    return Call(program=sys.argv[0], python=sys.executable, folder=Path.cwd())


def command_line(command: str, *arguments: object, call: Call | None = None) -> str:
    """A command, ready to paste into a shell.

    Args:
        command: such as "label", or "audit run".
        arguments: quoted where a shell needs it.
        call: None for this process's.
    """
    name, *more = command.split()
    return shlex.join([*(call or this_call()).words(name), *more, *map(str, arguments)])


def options(**values: object) -> list[str]:
    """Options of a command line: `clip_frames=24` becomes `--clip-frames 24`; True is a flag, a list repeats its option, None and False are
    left out.
    """
    words: list[str] = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            words += [word for each in value for word in (option, str(each))]
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


_NAMES = {re.sub(r"^jobs\.(\w+):?(\w*)$", r"\1 \2", module).strip(): name for name, (module, _) in COMMANDS.items()}
_MENTION = re.compile(r"(?:python )?jobs/(\w+)\.py(?: (screen)\b)?")


def as_called(text: str, *, call: Call | None = None) -> str:
    """A text in which jobs/NAME.py is `trackmill NAME`, for those who called `trackmill`: an installed one has no folder jobs."""
    if not (call or this_call()).by_console_script:
        return text
    return _MENTION.sub(lambda found: f"trackmill {_NAMES[' '.join(filter(None, found.groups()))]}" if _known(found) else found[0], text)


def _known(mention: re.Match[str]) -> bool:
    return " ".join(filter(None, mention.groups())) in _NAMES


if __name__ == "__main__":
    app()
