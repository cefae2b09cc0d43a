"""How run folders of others are named, and what task, variant and seed follow from the name.

| Layout | Folder | Task | Variant | Seed |
|---|---|---|---|---|
| CleanRL | `{task}__{variant}__{seed}__{time}` | as named | as named | as named |
| rl-baselines3-zoo | `{variant}/{task}_{n}`, with a folder `{task}` in it | as named | the algorithm | n |
| SB3's `tensorboard_log` | `{task}/{variant}_{n}`, with SB3's tag `time/fps` | the folder's | as named | n |
| any other | whatever `--pattern` says | `{task}` | `{variant}` | `{seed}` |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from smoothrl.compare.runs import CompareError
from smoothrl.registry import did_you_mean

PLACEHOLDERS = ("task", "variant", "seed", "_")
ONE_TASK = "task"
"""What a task is called when a pattern does not say."""

_NUMBERED = re.compile(r"(?P<name>.+)_(?P<n>\d+)", re.ASCII)
_CLEANRL = re.compile(r"(?P<task>.+?)__(?P<variant>.+)__(?P<seed>\d+)__\d+", re.ASCII)
_NO_VARIANT = re.compile(r"(seed|run|trial|rep|exp|version)s?", re.IGNORECASE)
"""Before a number, these name no variant: a folder `seed_3` could lie in that of a task, or of a variant."""
_HEAD = 1 << 16


@dataclass(frozen=True)
class Identity:
    """Whose curve a folder holds; without a seed, it is to be counted."""

    task: str
    variant: str
    seed: str | None


Layout = Callable[[Path, Sequence[Path]], Identity | None]
"""(absolute folder, its event files) -> the identity, or None for a folder of another layout."""


def cleanrl(folder: Path, events: Sequence[Path]) -> Identity | None:
    """`runs/Hopper-v4__td3_continuous_action__1__1700000000`."""
    found = _CLEANRL.fullmatch(folder.name)
    return Identity(found["task"], found["variant"], found["seed"]) if found and events else None


def zoo(folder: Path, events: Sequence[Path]) -> Identity | None:
    """`logs/sac/Pendulum-v1_1`, in which a folder `Pendulum-v1` holds the arguments."""
    found = _NUMBERED.fullmatch(folder.name)
    if found is None or not (folder / found["name"]).is_dir():
        return None
    return Identity(found["name"], folder.parent.name, found["n"])


def sb3(folder: Path, events: Sequence[Path]) -> Identity | None:
    """`Pendulum-v1/SAC_1`: what `tensorboard_log="Pendulum-v1"` makes."""
    found = _NUMBERED.fullmatch(folder.name)
    if found is None or _NO_VARIANT.fullmatch(found["name"]) or not any(map(_is_of_sb3, events)):
        return None
    return Identity(folder.parent.name, found["name"], found["n"])


LAYOUTS: tuple[Layout, ...] = (cleanrl, zoo, sb3)


def identify(folder: Path, events: Sequence[Path]) -> Identity | None:
    """The first layout that knows the folder has the word."""
    found = (layout(folder, events) for layout in LAYOUTS)
    return next((identity for identity in found if identity is not None), None)


def _is_of_sb3(path: Path) -> bool:
    """Its first dump has the tag, whatever else is logged."""
    try:
        with path.open("rb") as file:
            return b"time/fps" in file.read(_HEAD)
    except OSError:
        return False


def compiled(pattern: str) -> Layout:
    """The layout that a pattern such as `{task}/{variant}/seed-{seed}` describes.

    It is matched with as many of the last parts of a path as it has itself. A placeholder stands for any text within
    one part, `{_}` for text that says nothing.

    Raises:
        CompareError: a placeholder is unknown, written twice or missing.
    """
    parts = [part for part in pattern.split("/") if part]
    names = re.findall(r"\{([^{}]*)\}", pattern)
    for name in names:
        if name not in PLACEHOLDERS:
            raise CompareError(
                f"--pattern {pattern}: unknown placeholder `{{{name}}}`{did_you_mean(name, PLACEHOLDERS)}"
            )
        if name != "_" and names.count(name) > 1:
            raise CompareError(f"--pattern {pattern}: `{{{name}}}` stands there more than once")
    if "variant" not in names:
        raise CompareError(f"--pattern {pattern}: `{{variant}}` is missing, and there is nothing to compare without")
    expression = re.compile("/".join(re.sub(r"\\\{(\w+)\\\}", _group, re.escape(part)) for part in parts), re.DOTALL)

    def match(folder: Path, events: Sequence[Path]) -> Identity | None:
        found = expression.fullmatch("/".join(folder.parts[-len(parts) :]))
        if found is None:
            return None
        named = found.groupdict()
        return Identity(named.get("task", ONE_TASK), named["variant"], named.get("seed"))

    return match


def _group(found: re.Match[str]) -> str:
    return "[^/]*" if found[1] == "_" else f"(?P<{found[1]}>[^/]+)"


def proposed(folder: Path) -> str:
    """A pattern that may be what a folder's path means."""
    number = re.search(r"\d+$", folder.name)
    last = f"{folder.name[: number.start()]}{{seed}}" if number else "{variant}"
    above = "{task}/{variant}" if number else "{task}"
    return f"{above}/{last}"
