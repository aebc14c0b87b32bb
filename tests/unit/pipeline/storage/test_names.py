import os

import pytest

from pipeline.storage import escape_name, unescape_name

ODD = [
    b"caf\xe9.mp4",
    b"caf%E9.mp4",
    b"caf%25E9.mp4",
    b"caf%2525E9.mp4",
    b"%\xe9%E9%25.mp4",
    b"%25\xff",
    b"a%20b%25.mp4",
    "é😀\n'\"#?".encode(),
]


def test_a_byte_that_is_no_utf8_is_its_hex_digits_and_a_name_that_holds_those_is_another():
    assert escape_name(os.fsdecode(b"caf\xe9.mp4")) == "caf%E9.mp4"
    assert escape_name("caf%E9.mp4") == "caf%25E9.mp4"
    assert escape_name("caf%25E9.mp4") == "caf%2525E9.mp4"


@pytest.mark.parametrize("name", ["a%20b.mp4", "100%.mp4", "a%25b.mp4", "%e9.mp4", "caf\u00e9.mp4", "-\n#?😀..mp4", "x" * 255])
def test_every_other_name_stays_as_it_is(name):
    assert escape_name(name) == name == unescape_name(name)


def test_escaped_names_are_unicode_all_different_and_lead_back_to_the_bytes():
    escaped = [escape_name(os.fsdecode(name)) for name in ODD]
    assert len({name.encode() for name in escaped}) == len(ODD)
    assert [os.fsencode(unescape_name(name)) for name in escaped] == ODD
