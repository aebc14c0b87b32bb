"""Console output of a job: counts and their nouns, lines of progress off a terminal, exit codes of a job that was stopped."""

import os
import signal

import pytest
import typer

from jobs import console
from jobs.console import ProgressLine, counted, run_job
from pipeline.errors import ConfigError, DataError


@pytest.mark.parametrize(("number", "text"), [(0, "0 shards"), (1, "1 shard"), (2, "2 shards"), (1200, "1,200 shards")])
def test_a_count_agrees_with_its_noun(number, text):
    assert counted(number, "shard") == text


def test_the_last_line_of_progress_is_said_once(capsys, monkeypatch):
    monkeypatch.setattr(console, "_PLAIN_EVERY_S", -1.0)  # a line for each step
    with ProgressLine("cutting", 3, "clips") as line:
        line.advance(2, 1)
        line.advance(1)
    said = capsys.readouterr().err.splitlines()
    assert [each.split(",")[0] for each in said] == ["cutting: 2/3 clips", "cutting: 3/3 clips"]
    assert said[0].endswith("s left, 1 error")


def test_a_short_stage_says_one_line_and_an_empty_one_nothing(capsys):
    with ProgressLine("cutting", 1, "clips") as line:
        line.advance(1)
    with ProgressLine("probing", 0, "sources"):
        pass
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("cutting: 1/1 clip, ")
    assert said.endswith(", 0 errors")


def test_a_stage_that_ends_early_says_how_far_it_came(capsys):
    with ProgressLine("cutting", 4, "clips") as line:
        line.advance(1)
    assert capsys.readouterr().err.startswith("cutting: 1/4 clips, ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_job_says_how_to_go_on(number, code, capsys, monkeypatch):
    monkeypatch.setattr("jobs.console._leave_threads", lambda code: None)  # other tests may have threads at work
    handlers = signal.getsignal(signal.SIGTERM)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background may ignore it
    try:
        with pytest.raises(typer.Exit) as left:
            run_job(lambda: os.kill(os.getpid(), number) or signal.pause())
    finally:
        signal.signal(signal.SIGINT, interrupt)
    assert left.value.exit_code == code
    assert capsys.readouterr().err == "stopped; run the same command again to continue\n"
    assert signal.getsignal(signal.SIGTERM) == handlers


@pytest.mark.parametrize(("error", "code"), [(ConfigError("no --root"), 2), (DataError("no video"), 1)])
def test_an_error_of_ours_is_one_line(error, code, capsys):
    def body() -> int:
        raise error

    with pytest.raises(typer.Exit) as left:
        run_job(body)
    assert left.value.exit_code == code
    assert capsys.readouterr().err == f"error: {error}\n"
