"""What a variant is, from its config or from what the user says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smoothrl.compare.roles import counterpart, rows
from smoothrl.compare.runs import CompareError, Run

SMOOTH = {"critic_regularizers": [{"kind": "spectral_norm", "layers": [-2]}], "optimizer_adaptations": []}
PLAIN: dict[str, Any] = {"critic_regularizers": [], "optimizer_adaptations": []}
ADAPTED = {"critic_regularizers": [], "optimizer_adaptations": [{"kind": "div_grad"}]}


def run(variant: str, config: dict[str, Any] | None = None, **fields: Any) -> Run:
    return Run(Path(variant), "task", variant, "0", {}, config=config, **fields)


def roles(*runs: Run, **named: Any) -> dict[str, str]:
    return {row.name: row.role for row in rows(runs, **named)}


def test_configs_say_what_variants_are() -> None:
    both = SMOOTH | {"optimizer_adaptations": ADAPTED["optimizer_adaptations"]}
    found = roles(run("sn", SMOOTH), run("twin", PLAIN), run("plain", PLAIN), run("dg", ADAPTED), run("all", both))
    assert list(found) == ["plain", "sn", "twin", "dg", "all"]  # the baseline first, then as they come
    assert found == {"plain": "baseline", "sn": "smooth", "twin": "control", "dg": "adapted", "all": "both"}


def test_a_baseline_without_an_obvious_name_is_the_first_plain_one() -> None:
    assert roles(run("sn", SMOOTH), run("b", PLAIN), run("a", PLAIN))["b"] == "baseline"


def test_the_user_can_say_it_all() -> None:
    found = roles(run("x"), run("y"), run("z"), baseline="z", smooth=["x"])
    assert found == {"z": "baseline", "x": "smooth", "y": "adapted"}
    assert roles(run("plain"), run("y")) == {"plain": "baseline", "y": "control"}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"baseline": "plian"}, "--baseline plian: no such variant, did you mean `plain`? Valid names: plain, sn"),
        ({"smooth": ["nothing"]}, "--smooth nothing: no such variant. Valid names: plain, sn"),
        ({"baseline": "sn", "smooth": ["sn"]}, "--smooth sn: is the baseline; name another variant"),
    ],
)
def test_unknown_names_are_refused(named: dict[str, Any], said: str) -> None:
    with pytest.raises(CompareError) as error:
        rows([run("plain", PLAIN), run("sn", SMOOTH)], **named)
    assert str(error.value) == said


def test_differences_are_those_of_the_configs() -> None:
    plain = PLAIN | {"seed": 0, "agent": {"kind": "sac", "eps": 1e-8}}
    adapted = ADAPTED | {"seed": 1, "agent": {"kind": "sac", "eps": 3e-4, "layers": [-1, -2]}}
    _, row = rows([run("plain", plain), run("dg", adapted)])
    assert row.differences == {
        "agent.eps": ("1e-08", "0.0003"),
        "agent.layers[0]": ("", "-1"),
        "agent.layers[1]": ("", "-2"),
        "optimizer_adaptations[0].kind": ("", "div_grad"),
    }


class TestGrid:
    """Every point of a grid is held against the point of the other variant with the same settings."""

    RUNS = tuple(
        run(f"{group}_{rate}", config, group=group, settings={"agent.learning_rate": rate})
        for group, config in (("plain", PLAIN), ("spectral", SMOOTH))
        for rate in (1e-3, 1e-2)
    )

    def test_all_points_of_the_baseline_are_baselines(self) -> None:
        for found in (roles(*self.RUNS), roles(*self.RUNS, baseline="plain", smooth=["spectral"])):
            assert list(found.values()) == ["baseline", "baseline", "smooth", "smooth"]
        assert roles(*self.RUNS, baseline="spectral")["spectral_0.001"] == "baseline"

    def test_counterparts(self) -> None:
        variants = rows(self.RUNS)
        found = {row.name: counterpart(row, "plain_0.001", variants) for row in variants}
        assert found["spectral_0.001"] == "plain_0.001"
        assert found["spectral_0.01"] == "plain_0.01"

    def test_an_axis_that_only_one_has_gives_no_counterpart(self) -> None:
        alone = run("dal", ADAPTED, group="dal", settings={"optimizer_adaptations[0].power": 1})
        variants = rows([*self.RUNS, alone])
        assert counterpart(variants[-1], "plain_0.001", variants) is None
