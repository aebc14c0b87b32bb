"""Commands that follow a job are accepted by the jobs that they name."""

import shlex

import pytest

from jobs.next_commands import (
    after_adaptation,
    after_audit,
    after_conversion,
    after_labels,
    after_refinement,
    after_shards,
    after_training,
    stream_lines,
)
from jobs.trackmill import load_command
from trainer.loop import read_config

ROOT = "/data/my walks"


def accepted(line: str) -> dict:
    """Values that the command of this line reads from it; fails where it would refuse them."""
    _, name, *words = shlex.split(line)
    command = load_command(name)
    if hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context(name, words).params


@pytest.fixture(autouse=True)
def _called_by_the_console_script(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/opt/venv/bin/trackmill"])


@pytest.mark.parametrize(
    "lines",
    [
        lambda: after_shards(ROOT),
        lambda: after_conversion(ROOT, evaluation=False),
        lambda: after_conversion(ROOT, evaluation=True),
        lambda: after_labels(ROOT, "dis-flow-1", kind="tracks", query_policy="grid"),
        lambda: after_labels(ROOT, "dis-flow-1", kind="tracks", query_policy="truth"),
        lambda: after_labels(ROOT, "pi3-1", kind="depth", query_policy="grid"),
        lambda: after_refinement(ROOT, "dis-flow-1", "pi3-1", "refine-1", audit="dis-flow-1", metric=True),
        lambda: after_audit(ROOT, "dis-flow-1", passes=True, worst="a-w0000"),
        lambda: after_audit(ROOT, "dis-flow-1", passes=False),
        lambda: after_adaptation(ROOT, "dis-flow-1", "runs/a/checkpoints/1.safetensors", "runs/a", "st4rtrack.safetensors"),
        lambda: after_training("runs/tiny", "runs/tiny/checkpoints/1.safetensors", [ROOT], 4800),
    ],
)
def test_every_line_is_accepted_by_the_command_that_it_names(lines):
    for line in lines():
        assert accepted(line)


def test_labels_of_a_closed_gate_are_not_to_be_trained_on():
    assert not any(" train " in line for line in after_audit(ROOT, "a", passes=False))
    assert any(" train " in line for line in after_audit(ROOT, "a", passes=True))


def test_the_training_lines_configure_the_roots_that_they_name():
    changes = accepted(after_audit(ROOT, "dis-flow-1", passes=True)[-1])["change"]
    data = read_config("tiny", list(changes)).data
    assert [part.root for part, _ in data.labelled.parts] == [f"{ROOT}-studio"]
    assert [(part.root, part.audit) for part, _ in data.pseudo.parts] == [(ROOT, "dis-flow-1")]
    data = read_config("tiny", list(accepted(after_conversion(ROOT, evaluation=False)[0])["change"])).data
    assert [part.root for part, _ in data.labelled.parts] == [ROOT]
    assert data.pseudo is None


def test_the_lines_of_python_stream_that_audit(monkeypatch):
    asked = []
    monkeypatch.setattr("pipeline.stream.ClipStream", lambda config: asked.append(config) or [])
    exec("\n".join(stream_lines(ROOT, "dis-flow-1")))
    assert [(config.root, config.audit) for config in asked] == [(ROOT, "dis-flow-1")]
