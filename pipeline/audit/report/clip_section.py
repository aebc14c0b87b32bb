"""The clips of the page, in three groups, within what the page may weigh."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.audit.report.clip_card import CardContext, clip_card
from pipeline.audit.report.clip_material import ClipMaterial, read_material
from pipeline.audit.report.markup import Markup, element, joined
from pipeline.audit.report.player import make_player
from pipeline.audit.report.wording import counted
from pipeline.audit.stored.audit_set import AuditSet
from pipeline.audit.summing.records import AuditSummary, ClipBrief
from pipeline.drawing.ramp import hexadecimal, ramp
from pipeline.errors import DataError, TrackmillError
from pipeline.labels import read_label_set
from pipeline.records import LabelSet
from pipeline.shards.tombstones import read_tombstones

CARD_RESERVE = 100_000  # bytes kept free for each card to come: its words, its rasters, four stills; at most half of its equal share


@dataclass(frozen=True, slots=True)
class _Group:
    title: str
    words: str
    briefs: Sequence[ClipBrief]


def clip_groups(root: str, audit: AuditSet, summary: AuditSummary, budget: int) -> Markup:
    """Cards of the worst, the borderline and some random clips, together at most `budget` bytes as long as words alone fit.

    Once a clip in motion is too much, those after it show stills.
    """
    groups = [
        _Group("Worst", "Clips in error, then those whose tracks weigh least on average.", summary.worst),
        _Group("Borderline", "Clips that a small change of a limit would judge otherwise.", summary.borderline),
        _Group("Random, kept", "A choice by lot among the clips that are kept: what the rest looks like.", summary.random_keeps),
    ]
    dealer = _Dealer(root, CardContext(audit=audit, labels=_label_set(root, audit)), budget, sum(len(group.briefs) for group in groups))
    drawn = []
    for group in groups:
        cards = [dealer.card(brief) for brief in group.briefs]
        body = element("div", *cards, class_="cards") if cards else element("p", "None.", class_="note")
        head = element("h3", group.title, element("small", f" {counted(len(cards), 'clip')}"))
        drawn.append(joined([head, element("p", group.words, class_="note"), body]))
    return joined([_toolbar(), dealer.note(), *drawn])


class _Dealer:
    """Makes card after card, and keeps count of what is left of the page's weight."""

    def __init__(self, root: str, context: CardContext, budget: int, num_cards: int) -> None:
        self._root, self._context, self._tombstones = root, context, read_tombstones(root)
        self._budget, self._waiting = budget, num_cards
        self._reserve = min(CARD_RESERVE, budget // max(2 * num_cards, 1))
        self._stills = 0

    def card(self, brief: ClipBrief) -> Markup:
        """The next card."""
        material = read_material(self._root, self._context.audit, brief, self._tombstones)
        left = self._budget - self._reserve * (self._waiting - 1)
        try:
            player = make_player(material, left, moving=not self._stills)
        except DataError as error:
            player, material = None, _remarked(material, f"the video cannot be shown: {str(error).replace(self._root, 'ROOT')}")
        if player is None and not material.remarks and material.video is not None:
            material = _remarked(material, "not drawn: the page would weigh too much")
        self._stills += player is not None and not player.moving
        card = clip_card(material, player, self._context)
        self._budget, self._waiting = self._budget - len(card.encode()), self._waiting - 1
        return card

    def note(self) -> Markup | None:
        """What was left out, if anything."""
        if not self._stills:
            return None
        words = f"{counted(self._stills, 'clip')} below: four stills instead of motion, as the page would weigh too much."
        return element("p", words, class_="callout")


def _remarked(material: ClipMaterial, remark: str) -> ClipMaterial:
    return replace(material, remarks=(*material.remarks, remark))


def _label_set(root: str, audit: AuditSet) -> LabelSet | None:
    try:
        return read_label_set(root, audit.label_set)
    except TrackmillError:
        return None


def _toolbar() -> Markup:
    choices = [("weight", "weight", True), ("place", "query position", False)]
    radios = [
        element("label", element("input", type="radio", name="colour", value=value, checked=checked), f" {words}")
        for value, words, checked in choices
    ]
    swatches = [element("rect", x=place, y=0, width=1.05, height=8, fill=hexadecimal(colour)) for place, colour in enumerate(ramp())]
    legend = element(
        "svg", *swatches, viewBox="0 0 32 8", preserveAspectRatio="none", class_="ramp", role="img", aria_label="Colours of weights"
    )
    return element(
        "div",
        element("div", element("span", "Colour of tracks"), *radios, class_="choice", role="radiogroup", aria_label="Colour of tracks"),
        element("span", "0 ", legend, " 1", class_="ramp-box", title="weight, and likeness in the rasters"),
        element("button", "Play all in view", type="button", id="play-all", aria_pressed="false"),
        element("span", "● visible  ○ hidden, predicted  ✛ query", class_="symbols"),
        class_="toolbar",
    )
