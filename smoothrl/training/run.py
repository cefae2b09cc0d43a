"""The `train` verb: one config becomes one run folder."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from smoothrl.config import RunConfig, to_yaml
from smoothrl.training.durable import commit, commit_text
from smoothrl.training.folder import CHECKPOINTS, CONFIG, PROGRESS, claim, default_folder, require_free
from smoothrl.training.record import RunRecord, Status
from smoothrl.training.signals import StopSignals
from smoothrl.training.summary import Outcome, opening, summary

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


def train(
    config: RunConfig, out: Path | None = None, fresh: bool = False, plain: bool = False, report: bool = False
) -> int:
    """Train one agent as the config says, into one run folder.

    Args:
        config: the run.
        out: the run folder; `runs/<study>/<task>/<variant>/seed-<k>` when left out.
        fresh: move a run that is already there aside.
        plain: lines instead of a progress bar.
        report: `progress.json` in the run folder instead of either, for another process to read.

    Returns:
        The exit code: 0; 130 or 143 after SIGINT or SIGTERM, with the agent saved; 1 when the training diverged.

    Raises:
        RunError: the run is refused; nothing was written.
    """
    folder = default_folder(config) if out is None else out
    with StopSignals() as stop, ExitStack() as resources:
        require_free(folder, fresh)
        from smoothrl.training import build  # brings torch, and so comes after a refusal

        build.prepare(config)
        env = resources.enter_context(closing(build.vec_env(config)))
        agent = build.agent(config, env)
        if stop.received:
            return stop.exit_code
        resources.enter_context(claim(folder, fresh))
        record = RunRecord(folder, config, str(agent.device))
        try:
            commit_text(folder / CONFIG, to_yaml(config))
            print(opening(folder, config), file=sys.stderr)
            outcome = _run(config, agent, folder, stop, plain, folder / PROGRESS if report else None)
        except BaseException as error:
            record.end("failed", timesteps=agent.num_timesteps, error=f"{type(error).__name__}: {error}")
            raise
        final = outcome.final_evaluation
        record.end(
            outcome.status,
            timesteps=outcome.timesteps,
            wall_time_s=round(outcome.wall_time_s, 3),
            final_evaluation=final and final.as_record(),
            error=outcome.error,
        )
        print(summary(outcome, folder, config), file=sys.stderr if outcome.error else sys.stdout)
        return 1 if outcome.status == "diverged" else stop.exit_code


def _run(
    config: RunConfig, agent: BaseAlgorithm, folder: Path, stop: StopSignals, plain: bool, report: Path | None
) -> Outcome:
    """Learn, save, and evaluate what was learned."""
    from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat

    from smoothrl.training.evaluation import Evaluator
    from smoothrl.training.loop import RunCallback
    from smoothrl.training.progress import ProgressReport

    with ExitStack() as resources:
        events = resources.enter_context(closing(TensorBoardOutputFormat(str(folder))))
        agent.set_logger(Logger(str(folder), [events]))
        evaluator = None
        if config.evaluation.every:
            # With a logger of its own: writing an evaluation must not cut a logging interval in two.
            evaluator = Evaluator(config, agent, folder, Logger(str(folder), [events]), stop)
            resources.enter_context(closing(evaluator))

        status: Status
        error = final = None
        started = time.perf_counter()
        try:
            with ProgressReport(config.total_timesteps, plain, report) as progress:
                callback = RunCallback(config, stop, progress, evaluator)
                agent.learn(config.total_timesteps, callback, log_interval=None)  # type: ignore[arg-type]
            agent.dump_logs()  # the last interval
            status = "interrupted" if stop.received else "finished"
        except Exception as cause:
            error = _divergence(agent, cause)
            if error is None:
                raise
            status = "diverged"
            agent.logger.dump(agent.num_timesteps)
        wall_time = time.perf_counter() - started

        checkpoint = _save(agent, folder / CHECKPOINTS, "final" if status == "finished" else status)
        if status == "finished" and evaluator:
            final = evaluator()
            status = "finished" if final else "interrupted"
        return Outcome(status, agent.num_timesteps, wall_time, checkpoint, final, error)


def _divergence(agent: BaseAlgorithm, cause: Exception) -> str | None:
    """What is no longer finite and since when; None if the exception has nothing to do with that.

    Our agents say so themselves. But NaN weights may break something first, such as a distribution or the simulator.
    """
    import torch

    if isinstance(cause, FloatingPointError):
        return str(cause)
    for name, weights in agent.policy.named_parameters():
        if not torch.isfinite(weights).all():
            return f"parameter {name} is not finite at environment step {agent.num_timesteps}: training diverged"
    return None


def _save(agent: BaseAlgorithm, folder: Path, name: str) -> Path:
    """The agent as SB3 saves it, and beside it the statistics its observations are normalized with."""
    from smoothrl.training.normalization import save_normalization

    folder.mkdir()
    checkpoint = folder / f"{name}.zip"
    commit(checkpoint, agent.save)
    normalized = agent.get_vec_normalize_env()
    if normalized is not None:
        save_normalization(normalized, checkpoint.with_suffix(".vecnormalize.json"))
    return checkpoint
