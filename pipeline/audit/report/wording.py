"""Numbers as a reader wants them: grouped, rounded, with their units."""

import math


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 clip`, `1,234 clips`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def percent(part: float, whole: float) -> str:
    """`12.5 %`; a dash of nothing."""
    return percentage(part / whole) if whole else "–"


def percentage(share: float) -> str:
    """A share as `12.5 %`, with a digit more below one percent; what is not known as a dash."""
    if not math.isfinite(share):
        return "–"
    value = 100 * share
    return f"{value:.0f} %" if value in (0, 100) else f"{value:.2f} %" if abs(value) < 1 else f"{value:.1f} %"


def counted_share(part: int, whole: int) -> str:
    """`25 (12.5 %)`: a percentage never stands without its count."""
    return f"{part:,} ({percent(part, whole)})"


def duration(seconds: float) -> str:
    """`12.3 s`, `4.5 min`, `6.7 h`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def figure(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, without an exponent; what is not known as a dash."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(places, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def large(number: int) -> str:
    """`1,234`, `12.3 million`, `4.5 billion`."""
    for size, name in ((1_000_000_000, "billion"), (1_000_000, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,}"


def size(num_bytes: int) -> str:
    """`12.3 kB`, `4.5 MB`."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:.1f} kB"
