"""The HParams page of TensorBoard: a table of variants, their settings beside their scores."""

from __future__ import annotations

import hashlib
import math
import re

from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2  # type: ignore[import-untyped]

from smoothrl.compare.output.sheets import SCORE, cell
from smoothrl.compare.result import Comparison, Metric, Statistic, VariantRow

SCORES: tuple[tuple[Metric, Statistic], ...] = (("final", "mean"), ("final", "iqm"), ("auc", "mean"))
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def scalar(tag: str, value: float) -> Summary:
    """One number at one step."""
    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def safe(name: str) -> str:
    """A name as one part of a path: as it is where it can be, else cleaned and with a digest, so that two differ."""
    if _SAFE.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:60].strip('_-')}-{digest}".lstrip("-")


class HParams:
    """One row per variant and task: its role, every setting in which variants differ, and its scores."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        paths = dict.fromkeys(path for variant in comparison.variants for path in variant.differences)
        self._columns = {cell(path): self._column(path) for path in paths}

    def experiment(self) -> Summary:
        """Which columns there are. Without it, TensorBoard shows every scalar of every run."""
        tasks, variants = self._comparison.tasks, self._comparison.variants
        tags = dict.fromkeys(tag for task in tasks for variant in variants for tag in self._scores(task, variant))
        kinds = {name: _kind(column) for name, column in self._columns.items()}
        text = dict.fromkeys(("task", "variant", "role"), api_pb2.DATA_TYPE_STRING)
        experiment = api_pb2.Experiment(
            hparam_infos=[
                api_pb2.HParamInfo(name=name, type=kind, differs=True) for name, kind in (text | kinds).items()
            ],
            metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in tags],
        )
        content = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(experiment=experiment))
        value = Summary.Value(tag=metadata.EXPERIMENT_TAG, metadata=content, tensor=metadata.NULL_TENSOR)
        return Summary(value=[value])

    def session(self, task: str, variant: VariantRow, now: float) -> Summary:
        """The settings of one row."""
        names = {"task": cell(task), "variant": cell(variant.name), "role": variant.role}
        settings = {name: column[variant.name] for name, column in self._columns.items()}
        return summary_v2.hparams_pb(names | settings, f"{cell(task)}/{cell(variant.name)}", now)

    def scores(self, task: str, variant: VariantRow) -> list[Summary]:
        """The numbers of one row, those that are known."""
        return [scalar(tag, value) for tag, value in self._scores(task, variant).items()]

    def _scores(self, task: str, variant: VariantRow) -> dict[str, float]:
        found = {
            f"{one.metric}/{one.statistic}": one.interval.value
            for one in self._comparison.estimates
            if (one.task, one.variant) == (task, variant.name) and (one.metric, one.statistic) in SCORES
        }
        for one in self._comparison.recoveries:
            if (one.task, one.variant, one.metric) == (task, variant.name, SCORE) and one.recovered is not None:
                found[f"recovered/{safe(one.smooth)}"] = one.recovered.value
        return {tag: value for tag, value in found.items() if math.isfinite(value)}

    def _column(self, path: str) -> dict[str, str | float]:
        """Variant -> its value; numbers if all are, so that TensorBoard sorts and scales them."""
        variants = self._comparison.variants
        baseline = next(row.differences[path][0] for row in variants if path in row.differences)
        texts = {row.name: row.differences.get(path, ("", baseline))[1] for row in variants}
        numbers = {name: _number(text) for name, text in texts.items()}
        known = {name: number for name, number in numbers.items() if number is not None}
        return dict(known) if len(known) == len(texts) else {name: cell(text) for name, text in texts.items()}


def _kind(column: dict[str, str | float]) -> api_pb2.DataType:
    is_number = all(isinstance(value, float) for value in column.values())
    return api_pb2.DATA_TYPE_FLOAT64 if is_number else api_pb2.DATA_TYPE_STRING


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
