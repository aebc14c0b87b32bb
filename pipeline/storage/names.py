"""Names of files as text that any table can hold, and back: a file system's names are bytes, and need not be UTF-8.

Inside the storage room, and wherever a file is opened, names are Python's own (`os.fsdecode`: a byte that is no UTF-8 is a lone
surrogate). What is recorded (manifests, plans, records, messages) is the escaped name.
"""

import re

_LOOKALIKE = re.compile(r"%(?=(?:25)*[89A-F][0-9A-F])")  # in a real name: would be read as an escape
_ESCAPE = re.compile(r"%((?:25)*)([89A-F][0-9A-F])")
_RAW_BYTE = re.compile("[\udc80-\udcff]")


def escape_name(name: str) -> str:
    """A file's name as valid Unicode: a byte that is no UTF-8 becomes `%` and its two hex digits (`caf%E9.mp4`).

    A name that really holds `%E9` gets `%25E9`, one that holds `%25E9` gets `%2525E9`, so that no two names become one. All
    other names, also those with `%` before anything but two upper-case hex digits from 80 to FF, stay as they are.
    """
    return _RAW_BYTE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", _LOOKALIKE.sub("%25", name))


def unescape_name(name: str) -> str:
    """The name that `escape_name` was given: what to open. The identity for names without escapes."""
    return _ESCAPE.sub(lambda found: f"%{found[1][2:]}{found[2]}" if found[1] else chr(0xDC00 + int(found[2], 16)), name)
