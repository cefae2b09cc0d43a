"""The hyper-parameters of foreign runs, where they stand in plain text."""

from __future__ import annotations


def cleanrl_config(text: str) -> dict[str, str] | None:
    """CleanRL's table of arguments, `|name|value|` in Markdown; None for any other text. Values stay text."""
    rows = [line.strip().removeprefix("|").removesuffix("|").split("|", 1) for line in text.splitlines()]
    if rows[:2] != [["param", "value"], ["-", "-"]]:
        return None
    return {row[0]: row[1] for row in rows[2:] if len(row) == 2}
