"""One color per variant, the same in figures and on the page, and told apart by color-blind readers.

Source: Okabe and Ito, Color Universal Design, 2008. The order is ours: first the colors with most contrast on white.
Their black is a gray here, which shows on a dark page too, and their yellow is darker, to show on white.
"""

from __future__ import annotations

COLORS: tuple[str, ...] = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#767676",  # gray
    "#B5A900",  # dark yellow
)


def color(index: int) -> str:
    """The color of the variant at this place in `Comparison.variants`; from the ninth on colors come again."""
    return COLORS[index % len(COLORS)]
