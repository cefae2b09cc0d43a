"""Write the frozen references beside this file. How to run it, and with which versions: README.md."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rliable import library, metrics
from statsmodels.stats.multitest import multipletests

HERE = Path(__file__).parent
TAU = [-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5]
P_VALUES = [[0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.2], [0.6, 0.9, 0.001], [0.05], [0.012, 0.012, 0.5, 0.0, 1.0, 0.024]]


def scores(runs: int, tasks: int, seed: int) -> np.ndarray:
    """(runs, tasks): spread and skew differ between tasks; rounded, so that some scores are equal."""
    generator = np.random.default_rng(seed)
    return np.round(generator.gamma(2.0, 0.4, size=(runs, tasks)) * np.linspace(0.5, 1.5, tasks) - 0.2, 2)


def figures(runs: int, tasks: int, seed: int) -> dict:
    first, second = scores(runs, tasks, seed), np.round(scores(runs, tasks, seed + 1) + 0.05, 2)
    profile, _ = library.create_performance_profile({"first": first}, TAU, reps=2)
    return {
        "first": first.T.tolist(),
        "second": second.T.tolist(),
        "mean": metrics.aggregate_mean(first),
        "median": metrics.aggregate_median(first),
        "iqm": metrics.aggregate_iqm(first),
        "optimality_gap": metrics.aggregate_optimality_gap(first),
        "profile": profile["first"].tolist(),
        "probability_of_improvement": metrics.probability_of_improvement(first, second),
    }


def write(name: str, packages: list[str], content: dict) -> None:
    made_with = {package: version(package) for package in packages}
    (HERE / name).write_text(json.dumps({"made_with": made_with, **content}, indent=1) + "\n")


if __name__ == "__main__":
    shapes = [(5, 1), (10, 1), (10, 6), (7, 3), (3, 26), (20, 6)]
    studies = [figures(runs, tasks, seed) for seed, (runs, tasks) in enumerate(shapes)]
    write("aggregates.json", ["rliable", "numpy", "scipy"], {"tau": TAU, "studies": studies})
    corrected = [{"p": p, "holm": multipletests(p, method="holm")[1].tolist()} for p in P_VALUES]
    write("holm.json", ["statsmodels"], {"families": corrected})
