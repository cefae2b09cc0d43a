"""How fast a study is: `python benchmarks/study_speed.py`.

The same short SAC runs in two ways, which take turns: as a study, one process and one thread each, as many at a time as
there are cores; and one after another with stock SB3 and its default threads, as a loop in a shell starts them. And the
time that the driver of a study adds to one run, over the same run by hand.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stable_baselines3 as sb3
import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from smoothrl.training.record import cpu_model

STOCK = """
import sys
import stable_baselines3
agent = stable_baselines3.SAC("MlpPolicy", "Pendulum-v1", learning_rate=1e-3, seed=int(sys.argv[1]))
agent.learn(int(sys.argv[2])).save(sys.argv[3])
"""
STUDY = """
study: speed
total_timesteps: {steps}
env: {{id: Pendulum-v1}}
agent: {{kind: sac, learning_rate: 1e-3}}
evaluation: {{every: 0}}
diagnostics: []
variants: {{plain: {{}}}}
seeds: {runs}
"""
SMOOTHRL = [sys.executable, "-c", "from smoothrl.cli import main; main()"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of a study beside a loop over stock SB3.")
    parser.add_argument("--turns", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--steps", type=int, default=500, help="environment steps of each run")
    parser.add_argument("--tiny", type=int, default=6, help="runs of a few steps that the overhead is told from")
    asked = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=2 * asked.turns)
        ratios, seconds = [], {"study": [], "loop": []}
        for turn in range(asked.turns):
            folder = Path(scratch) / str(turn)
            ways = {"study": as_a_study, "loop": in_a_loop}
            for name in list(ways)[:: 1 if turn % 2 else -1]:
                (folder / name).mkdir(parents=True)
                seconds[name].append(ways[name](folder / name, asked.runs, asked.steps))
                progress.advance(task)
            ratios.append(seconds["loop"][-1] / seconds["study"][-1])
        added = overhead(Path(scratch), asked.tiny)

    table = Table(title=f"{asked.runs} SAC runs of {asked.steps} steps on {os.cpu_count()} cores, {asked.turns} turns")
    for column in ("", "seconds"):
        table.add_column(column, justify="right")
    table.add_row("stock SB3, one after another, default threads", f"{statistics.median(seconds['loop']):.1f}")
    table.add_row("smoothrl study run", f"{statistics.median(seconds['study']):.1f}")
    console.print(table)
    console.print(f"the study is {statistics.median(ratios):.2f}x faster ({min(ratios):.2f} to {max(ratios):.2f})")
    console.print(f"a run takes {added:+.2f} s in a study over the same run by hand")
    console.print(
        f"{cpu_model()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"stable-baselines3 {sb3.__version__}"
    )


def as_a_study(folder: Path, runs: int, steps: int, workers: int | None = None) -> float:
    """Seconds of `smoothrl study run`, from the call to its last word."""
    (folder / "speed.yaml").write_text(STUDY.format(runs=runs, steps=steps))
    limit = [] if workers is None else ["--workers", str(workers)]
    return timed([*SMOOTHRL, "study", "run", "speed.yaml", "--plain", *limit], folder)


def in_a_loop(folder: Path, runs: int, steps: int) -> float:
    """Seconds of one process after another."""
    (folder / "stock.py").write_text(STOCK)
    return sum(
        timed([sys.executable, "stock.py", str(seed), str(steps), f"agent-{seed}"], folder) for seed in range(runs)
    )


def overhead(scratch: Path, runs: int) -> float:
    """Seconds that a run takes longer in a study than by hand: runs of a few steps, one at a time, and the time of a
    study without any run taken off."""
    folder = scratch / "overhead"
    folder.mkdir()
    together = as_a_study(folder, runs, 10, workers=1)
    again = as_a_study(folder, runs, 10, workers=1)  # nothing left to run
    by_hand = [
        timed([*SMOOTHRL, "train", f"runs/speed/Pendulum-v1/plain/seed-{seed}/config.yaml", "--plain", "--out",
               f"by-hand-{seed}"], folder)
        for seed in range(runs)
    ]  # fmt: skip
    return (together - again) / runs - statistics.mean(by_hand)


def timed(command: list[str], folder: Path) -> float:
    """Seconds of a command, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
