"""What holds for every diagnostic: it reads and never changes, it is checked like a config, its tags are documented."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from smoothrl.diagnostics import Diagnostic, Gradients
from smoothrl.registry import load, names

METRICS = Path(__file__).parents[2] / "docs" / "metrics.md"
KINDS = ["curvature", "drift", "gradients", "lipschitz", "network", "policy"]
EACH = pytest.mark.parametrize("kind", KINDS)


def make(kind: str, **options: Any) -> Diagnostic:
    cls = load("diagnostic", kind)
    assert issubclass(cls, Diagnostic)
    return cls(**options)


def test_these_are_the_built_in_ones() -> None:
    assert [
        name for name in names("diagnostic") if load("diagnostic", name).__module__.startswith("smoothrl.")
    ] == KINDS


def trained(build: Any) -> Any:
    """With an optimizer that has second moments, gradients in .grad, and buffers."""
    probe = build(
        networks={"qf0": nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.BatchNorm1d(6), nn.Linear(6, 1)).double()}
    )
    probe.critic.networks["qf0"].eval()
    probe.critic_optimizer = torch.optim.Adam(probe.critic_parameters)
    probe.critic_loss().backward()
    probe.critic_optimizer.step()
    return probe


def snapshot(probe: Any) -> list[Any]:
    modules = [*probe.critic.networks.values(), probe.actor]
    tensors = [t for m in modules for t in (*m.parameters(), *m.buffers())]
    tensors += [p.grad for p in probe.critic_parameters]
    tensors += [t for state in probe.critic_optimizer.state.values() for t in state.values()]
    tensors += [probe.batch.observations, probe.batch.actions, probe.trajectory]
    flags = [t.requires_grad for t in tensors] + [p.grad is None for p in probe.actor.parameters()]
    modes = [sub.training for m in modules for sub in m.modules()]
    hooks = [len(sub._forward_hooks) for m in modules for sub in m.modules()]
    random = [torch.get_rng_state(), torch.tensor(np.random.get_state()[1].astype(np.int64))]
    return [[t.detach().clone() for t in tensors + random], flags, modes, hooks]


@EACH
def test_it_reads_and_never_changes(build: Any, kind: str) -> None:
    probe = trained(build)
    before = snapshot(probe)
    first = make(kind).measure(probe)
    after = snapshot(probe)
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    again = make(kind).measure(probe)
    assert {tag: value.item() for tag, value in first.items()} == {tag: value.item() for tag, value in again.items()}


@EACH
def test_values_are_detached_scalars_of_one_device(build: Any, kind: str) -> None:
    found = make(kind).measure(trained(build))
    assert found
    assert {(value.shape, value.requires_grad, value.device.type) for value in found.values()} == {((), False, "cpu")}


@EACH
def test_every_tag_is_documented(build: Any, kind: str) -> None:
    documented = re.findall(r"^\| `([^`]+)` \|", METRICS.read_text(), flags=re.MULTILINE)
    patterns = [re.compile(re.sub(r"<\w+>", r"[\\w.]+", tag)) for tag in documented]
    tags = {**make(kind).measure(build()), **make(kind).measure(trained(build))}
    missing = [tag for tag in tags if not any(p.fullmatch(tag) for p in patterns)]
    assert not missing


@EACH
@pytest.mark.parametrize("every", [0, -5, 1.5, "100", True])
def test_the_cadence_is_a_count_of_steps(kind: str, every: Any) -> None:
    assert make(kind, every=7).every == 7
    with pytest.raises(ValidationError, match="every"):
        make(kind, every=every)


@pytest.mark.parametrize(
    ("kind", "option"),
    [("curvature", {"max_iterations": 0}), ("curvature", {"tolerance": 0.0}), ("network", {"tau": -0.1}),
     ("network", {"tau": 1.0}), ("drift", {"power": 2})],
)  # fmt: skip
def test_options_out_of_range_are_refused(kind: str, option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(option))):
        make(kind, **option)


def test_gradient_norms_are_those_of_the_agents_steps(build: Any) -> None:
    """It passes on what the agent recorded, and is the one diagnostic that asks the agent to record."""
    probe = build()
    probe.norms = {"optim/grad_norm/critic": torch.tensor(3.0), "optim/grad_norm_clipped/critic": torch.tensor(0.5)}
    assert {tag: value.item() for tag, value in Gradients().measure(probe).items()} == {
        "optim/grad_norm/critic": 3.0,
        "optim/grad_norm_clipped/critic": 0.5,
    }
    assert [kind for kind in KINDS if make(kind).watches_steps] == ["gradients"]


@EACH
def test_a_config_is_checked_without_torch(kind: str) -> None:
    code = f"import sys, smoothrl.diagnostics.{kind}; print(*{{'torch', 'stable_baselines3'}} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
