"""The command lines of all jobs, walked: one name for each idea, help and default of every option, former names, examples."""

import importlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from jobs import audit, evaluate, options, pseudolabel, shard, synthesize
from jobs.execution.run import EXECUTORS
from jobs.labeling.screened import SCREEN
from networks.layers.computing import FORWARD_PRECISIONS
from pipeline.audit.stored.audit_set import CYCLES
from pipeline.manifest.presets import PRESETS
from pipeline.metrics import published_protocol
from pipeline.metrics.tapvid import QUERY_MODES
from pipeline.shards.policy import SNAPS, VIDEO_POLICIES
from pipeline.synthetic.source import DOMAIN_NAMES

JOBS = Path(options.__file__).parent
WHERE_JOBS_RUN = (
    *("--executor", "--num-workers", "--num-cpus-per-worker", "--num-gpus-per-worker", "--clip-time-limit", "--max-attempts"),
    "--max-failures",
)
# Other names for the ideas of --num-workers, --executor, --clip-frames, --queries, --limit and --split-shares.
OTHER_NAMES = {
    *(
        "--workers",
        "--ray",
        "--num-executors",
        "--frames",
        "--num-frames",
        "--frames-per-clip",
        "--tracks",
        "--num-tracks",
        "--points-per-clip",
    ),
    *("--num-queries", "--num-points", "--max-clips", "--num-clips", "--max-samples", "--shares"),
}
THEIR_OWN = {("synthesize", "--num-clips"), ("infer", "--frames")}  # clips to be made, frames of a video: no limit, and no clip's length


def commands_of(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for inner, each in command.commands.items():
        yield from commands_of(f"{name} {inner}", each)


def all_commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(JOBS.glob("[a-z]*.py")):
        if path.stem == "trackmill":  # the same commands, by other names
            continue
        app = getattr(importlib.import_module(f"jobs.{path.stem}"), "app", None)
        if isinstance(app, typer.Typer):
            found.update(commands_of(path.stem, typer.main.get_command(app)))
    return found


COMMANDS = all_commands()


def options_of(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "option" and "--help" not in param.opts]


def choices_of(command: Any, param: Any) -> tuple[str, ...]:
    declared = get_type_hints(command.callback)[param.name]
    return next((get_args(each) for each in (declared, *get_args(declared)) if get_origin(each) is Literal), ())


def test_every_job_is_walked():
    assert {
        "shard",
        "convert",
        "synthesize",
        "pseudolabel",
        "audit run",
        "evaluate model",
        "train",
        "show",
        "forget",
        "run",
        "adapt",
        "status",
        "export kubric",
        "publish",
    } <= set(COMMANDS)


def test_no_idea_has_two_names():
    declared = {(name, option) for name, command in COMMANDS.items() for param in options_of(command) for option in param.opts}
    assert {(name, option) for name, option in declared if option in OTHER_NAMES} <= THEIR_OWN
    assert not {option for name, option in declared if "_" in option}


def test_an_option_of_one_name_takes_the_same_choices_everywhere():
    choices: dict[str, set[tuple[str, ...]]] = {}
    for command in COMMANDS.values():
        for param in (param for param in options_of(command) if not param.is_flag):
            choices.setdefault(param.opts[0], set()).add(choices_of(command, param))
    assert {name: found for name, found in choices.items() if len(found) > 1} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_says_what_happens_without_it(name):
    for param in COMMANDS[name].params:
        assert param.help or "--help" in param.opts, param.opts
    silent = [
        param.opts[0]
        for param in options_of(COMMANDS[name])
        if not (param.required or param.is_flag or param.default is not None or isinstance(param.show_default, str))
    ]
    assert silent == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples_that_can_be_run_and_keeps_ray_in_a_panel_of_its_own(name):
    command = COMMANDS[name]
    assert command.examples
    for example in command.examples:
        command.make_context(name, shlex.split(example))  # raises where a name, a value or something required is wrong
    panels = {param.opts[0]: param.rich_help_panel for param in options_of(command)}
    assert {option: panel for option, panel in panels.items() if option in WHERE_JOBS_RUN and panel != options.RAY} == {}


def test_help_shows_defaults_choices_and_how_the_command_was_called():
    shown = CliRunner().invoke(shard.app, ["--help"], prog_name="shard.py", env={"COLUMNS": "160", "TERMINAL_WIDTH": "160"}).stdout
    for text in ("[default: 48]", "[default: (the clip length)]", "none|key-frames", options.RAY, "[required]"):
        assert text in shown
    assert "python jobs/shard.py videos/ --root /data/walks" in shown
    assert "--split " not in shown


FORMER = [(name, former, now) for name, command in COMMANDS.items() for former, now in command.former.items()]


@pytest.mark.parametrize(("name", "former", "now"), FORMER)
def test_a_former_name_works_and_says_its_new_one(name, former, now, capsys):
    option, *value = now.split()
    (param,) = (param for param in options_of(COMMANDS[name]) if option in param.opts)
    for given in [[former]] if value else [[former, "2"], [f"{former}=2"]]:
        context = COMMANDS[name].make_context(name, given, resilient_parsing=True)
        assert str(context.params[param.name]) == (value[0] if value else "2")
        assert f"{former} is now {now}" in capsys.readouterr().err
    assert former not in [each for every in options_of(COMMANDS[name]) for each in every.opts]


def test_the_former_names_are_those_of_the_last_release():
    assert {former for _, former, _ in FORMER} == {"--workers", "--ray", "--frames", "--tracks", "--split"}


def test_what_follows_two_dashes_is_no_option(capsys):
    context = COMMANDS["shard"].make_context("shard", ["--root", "r", "--", "--split"])
    assert context.params["inputs"] == ["--split"]
    assert capsys.readouterr().err == ""


def test_choices_in_help_are_those_that_the_library_takes():
    assert get_args(options.ExecutorName) == EXECUTORS
    assert get_args(options.PrecisionName) == ("auto", *FORWARD_PRECISIONS)
    assert {*get_args(shard.PresetName)} == {"auto", "folder", "webdataset", *PRESETS}
    assert get_args(shard.SnapName) == SNAPS
    assert get_args(shard.VideoName) == VIDEO_POLICIES
    assert {*get_args(synthesize.DomainName)} == {*DOMAIN_NAMES}
    assert get_args(pseudolabel.ScreenName) == SCREEN
    assert get_args(audit.CycleName) == CYCLES
    assert {*get_args(evaluate.ModeName)} == {*QUERY_MODES}
    assert all(published_protocol(name, "metric") for name in get_args(evaluate.DepthRangeName))
