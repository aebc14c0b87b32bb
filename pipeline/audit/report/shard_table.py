"""The table of shards, which the page's script sorts."""

import math
from collections.abc import Sequence

from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.share_bars import share_bar
from pipeline.audit.report.wording import figure, percentage
from pipeline.audit.summing.records import ShardSummary
from pipeline.audit.verdict import DECISIONS

MAX_SHARDS = 2000  # in the page; all are in shards.parquet
_COLUMNS = ("shard", "clips", *DECISIONS, "kept", "tracks", "mean weight", "commonest grave reason")


def shard_table(shards: Sequence[ShardSummary]) -> Markup:
    """One line per shard, in order; of very many, those that keep least."""
    shown = sorted(sorted(shards, key=lambda each: (each.keep_share, each.shard))[:MAX_SHARDS], key=lambda each: each.shard)
    note = "Click a heading to sort."
    if len(shown) < len(shards):
        note += f" These are the {len(shown):,} shards of {len(shards):,} that keep least of their clips; shards.parquet has all."
    head = element("tr", *(_heading(name, name == "shard") for name in _COLUMNS))
    table = element("table", element("thead", head), element("tbody", *(_row(each) for each in shown)), class_="sortable")
    region = element("div", table, class_="scroll tall", tabindex="0", role="region", aria_label="Table of shards")
    return joined([element("p", note, class_="note"), region])


def _heading(name: str, sorted_by: bool) -> Markup:
    button = element("button", name, element("span", class_="arrow", aria_hidden="true"), type="button")
    return element("th", button, scope="col", aria_sort="ascending" if sorted_by else "none")


def _row(shard: ShardSummary) -> Markup:
    cells = [
        _cell(f"{shard.shard:06d}", shard.shard),
        _cell(f"{shard.num_clips:,}", shard.num_clips),
        *(_cell(f"{shard.decisions.get(name, 0):,}", shard.decisions.get(name, 0)) for name in DECISIONS),
        _cell(joined([percentage(shard.keep_share), share_bar(shard.keep_share)]), shard.keep_share),
        _cell(f"{shard.num_tracks:,}", shard.num_tracks),
        _cell(figure(shard.mean_weight), shard.mean_weight),
        element("td", shard.worst_reason.replace("_", " "), data_sort=shard.worst_reason),
    ]
    return element("tr", *cells)


def _cell(content: object, value: float) -> Markup:
    return element("td", content, class_="number", data_sort=f"{value:.9g}" if math.isfinite(value) else "")
