"""Nothing that is text becomes markup, in any of the page's templates."""

import json
import re

import pytest
from jinja2 import UndefinedError

from pipeline.audit.report.page import build_report, environment
from tests.unit.pipeline.audit.report.audited import Audited, audit_set

HOSTILE = "<img src=x onerror=alert(1)> & \"'"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt; &amp; &#34;&#39;"


def written(template: str, **values: object) -> str:
    return environment().from_string(template).render(values)


def test_text_is_escaped_in_elements_and_attributes_and_what_macros_write_is_kept() -> None:
    assert written('<b title="{{ text }}">{{ text }}</b>', text=HOSTILE) == f'<b title="{ESCAPED}">{ESCAPED}</b>'
    chip = written('{% from "macros.html" import chip %}<p>{{ chip(text) }}{{ 3 }}</p>', text=HOSTILE)
    assert chip == f'<p><span class="chip {ESCAPED}">{ESCAPED}</span>3</p>'


def test_joining_and_replacing_escape_too() -> None:
    assert written('{{ words|join(" < ") }}', words=["a", "<i>"]) == "a &lt; &lt;i&gt;"
    assert written('{{ name|replace("_", "<") }}', name="a_<b>") == "a&lt;&lt;b&gt;"


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="nothing"):
        written("{{ nothing }}")


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\ud800"])
def test_characters_that_no_document_may_hold_are_replaced(character: str, audited: Audited) -> None:
    audit = audit_set(labeler=f"a{character}<b>", cycle="none")
    page = build_report(audited.root, audit, audited.summary, audited.gate).decode()
    assert page.count("a\ufffd&lt;b&gt;") == 4


def test_a_data_block_cannot_be_ended_from_within() -> None:
    document = {"text": "</script><script>alert(1)</script><!--", "more": "a&b\u2028'"}
    body = written("{{ document|tojson }}", document=document)
    assert not set("<>&\u2028'") & set(body)
    assert json.loads(body) == document
    with pytest.raises(ValueError, match="JSON"):
        written("{{ document|tojson }}", document={"rate": float("nan")})


def test_only_cards_style_and_script_are_taken_as_html() -> None:
    loader = environment().loader
    assert loader is not None
    sources = {name: loader.get_source(environment(), name)[0] for name in environment().list_templates()}
    unescaped = {(name, match[1]) for name, source in sources.items() for match in re.finditer(r"(\w+)\s*\|\s*safe", source)}
    assert unescaped == {("clips.html", "card"), ("page.html", "style"), ("page.html", "script")}
    assert not [name for name, source in sources.items() if "autoescape" in source]
