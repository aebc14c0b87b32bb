import sys

import numpy as np
import pytest

from jobs.showing.clips import LoadedClip, Shown, ShownClip
from jobs.showing.pictures import audit_note
from jobs.showing.recording import record_clip, report_text
from pipeline.audit.stored.clip_audit import ClipAudit
from pipeline.audit.verdict import verdict_of
from pipeline.errors import ConfigError
from pipeline.records import ClipRecord
from pipeline.shards.index import ClipEntry


def loaded(source: str = "walk.mp4", audit: ClipAudit | None = None) -> LoadedClip:
    common = {"key": "walk-w0000", "source": source, "source_id": "walk", "split": "train"}
    about = {"start_s": 0.0, "end_s": 0.08, "fps": 25.0, "frames": 2, "width": 32, "height": 24, "codec": "h264", "video": "h264"}
    record = ClipRecord(**common, **about, sha256="ab" * 32, timestamps=(0.0, 0.04))
    entry = ClipEntry(**common, sample_key="walk-w0000", tar="000000.tar", record=record)
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    return LoadedClip(stored=ShownClip(3, entry), frames=frames, labels=None, audit=audit, weights=None, ncc=None)


def test_without_the_extra_the_message_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    monkeypatch.delitem(sys.modules, "pipeline.drawing.rerun_file", raising=False)
    with pytest.raises(ConfigError, match=r"\.venv/bin/pip install -e '\.\[viz\]'"):
        record_clip(Shown(root="nowhere"), None, "out.rrd")


def test_another_suffix_is_refused():
    with pytest.raises(ConfigError, match="written as .rrd"):
        record_clip(Shown(root="nowhere"), None, "out.png")


def test_the_report_says_verdict_and_provenance_and_keeps_names_plain():
    audit = ClipAudit(key="walk-w0000", verdict=verdict_of(["dark", "overlay"]))
    text = report_text(Shown(root="nowhere"), loaded("a|b`<img src=x>`.mp4", audit))
    assert text.startswith("# walk-w0000\n\n**drop: dark, overlay**\n")
    assert "| source | `a/b'<img src=x>'.mp4` |" in text
    assert "| frames | `2 of 32 x 24, 25 per second; 2 shown` |" in text
    assert "| stored in | `shard 000003, split train` |" in text


def test_a_clip_that_was_not_judged_has_no_note():
    assert audit_note(loaded()) == ""
    assert audit_note(loaded(audit=ClipAudit(key="walk-w0000", verdict=verdict_of([])))) == "keep"
