"""Inside an update nothing waits for the device: no operation hands a tensor's value to Python.

Seen where torch dispatches its operations, and so also inside torch and SB3, on a machine without any accelerator.
"""

from __future__ import annotations

import traceback
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = {"_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select", "unique", "_unique2", "_to_copy"}
ELSEWHERE = ("torch/optim/",)  # step counters, which stay on the host


class Waits(TorchDispatchMode):
    """Notes every operation that would wait, with the line that called it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITS and not (name == "_to_copy" and _is_cast(args[0], **(kwargs or {}))):
            files = [frame.f_code.co_filename for frame, _ in traceback.walk_stack(None)]
            if not any(part in file for file in files for part in ELSEWHERE):
                self.found.add(f"{name} below {next((file for file in files if '/site-packages/' not in file), '')}")
        return func(*args, **(kwargs or {}))


def _is_cast(x: torch.Tensor, dtype: torch.dtype | None = None, device: Any = None, **_: Any) -> bool:
    """A copy to another type stays on its device: `type_as` names the device too."""
    return device is None or dtype not in (None, x.dtype)


def test_updates_do_not_wait(case: Any) -> None:
    agent, waits = case.build(), Waits()
    update, updates = agent.update, []

    def watched(batch: Any) -> Any:
        with waits:
            updates.append(update(batch))
        return updates[-1]

    agent.update = watched
    agent.learn(case.steps)
    assert len(updates) >= 20
    assert not waits.found


def test_the_watch_sees_a_wait() -> None:
    waits = Waits()
    with waits:
        bool(torch.ones(3).sum() > 2)
    assert len(waits.found) == 1
