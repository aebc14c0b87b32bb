"""Nothing that is text becomes markup."""

import json

import pytest

from pipeline.audit.report.markup import data_block, element, escaped, joined

HOSTILE = "<img src=x onerror=alert(1)> & \"'"


def test_text_is_escaped_and_markup_is_kept() -> None:
    inner = element("b", HOSTILE)
    assert inner == "<b>&lt;img src=x onerror=alert(1)&gt; &amp; &quot;&#x27;</b>"
    assert element("p", inner, None, 3) == f"<p>{inner}3</p>"


def test_attributes_are_escaped_and_absent_ones_left_out() -> None:
    made = element("input", type="radio", name="colour", checked=True, disabled=False, title=None, aria_label='"><script>')
    assert made == '<input type="radio" name="colour" checked aria-label="&quot;&gt;&lt;script&gt;">'
    assert element("td", class_="number") == '<td class="number"></td>'


def test_joining_escapes_what_stands_between() -> None:
    assert joined(["a", element("i"), None], " < ") == "a &lt; <i></i>"


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800"])
def test_characters_that_no_document_may_hold_are_replaced(character: str) -> None:
    assert escaped(f"a{character}b").encode() == "a\ufffdb".encode()


def test_a_data_block_cannot_be_ended_from_within() -> None:
    document = {"text": "</script><script>alert(1)</script><!--", "more": "a&b\u2028"}
    block = data_block(document, class_="clip-data")
    body = block.removeprefix('<script type="application/json" class="clip-data">').removesuffix("</script>")
    assert body != block
    assert not set("<>&\u2028") & set(body)
    assert json.loads(body) == document
