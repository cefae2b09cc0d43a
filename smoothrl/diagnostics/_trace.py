"""What a network's modules compute in one forward pass, in order, whatever code calls them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from torch import nn

from smoothrl.linalg.operators import LAYERS


@dataclass(frozen=True)
class Call:
    """One call of a module, with what it received first and what it returned, hooks included."""

    module: nn.Module
    input: Any
    output: Any


def trace(modules: Iterable[nn.Module], run: Callable[[], object]) -> list[Call]:
    """The calls of these modules while `run` runs, in the order in which they returned."""
    calls: list[Call] = []

    def record(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        calls.append(Call(module, args[0] if args else None, output))

    hooks = [module.register_forward_hook(record) for module in dict.fromkeys(modules)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def steps_of(part: nn.Module) -> Iterator[nn.Module]:
    """Its Linear and Conv layers, and its modules without children: what computes, without the containers."""
    if isinstance(part, LAYERS) or next(part.children(), None) is None:
        yield part
        return
    for child in part.children():
        yield from steps_of(child)


def chain(part: nn.Module, run: Callable[[], object]) -> list[nn.Module] | None:
    """The modules through which `part` passes its input, each receiving the very tensor that the one before returned.

    Args:
        run: makes a forward pass through it.

    Returns:
        None if it is no such chain: something happens between its modules, or it does not run.
    """
    calls = trace([*steps_of(part), part], run)
    inner = list(takewhile(lambda call: call.module is not part, calls))
    if len(inner) == len(calls):
        return None
    whole = calls[len(inner)]
    if not inner:  # a single layer, or a container of nothing
        return [part] if part in steps_of(part) else None
    x = whole.input
    for call in inner:
        if call.input is not x:
            return None
        x = call.output
    return [call.module for call in inner] if x is whole.output else None
