"""HTML from Python: whatever is not Markup is text, and is escaped."""

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_VOID = frozenset({"meta", "input", "br", "img", "col"})
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Markup(str):
    """A string that is HTML already; made by the functions of this module alone."""

    __slots__ = ()


def escaped(text: object) -> Markup:
    """Text as HTML that shows exactly it; characters that no document may hold become U+FFFD."""
    return text if isinstance(text, Markup) else Markup(html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True))


def element(name: str, /, *children: object, **attributes: object) -> Markup:
    """One element with its children in order; None is left out.

    Args:
        attributes: `class_` stands for class, `_` for `-`; True gives a bare attribute, None and False none.
    """
    opening = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{joined(children)}</{name}>")


def joined(children: Iterable[object], between: str = "") -> Markup:
    """Children one after the other, with text between them."""
    return Markup(escaped(between).join(escaped(child) for child in children if child is not None))


def data_block(document: Mapping[str, Any], /, **attributes: object) -> Markup:
    """A document that the page's script reads. No text in it can end the block: `<`, `>` and `&` are written as JSON escapes."""
    text = json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"), sort_keys=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f'<script type="application/json"{opening}>{text}</script>')


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'
