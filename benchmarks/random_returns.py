"""The mean return of uniformly random actions on every installed task: the lower score bounds of `smoothrl/suites/`.

    python benchmarks/random_returns.py [TASK ...] [--episodes 100]

Episode k starts from seed k, and its actions are drawn from a generator with the same seed.
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np

from smoothrl import suites


def random_return(env: gym.Env, seed: int) -> float:
    """The return of one episode of random actions."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    total, over = 0.0, False
    while not over:
        _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        total, over = total + float(reward), terminated or truncated
    return total


def main() -> None:
    """Print a line per task: mean, standard error, and the bounds that smoothrl has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", help="all when left out")
    parser.add_argument("--episodes", type=int, default=100)
    arguments = parser.parse_args()
    episodes = arguments.episodes
    for task in suites.tasks():
        if task.installed and (not arguments.tasks or task.id in arguments.tasks):
            with gym.make(task.id) as env:
                returns = [random_return(env, seed) for seed in range(episodes)]
            error = np.std(returns, ddof=1) / np.sqrt(episodes)
            print(f"{task.id:<26} {np.mean(returns):10.2f} ± {error:8.2f}   bounds {task.bounds}", flush=True)


if __name__ == "__main__":
    main()
