"""The command `trackmill`: what its help loads, and how commands are spelled for whoever reads them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.trackmill import COMMANDS, Call, app, as_called, command_line, load_command, options

REPO = Path(__file__).parents[3]
LINKED = {"trackmill": "/opt/venv/bin/trackmill", "python": "/opt/venv/bin/python"}


def call(program, *, python="/opt/venv/bin/python", folder="/home/me", find=LINKED.get):
    return Call(program=program, python=python, folder=Path(folder), find=find)


def test_the_help_lists_every_command_and_loads_no_job():
    said = "import sys; from typer.testing import CliRunner; from jobs.trackmill import app; done = CliRunner().invoke(app, ['--help']);"
    said += "import json; print(json.dumps([done.output, sorted(sys.modules)]))"
    environment = {**os.environ, "PYTHONPATH": str(REPO), "COLUMNS": "160"}
    done = subprocess.run([sys.executable, "-c", said], env=environment, capture_output=True, text=True, check=True, timeout=300)
    shown, modules = json.loads(done.stdout)
    assert all(f" {name} " in shown and line in shown for name, (_, line) in COMMANDS.items())
    assert not {"torch", "ray", "pyarrow", "av", "cv2", "numpy"} & set(modules)


def test_every_command_of_the_table_is_there_under_its_name():
    loaded = {name: load_command(name) for name in COMMANDS}
    assert [command.name for command in loaded.values()] == [*COMMANDS]
    assert "allow_static" in {parameter.name for parameter in loaded["screen"].params}
    assert {"run", "calibrate", "compare"} <= {*loaded["audit"].commands}


def test_an_unknown_command_is_a_mistake_of_use_with_the_nearest_name():
    done = CliRunner().invoke(app, ["lable"])
    assert done.exit_code == 2
    assert "label" in done.output


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        (call("/opt/venv/bin/trackmill"), "trackmill label --root a"),
        (call(".venv/bin/trackmill", find={}.get), ".venv/bin/trackmill label --root a"),
        (call("/opt/venv/bin/trackmill", find={}.get), "/opt/venv/bin/trackmill label --root a"),
        (call("jobs/shard.py"), "python jobs/pseudolabel.py --root a"),
        (call("/src/jobs/trackmill.py"), "python /src/jobs/pseudolabel.py --root a"),
        (call("jobs/shard.py", python="/home/me/.venv/bin/python"), ".venv/bin/python jobs/pseudolabel.py --root a"),
        (call("/usr/bin/pytest"), "python jobs/pseudolabel.py --root a"),
    ],
)
def test_a_command_is_spelled_as_the_user_called_us(called, expected):
    assert command_line("label", "--root", "a", call=called) == expected


def test_a_subcommand_of_a_job_keeps_its_place():
    script, console = call("jobs/audit.py"), call("/opt/venv/bin/trackmill")
    assert command_line("screen", call=script) == "python jobs/audit.py screen"
    assert command_line("audit run", call=script) == "python jobs/audit.py run"
    assert command_line("screen", call=console) == "trackmill screen"
    assert command_line("audit run", call=console) == "trackmill audit run"


def test_arguments_are_quoted_for_a_shell():
    assert command_line("show", "a b'c", call=call("/opt/venv/bin/trackmill")) == """trackmill show 'a b'"'"'c'"""


def test_options_are_written_as_a_command_line_takes_them():
    assert options(root="r", clip_frames=24, cycle=True, screen=None, retry=False, set=["a=1", "b=2"]) == [
        *("--root", "r", "--clip-frames", "24", "--cycle", "--set", "a=1", "--set", "b=2")
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run jobs/pseudolabel.py first", "run trackmill label first"),
        ("run python jobs/audit.py screen --root r", "run trackmill screen --root r"),
        ("see jobs/audit.py run", "see trackmill audit run"),
        ("jobs/own.py is yours", "jobs/own.py is yours"),
    ],
)
def test_messages_name_commands_that_exist_for_the_user(text, expected):
    assert as_called(text, call=call("/opt/venv/bin/trackmill")) == expected
    assert as_called(text, call=call("jobs/audit.py")) == text
