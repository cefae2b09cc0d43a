"""The event files of one run, joined to curves with one value per step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothrl.compare.reading.events import Events
from smoothrl.compare.runs import Curve, Floats, Ints

EPISODES = ("charts/episodic_return", "charts/episodic_length", "rollout/episodic_return", "rollout/episodic_length")
"""Tags with a point per episode. Several environments may end one at the same step: then their mean is the value."""


def joined(files: Sequence[tuple[str, Events]]) -> tuple[dict[str, Curve], tuple[str, ...]]:
    """The curves of a run, and what was odd about its files.

    A later file replaces what earlier ones have from its beginning on: all tags where it says that it is a restart,
    otherwise each tag that it has, from its own first step. So a run that went on from a checkpoint loses what it did
    after that checkpoint before, and one that began anew loses everything; nothing is lost of one that just went on.

    Args:
        files: names and contents, in any order.
    """
    parts: dict[str, list[tuple[Ints, Floats]]] = {}
    notices: list[str] = []
    for name, events in sorted(files, key=lambda file: (file[1].began, file[0])):
        notices += events.notices
        begins: dict[str, float] = {} if events.restarts_at is None else dict.fromkeys(parts, events.restarts_at)
        for tag, at in events.items():
            begins[tag] = min(begins.get(tag, np.inf), int(events.steps[at].min()))
        again, lost = float(np.inf), 0
        for tag, step in begins.items():
            kept = [(steps[steps < step], values[steps < step]) for steps, values in parts.get(tag, [])]
            fewer = sum(len(steps) for steps, _ in parts.get(tag, [])) - sum(len(steps) for steps, _ in kept)
            if fewer:
                parts[tag], lost, again = kept, lost + fewer, min(again, step)
        if lost:
            notices.append(
                f"{len(files)} event files, and {name} starts again at step {again:,}: "
                f"{lost:,} points that earlier ones have from there on are left out"
            )
        for tag, at in events.items():
            parts.setdefault(tag, []).append((events.steps[at], events.values[at]))
    curves = {
        tag: curve(tag, np.concatenate([steps for steps, _ in found]), np.concatenate([values for _, values in found]))
        for tag, found in parts.items()
    }
    return {tag: found for tag, found in curves.items() if len(found.steps)}, tuple(notices)


def curve(tag: str, steps: Ints, values: Floats) -> Curve:
    """Points in the order they were written as a curve: of those at one step the last counts, or the mean of EPISODES.

    Args:
        tag: what they are points of.
        steps: (points,) in any order.
        values: (points,).
    """
    if np.all(steps[1:] > steps[:-1]):
        return Curve(steps, values)
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    last = np.append(steps[1:] != steps[:-1], True)
    if tag not in EPISODES:
        return Curve(steps[last], values[last])
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    return Curve(steps[last], np.add.reduceat(values, starts) / (ends - starts + 1))
