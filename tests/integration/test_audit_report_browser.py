"""The audit's report in a real browser: made by the jobs as a user runs them, opened from its file without a network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.audit import app as audit_app
from jobs.pseudolabel import app as pseudolabel_app
from jobs.shard import app as shard_app
from pipeline.drawing import write_animation
from tests.integration.devtools import Tab, browser_tab, find_browser

HOSTILE = "<img src=x onerror=alert(1)>"
BROWSER = find_browser()
OPEN_ALL = """
for (const each of document.querySelectorAll("details")) each.open = true;
for (const card of document.querySelectorAll(".card")) card.style.contentVisibility = "visible";
"""
SIDEWAYS = """
[...document.querySelectorAll("body *")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(each).overflowX))
  .map((each) => `${each.tagName} ${each.className}: ${each.scrollWidth} in ${each.clientWidth}`)
"""
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH: apt-get install chromium, or set TRACKMILL_CHROMIUM")


def moving(num_frames: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((96, 160 + 2 * num_frames, 3))
    noise = cv2.GaussianBlur(noise, (0, 0), 3.0)
    scene = np.clip(120 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)
    return np.stack([scene[:, 2 * t : 2 * t + 160] for t in range(num_frames)])


def run(app: object, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code in (0, 4), result.output  # 4: the gate fails, as it may here
    return result.output


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    (folder / "videos").mkdir()
    for name, seed in ((f"{HOSTILE}.mp4", 0), ("b.mp4", 1), ("c.mp4", 2)):
        write_animation(str(folder / "videos" / name), moving(16, seed), 12.0)
    root = str(folder / "it's <b>root</b>")
    common = ("--root", root, "--executor", "inline")
    run(shard_app, str(folder / "videos"), *common, "--clips-per-shard", "1", "--license", HOSTILE)
    labels = run(pseudolabel_app, *common, "--labeler", "lucas-kanade", "--queries", "80").split()[-1]
    run(audit_app, "run", *common, "--labels", labels)
    return Path(root, "audit", labels, "report.html")


def in_browser(page: Path, profile: Path, steps: object) -> None:
    async def drive() -> None:
        async with opened(page, profile) as tab:
            await steps(tab)
            assert tab.errors == []
            assert tab.dialogs == []
            assert tab.requests == [page.resolve().as_uri()]

    asyncio.run(asyncio.wait_for(drive(), 60))


@contextlib.asynccontextmanager
async def opened(page: Path, profile: Path) -> AsyncIterator[Tab]:
    assert BROWSER is not None
    async with browser_tab(BROWSER, profile) as tab:
        await tab.open(page)
        yield tab


def test_the_report_works_offline_and_hostile_strings_stay_text(report: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        await names_stay_text(tab)
        await shards_sort(tab)
        await clips_play_and_pause(tab)
        await tracks_change_colour(tab)
        assert str(report.parents[2]).replace("'", "'\"'\"'") in await tab.value("document.querySelector('.card .command').textContent")

    in_browser(report, tmp_path, steps)


async def names_stay_text(tab: Tab) -> None:
    assert await tab.value("document.querySelectorAll('img[src=x], [onerror], b > b').length") == 0
    assert HOSTILE in await tab.value("document.body.textContent")


async def shards_sort(tab: Tab) -> None:
    await tab.value("document.querySelector('nav a[href=\"#shards\"]').click()")  # opens the section
    await tab.until("document.querySelector('#shards > details').open")
    order = "[...document.querySelectorAll('.sortable tbody tr')].map(row => row.cells[0].textContent).join()"
    heading = "document.querySelector('.sortable th')"
    assert await tab.value(order) == "000000,000001,000002"
    await tab.value(f"{heading}.querySelector('button').focus()")
    await tab.press(" ")
    await tab.until(f"{heading}.ariaSort === 'descending'")
    assert await tab.value(order) == "000002,000001,000000"


async def clips_play_and_pause(tab: Tab) -> None:
    await tab.value("document.querySelector('.player').scrollIntoView()")
    frame = "Number(document.querySelector('.player input').value)"
    await tab.until("document.querySelector('canvas').width > 160")  # drawn, at twice the size or more
    before = await tab.value("document.querySelector('canvas').toDataURL()")
    await tab.value("document.querySelector('canvas').focus()")
    await tab.press(" ")
    await tab.until(f"{frame} > 3")
    await tab.press(" ")
    assert await tab.value("document.querySelector('.play').textContent") == "Play"
    stopped = await tab.value(frame)
    await asyncio.sleep(0.3)
    assert await tab.value(frame) == stopped
    assert await tab.value("document.querySelector('canvas').toDataURL()") != before
    await tab.press("Home")
    await tab.until(f"{frame} === 0")
    assert await tab.value("document.querySelector('canvas').toDataURL()") == before


async def tracks_change_colour(tab: Tab) -> None:
    before = await tab.value("document.querySelector('canvas').toDataURL()")
    await tab.value("document.querySelector('input[value=place]').click()")
    assert await tab.value("document.querySelector('canvas').toDataURL()") != before


@pytest.mark.parametrize(("width", "height", "screens", "mobile"), [(1440, 900, 2, False), (390, 844, 3, True), (320, 640, 5, True)])
def test_the_first_clip_is_near_the_top_and_nothing_scrolls_sideways(
    report: Path, tmp_path: Path, width: int, height: int, screens: int, mobile: bool
) -> None:
    async def steps(tab: Tab) -> None:
        await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        await tab.until(f"innerWidth === {width}")
        top = await tab.value("document.querySelector('.card').getBoundingClientRect().top + scrollY")
        assert 0 < top < screens * height
        assert await tab.value("document.querySelectorAll('#measures svg').length") > 10
        assert not await tab.value("document.querySelector('#measures > details').open")
        await tab.value(OPEN_ALL)
        assert await tab.value(SIDEWAYS) == []
        assert await tab.value("document.documentElement.scrollWidth") <= width

    in_browser(report, tmp_path, steps)


def test_the_page_follows_the_system_in_dark_and_light(report: Path, tmp_path: Path) -> None:
    async def steps(tab: Tab) -> None:
        grounds = []
        for scheme in ("dark", "light"):
            await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            shade = await tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            ink = await tab.value("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")
            grounds.append(sum(shade) - sum(ink))
        assert grounds[0] < -400  # bright words on a dark ground
        assert grounds[1] > 400

    in_browser(report, tmp_path, steps)
