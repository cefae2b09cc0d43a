"""Diagnostics look and change nothing: not what is learned, not the time that training may take."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.logger import KVWriter, Logger

from smoothrl.diagnostics import Diagnostic


class Memory(KVWriter):
    """Keeps every log line."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.lines.append(dict(key_values))


def train(build: Any, name: str, *pieces: Any, budget: float = 1e9) -> tuple[Any, list[dict[str, Any]]]:
    agent, memory = build(name, *pieces, diagnostics_budget=budget), Memory()
    agent.set_logger(Logger(None, [memory]))
    # An on-policy agent collects a whole batch to hold, from several rollouts, before it measures.
    agent.learn(600 if hasattr(agent, "rollout_buffer") else 120, log_interval=1)
    return agent, memory.lines


def test_the_same_is_learned_with_and_without(agent_name: str, diagnostics: list[Diagnostic], build: Any) -> None:
    """Parameters, optimizers' moments and so every random draw are equal to the bit."""
    (with_them, lines), (without, _) = train(build, agent_name, *diagnostics), train(build, agent_name)
    a, b = with_them.policy.state_dict(), without.policy.state_dict()
    assert not [name for name in a if not torch.equal(a[name], b[name])]
    measured = {tag for line in lines for tag in line if tag.split("/")[0] in {"curvature", "drift", "network"}}
    assert {"curvature/lambda_max", "drift/relative"} <= measured


def test_gradients_of_the_parameters_are_left_alone(agent_name: str, diagnostics: list[Diagnostic], build: Any) -> None:
    agent, _ = train(build, agent_name, *diagnostics)
    before = {name: None if p.grad is None else p.grad.clone() for name, p in agent.policy.named_parameters()}
    agent._monitor._due = [0] * len(diagnostics)
    agent._monitor.record(agent)
    for name, p in agent.policy.named_parameters():
        assert p.grad is before[name] is None or torch.equal(p.grad, before[name]), name


def test_without_a_budget_nothing_is_measured(agent_name: str, diagnostics: list[Diagnostic], build: Any) -> None:
    _, lines = train(build, agent_name, *diagnostics, budget=0.0)
    first = {tag for line in lines for tag in line if tag.split("/")[0] in {"curvature", "drift"}}
    assert not first
    assert lines[-1]["time/diagnostics_put_off"] > 0


def test_the_share_of_time_is_logged(agent_name: str, diagnostics: list[Diagnostic], build: Any) -> None:
    _, lines = train(build, agent_name, *diagnostics)
    shares = [line["time/diagnostics_share"] for line in lines if "time/diagnostics_share" in line]
    assert shares
    assert all(0 < share < 1 for share in shares)
    assert lines[-1]["time/diagnostics_put_off"] == 0


def test_a_log_line_takes_no_rollout_twice(diagnostics: list[Diagnostic], build: Any) -> None:
    """A2C's rollouts are joined until they are enough; writing a log line in between adds none."""
    agent = build("a2c", *diagnostics).learn(300)
    taken = [samples.observations for samples in agent._rollouts._samples]
    assert sum(map(len, taken)) == 300
    agent.dump_logs()
    assert len(agent._rollouts._samples) == len(taken)
