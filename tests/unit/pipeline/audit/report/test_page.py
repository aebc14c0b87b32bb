"""The whole page: what it says, that it is safe, equal for equal inputs, within its weight, and never fails for a clip."""

import base64
import hashlib
import html
import re
import shutil
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from pipeline.audit.comparing.records import DriftRow
from pipeline.audit.report import build_report
from pipeline.audit.summing.records import GateCheck, GateResult, Histogram
from pipeline.audit.verdict import verdict_of
from pipeline.labels import LabelRow, write_label_set, write_label_shard
from pipeline.shards.plan import PlannedClip, write_plan
from pipeline.shards.tombstones import write_tombstones
from tests.unit.pipeline.audit.report.audited import (
    HOSTILE,
    LABELS,
    REASONS,
    Audited,
    H,
    T,
    W,
    audit_set,
    audit_summary,
    brief,
    make_audited,
    tracks,
)


class Page(HTMLParser):
    """Tags, text outside scripts, and what the page would load."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._quiet = False
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._quiet = tag in ("script", "style")
        for name, value in attrs:
            assert not name.startswith("on"), f"{tag} {name}"
            assert name != "style", "the policy forbids style attributes"
            if name in ("src", "href", "srcset", "data", "action"):
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._quiet = False

    def handle_data(self, data: str) -> None:
        if not self._quiet:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def report(audited: Audited, **changed: object) -> bytes:
    known = {"summary": audited.summary, "gate": audited.gate, "audit": audited.audit} | changed
    audit, summary, gate = (known.pop(name) for name in ("audit", "summary", "gate"))
    return build_report(audited.root, audit, summary, gate, **known)


def test_equal_inputs_give_equal_bytes(audited: Audited, tmp_path: Path) -> None:
    assert report(audited) == report(audited)
    other = make_audited(tmp_path / "elsewhere" / "other")
    assert report(audited).replace(audited.root.encode(), b"ROOT") == report(other).replace(other.root.encode(), b"ROOT")


def test_the_verdict_totals_and_clips_come_before_all_else_and_the_rest_is_folded(audited: Audited) -> None:
    page = report(audited).decode()
    ids = ["verdict", "totals", "clips", "measures", "groups", "calibration", "shards", "drift", "labels", "glossary"]
    places = [page.index(f' id="{name}"') for name in ids]
    assert places == sorted(places)
    for name, start, end in zip(ids[3:], places[3:], [*places[4:], len(page)], strict=True):
        section = page[start:end]
        assert section.index("<details") < section.index("<h2>"), name
    assert 'class="card"' in page[places[2] : places[3]]
    assert 'class="card"' not in page[: places[2]] + page[places[3] :]
    assert "No 2D measure sees" in page


def clip_groups(page: str) -> list[tuple[str, bool, list[str]]]:
    """(heading, folded, keys) of each group of clips, as the page has them."""
    section = page[page.index('id="clips"') : page.index('id="measures"')]
    found = []
    for part in re.split(r"(?=<h3>)", section)[1:]:
        before = section[: section.index(part)]
        folded = before.rstrip().endswith("<summary>")
        found.append(
            (html.unescape(re.sub("<[^>]*>", "", part[: part.index("</h3>")])), folded, re.findall(r"<h4><code>(\w+)</code>", part))
        )
    return found


def test_clips_that_are_not_kept_come_first_and_each_clip_once(audited: Audited) -> None:
    summary = audit_summary(
        decisions={"keep": 40, "drop": 3},
        worst=(brief("poor"), brief("poorer"), brief("low")),
        borderline=(brief("poorest"), brief("near"), brief("poor")),
        random_keeps=(brief("good"), brief("low"), brief("near")),
    )
    assert clip_groups(report(audited, summary=summary).decode()) == [
        ("Not kept 3 clips", False, ["poor", "poorer", "poorest"]),
        ("Kept, but near a limit 1 clip", True, ["near"]),
        ("Kept 2 of 39 clips", True, ["low", "good"]),
    ]


def test_where_all_clips_are_kept_they_are_open_and_none_is_called_worst(audited: Audited) -> None:
    page = report(audited, summary=audit_summary(decisions={"keep": 1}, worst=(brief("good"),))).decode()
    assert clip_groups(page) == [("Kept 1 clip", False, ["good"])]
    assert "worst" not in page[page.index('id="clips"') : page.index('id="measures"')].lower()
    assert "No clip was audited." in report(audited, summary=audit_summary(worst=(), borderline=(), random_keeps=())).decode()


def test_hostile_strings_stay_text(audited: Audited) -> None:
    summary = audit_summary(
        reasons={HOSTILE: 2}, worst=(brief("poor"), brief(HOSTILE)), shards=(replace(audited.summary.shards[0], worst_reason=HOSTILE),)
    )
    gate = GateResult(checks=(GateCheck(rule=HOSTILE, value=f"</script>{HOSTILE}", holds=False, blocks=True),))
    audit = audit_set(labeler=HOSTILE, second=HOSTILE, checkpoint_sha256=HOSTILE)
    plain, page = Page(report(audited)), Page(report(audited, summary=summary, gate=gate, audit=audit))
    assert page.tags.count("img") == plain.tags.count("img")
    assert page.tags.count("script") == plain.tags.count("script")
    assert page.text.count(HOSTILE) >= 8


def test_nothing_is_loaded_and_nothing_but_its_own_script_may_run(audited: Audited) -> None:
    data = report(audited)
    assert all(link.startswith(("#", "data:image/")) for link in Page(data).links)
    found = re.search(rb'http-equiv="Content-Security-Policy" content="([^"]*)"', data)
    assert found is not None
    policy = html.unescape(found[1].decode())
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    for name in ("style", "script"):
        (content,) = re.findall(rf"<{name}>(.*?)</{name}>".encode(), data, re.DOTALL)
        assert f"{name}-src 'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'" in policy


def test_all_that_the_page_is_made_of_is_in_the_package() -> None:
    package = files("pipeline.audit.report")
    wanted = {path.relative_to(str(package)) for path in Path(str(package)).rglob("*.*") if path.suffix not in (".py", ".pyc")}
    project = tomllib.loads((Path(__file__).parents[5] / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["pipeline.audit.report"]
    assert {Path("page.css"), Path("page.js"), Path("templates/page.html")} <= wanted
    assert [path for path in sorted(wanted) if not any(path.match(glob) for glob in globs)] == []


@pytest.mark.parametrize(
    ("uri", "linked"), [("https://example.org/a.mp4", True), ("javascript:alert(1)", False), ("data:text/html,x", False)]
)
def test_a_link_is_made_of_web_addresses_alone(own: Audited, uri: str, linked: bool) -> None:
    shutil.rmtree(Path(own.root) / "plan")
    write_plan(own.root, (PlannedClip(shard=0, key=key, source="a", source_uri=uri, source_id=key, split="train") for key in REASONS))
    page = Page(report(own))
    assert (uri in page.links) == linked
    assert uri in page.text


def test_the_verdict_names_the_broken_rule_first(audited: Audited) -> None:
    checks = (
        GateCheck(rule="all is well", value="yes", holds=True, blocks=True),
        GateCheck(rule="a warning", value="hm", holds=False, blocks=False),
        GateCheck(rule="quarantine below 25 %", value="40 %", holds=False, blocks=True),
    )
    text = Page(report(audited, gate=GateResult(checks=checks))).text
    assert "Fails: do not train" in text
    assert text.index("quarantine below 25 %") < text.index("a warning") < text.index("all is well")
    assert "with 1 warning" in Page(report(audited, gate=GateResult(checks=checks[:2]))).text


def test_a_card_says_what_was_measured_against_which_limit(audited: Audited) -> None:
    text = Page(report(audited)).text
    assert "Points flicker between visible and hidden. Changes of visibility per frame: 0.25, expected at most 0.2." in text
    assert "Too few tracks are long enough to learn from. Usable tracks: 5, expected at least 64." in text
    assert "byte 512" in text
    assert "24 frames, 2.0 s at 12 fps" in text


@pytest.mark.parametrize(("frames", "option"), [(1, "--query-frames 4"), (4, "--queries 10")])
def test_low_coverage_names_its_remedy_in_the_totals_and_on_the_card(own: Audited, frames: int, option: str) -> None:
    queries = {**LABELS.configuration["queries"], "num_query_frames": frames}
    labels = replace(LABELS, configuration={**LABELS.configuration, "queries": queries})
    write_label_set(own.root, labels)
    summary = audit_summary(
        reasons={"low_coverage": 1, "flicker": 1}, worst=(brief("poor", verdict=verdict_of(["low_coverage", "flicker"])),)
    )
    text = Page(report(own, summary=summary, audit=audit_set(label_set=labels.name))).text
    assert text.count(f"Remedy: label again with {option}: ") == text.count("Remedy:") == 2
    assert "Remedy" not in Page(report(own, summary=summary)).text  # its label set does not record in how many frames tracks begin


def test_a_clip_to_be_forgotten_shows_nothing(own: Audited) -> None:
    write_tombstones(own.root, keys=["poor"])
    data = report(own)
    assert data.count(b'class="clip-data"') == 1
    assert "This clip is covered by a take-down request: nothing of it is shown." in Page(data).text


def test_what_cannot_be_read_any_more_is_said_and_nothing_fails(own: Audited) -> None:
    summary = audit_summary(worst=(brief("poor"), brief("gone"), brief("far", shard=9)))
    Path(own.root, "shards", "000000.tar").write_bytes(b"x" * 60_000)
    shutil.rmtree(Path(own.root, "labels"))
    data = report(own, summary=summary)
    text = Page(data).text
    assert "the video cannot be read any more" in text
    assert "the labels cannot be read any more" in text
    assert "the shard cannot be read any more: clip gone is not in shard 000000" in text
    assert f"python jobs/show.py --root {own.root}" in text
    assert b'class="clip-data"' not in data


def test_labels_made_anew_are_not_drawn_over_an_old_audit(own: Audited) -> None:
    others = replace(tracks(), queries=tracks().queries + np.float32([0, 1, 0]))
    size = {"clip_sha256": "0" * 64, "num_frames": T, "width": W, "height": H}
    write_label_shard(own.root, LABELS.name, shard=0, rows=[LabelRow(key=key, status="ok", labels=others, **size) for key in REASONS])
    data = report(own)
    assert "the labels are of other tracks than the audit" in Page(data).text
    assert b'"tracks":0' in data


@pytest.mark.parametrize("cut", [1, 12_000, 28_000])
def test_over_the_limit_later_clips_lose_their_motion_first(audited: Audited, cut: int) -> None:
    summary = audit_summary(
        worst=tuple(map(brief, ("poor", "poorer", "poorest", "gone", "lost", "away")))
    )  # of the last three nothing is left
    full = report(audited, summary=summary)
    assert full.count(b'"frames":[0,1,2,') == 4
    tight = report(audited, summary=summary, max_bytes=len(full) - cut)
    assert len(tight) <= len(full) - cut
    places = [match[1] for match in re.finditer(rb'"frames":\[([\d,]*)\]', tight)]
    moving = [place.count(b",") > 3 for place in places]
    assert moving == sorted(moving, reverse=True)
    assert 0 < sum(moving) < 4
    assert "four stills instead of motion" in Page(tight).text


def test_distributions_say_what_is_unknown_and_draw_the_baseline(audited: Audited) -> None:
    text = Page(report(audited)).text
    assert "Not measured in this audit: Forward-backward error (fb_cycle)." in text
    before = audit_summary(track_histograms=(Histogram(measure="weight", edges=(0.0, 0.5, 1.0), counts=(1, 9), unknown=0),))
    assert 'class="outline"' in report(audited, baseline=before).decode()
    assert 'class="outline"' not in report(audited).decode()


def test_drift_lists_the_worst_first(audited: Audited) -> None:
    def row(measure: str, psi: float, level: str) -> DriftRow:
        return DriftRow(measure=measure, psi=psi, ks=0.1, wasserstein=0.5, unit="px", level=level, note="")

    rows = [row("len", 0.01, "fine"), row("fb_cycle", 0.5, "fail"), row("jump", 0.2, "warn")]
    page = report(audited, drift=rows).decode()
    panel = page[page.index('id="drift"') : page.index('id="labels"')]
    assert panel.index("fb_cycle") < panel.index("jump") < panel.index(">len<")
    without = Page(report(audited)).text
    assert "This audit was not compared with an earlier one." in without
    assert f"--root {audited.root} --labels {LABELS.name} --cycle stored --calibration none --baseline BASELINE_AUDIT" in without


def test_a_label_set_that_passes_says_how_to_use_it_and_one_that_fails_does_not(audited: Audited) -> None:
    fails = GateResult(checks=(GateCheck(rule="no clip is in error", value="1 of 2", holds=False, blocks=True),))
    use = f"ClipStream(StreamConfig(root='{audited.root}', audit='{LABELS.name}'))"
    assert use in Page(report(audited)).text
    failed = Page(report(audited, gate=fails)).text
    assert use not in failed
    assert "not met no clip is in error. Found: 1 of 2" in failed


def test_reasons_against_clips_and_remarks_stand_apart(audited: Audited) -> None:
    page = Page(report(audited, summary=audit_summary(reasons={"few_tracks": 2, "flicker": 1, "fixed_camera": 5}))).text
    against, remarks = page.index("Too few tracks are long enough"), page.index("The camera stands still.")
    assert against < page.index("1 remark that changed no decision") < remarks
    assert "leads to" not in page
