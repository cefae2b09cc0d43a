"""How figures and names are written: numbers with as many digits as they deserve, text that hides nothing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

from smoothrl.compare.result import Interval
from smoothrl.training.summary import clock

MISSING = "–"
GROUP = "\u202f"
"""Between thousands: a thin space, because a comma would be read as the one between two ends of an interval."""


def visible(text: str) -> str:
    """The text with every character that hides, reorders or breaks other text written as its escape, `\\u202e`.

    Run names and notices come from folders and files of anyone: a name with a right-to-left override would otherwise
    turn around the sentence it stands in, and an unpaired surrogate could not be written to a file at all.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character not in "\n\t"
        else character
        for character in text
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number with this many significant digits; those before the point are all kept, whole numbers need no point."""
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size and not 1e-3 <= size < 1e9:
        return f"{value:.{digits - 2}e}".replace("-", "−")
    whole = float(value).is_integer()
    return _fixed(value, 0 if whole else max(0, digits - 1 - math.floor(math.log10(size))))


def typed(text: str) -> str:
    """Figures with the keys there are: terminals, Markdown and LaTeX want a plain minus, and digits to copy."""
    return text.replace("−", "-").replace(GROUP, "")


def ends(interval: Interval) -> tuple[str, str, str]:
    """Value, low and high, rounded alike: to the second digit of the interval's width, which is what is known."""
    width = interval.high - interval.low
    numbers = (interval.value, interval.low, interval.high)
    if not (math.isfinite(width) and width > 0 and 1e-5 <= width < 1e9):
        return number(numbers[0]), number(numbers[1]), number(numbers[2])
    decimals = max(0, 1 - math.floor(math.log10(width)))
    value, low, high = (_fixed(end, decimals) if math.isfinite(end) else number(end) for end in numbers)
    return value, low, high


def interval_text(interval: Interval | None) -> str:
    """`-147 [-160, -139]`, as many digits as are known; `–` for what cannot be known."""
    if interval is None:
        return MISSING
    value, low, high = map(typed, ends(interval))
    return value if {value, low, high} == {MISSING} else f"{value} [{low}, {high}]"


def probability(p: float) -> str:
    """A p value: three decimals, and never 0."""
    if math.isnan(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float | None) -> str:
    """A wall time as `1:02:03`."""
    return MISSING if seconds is None else clock(seconds)


def versions(packages: Mapping[str, str]) -> str:
    """`python 3.11.7, torch 2.13.0`."""
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}".replace(",", GROUP)
    return text.replace("-", "−") if float(f"{value:.{decimals}f}") else text.replace("-", "")
