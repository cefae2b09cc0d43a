"""Summary runs are read back by TensorBoard's own reader; TensorBoard itself is started and stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata

from smoothrl.compare.output import tensorboard
from smoothrl.compare.output.hparams import safe
from smoothrl.compare.output.tensorboard import serve, write_summaries
from smoothrl.compare.result import Comparison
from smoothrl.compare.runs import CompareError


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return found


def layout(summary: Path) -> layout_pb2.Layout:
    (event,) = read(summary).Tensors("custom_scalars__config__")
    return layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])


def test_each_variant_and_task_is_a_run_with_three_curves(comparison: Comparison, tmp_path: Path) -> None:
    summary = write_summaries(comparison, tmp_path)
    assert summary == tmp_path / "summary"
    band = next(band for band in comparison.bands if (band.task, band.variant) == ("Hopper-v5", "mul-eps"))
    found = read(summary / "Hopper-v5" / "mul-eps")
    for end, values in (("mean", band.mean), ("lower", band.low), ("upper", band.high)):
        points = found.Scalars(f"Hopper-v5/eval/mean_reward/{end}")
        np.testing.assert_array_equal([point.step for point in points], band.steps)
        np.testing.assert_array_equal([point.value for point in points], values.astype(np.float32))
    runs = {path.parent.relative_to(summary) for path in summary.rglob("events.out.tfevents.*")}
    assert runs == {Path(), *(Path(task, row.name) for task in comparison.tasks for row in comparison.variants)}


def test_the_layout_has_a_margin_chart_per_task_with_tags_that_exist(comparison: Comparison, tmp_path: Path) -> None:
    summary = write_summaries(comparison, tmp_path)
    found = layout(summary)
    assert [category.title for category in found.category] == [
        "eval/mean_reward", "smoothness/lipschitz_lower_obs", "drift/relative",
    ]  # fmt: skip
    assert [category.closed for category in found.category] == [False, True, True]
    for category in found.category:
        assert [chart.title for chart in category.chart] == list(comparison.tasks)
        for chart in category.chart:
            (series,) = chart.margin.series
            tags = set(read(summary / chart.title / "plain").Tags()["scalars"])
            assert {series.value, series.lower, series.upper} <= tags


def test_the_table_has_roles_settings_and_scores(comparison: Comparison, tmp_path: Path) -> None:
    summary = write_summaries(comparison, tmp_path)
    content = read(summary).SummaryMetadata("_hparams_/experiment").plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    path = "agent.critic_optimizer_kwargs.eps"
    assert {info.name for info in experiment.hparam_infos} == {
        "task", "variant", "role", "optimizer_adaptations[0].kind", path,
    }  # fmt: skip
    tags = {info.name.tag for info in experiment.metric_infos}
    assert tags == {"final/mean", "final/iqm", "auc/mean", "recovered/spectral"}

    def session(variant: str) -> tuple[str, float, str]:
        found = read(summary / "Pendulum-v1" / variant).SummaryMetadata("_hparams_/session_start_info")
        row = metadata.parse_session_start_info_plugin_data(found.plugin_data.content).hparams
        return row["role"].string_value, row[path].number_value, row["optimizer_adaptations[0].kind"].string_value

    assert session("plain") == ("baseline", 1e-8, "")  # the baseline's own value, which only the others name
    assert session("mul-eps") == ("adapted", 3.125e-4, "mul-eps")
    recovered = next(
        one for one in comparison.recoveries
        if (one.task, one.metric, one.smooth, one.variant) == ("Pendulum-v1", "final", "spectral", "dal")
    ).recovered  # fmt: skip
    assert recovered is not None
    (point,) = read(summary / "Pendulum-v1" / "dal").Scalars("recovered/spectral")
    assert point.value == np.float32(recovered.value)
    assert not tags & set(read(summary / "Pendulum-v1" / "plain").Tags()["scalars"]) - {
        "final/mean", "final/iqm", "auc/mean",
    }  # fmt: skip


def test_a_column_is_of_numbers_only_if_all_are(comparison: Comparison, tmp_path: Path) -> None:
    plain, first, *others = comparison.variants
    mixed = replace(first, differences={"a": ("1", "auto"), "b": ("1", "2e3"), "c": ("true", ".nan")})
    summary = write_summaries(replace(comparison, variants=(plain, mixed, *others)), tmp_path)
    found = read(summary / "Hopper-v5" / "spectral").SummaryMetadata("_hparams_/session_start_info")
    row = metadata.parse_session_start_info_plugin_data(found.plugin_data.content).hparams
    assert (row["a"].string_value, row["b"].number_value, row["c"].string_value) == ("auto", 2000.0, ".nan")


def test_points_that_are_not_known_are_left_out(comparison: Comparison, tmp_path: Path) -> None:
    first, *others = comparison.bands
    low = first.low.copy()
    low[[0, 3]] = np.nan, -np.inf
    summary = write_summaries(replace(comparison, bands=(replace(first, low=low), *others)), tmp_path)
    points = read(summary / first.task / first.variant).Scalars(f"{first.task}/eval/mean_reward/mean")
    assert [point.step for point in points] == [step for i, step in enumerate(first.steps) if i not in (0, 3)]


def test_written_again_the_old_is_gone(
    comparison: Comparison, make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    before = set(write_summaries(comparison, tmp_path).rglob("events*"))
    (tmp_path / "mine.txt").touch()
    summary = write_summaries(make_comparison(tasks=1), tmp_path)
    after = set(summary.rglob("events*"))
    assert not before & after
    assert not (summary / "Hopper-v5").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "summary"}


def test_a_failure_leaves_the_old_as_it_was(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(write_summaries(comparison, tmp_path).rglob("*"))

    def full(*_: object) -> list[object]:
        raise OSError("no space left on device")

    monkeypatch.setattr(tensorboard, "_curve", full)
    with pytest.raises(OSError, match="no space"):
        write_summaries(comparison, tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path != tmp_path / "summary") == before


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_folder_of_someone_else_is_not_replaced(kind: str, comparison: Comparison, tmp_path: Path) -> None:
    theirs = tmp_path / ("summary" if kind == "folder" else "elsewhere")
    theirs.mkdir()
    (theirs / "precious").touch()
    if kind == "link":
        (theirs / ".smoothrl-comparison").touch()
        (tmp_path / "summary").symlink_to(theirs)
    with pytest.raises(CompareError, match="not made by a comparison"):
        write_summaries(comparison, tmp_path)
    assert (theirs / "precious").exists()


HOSTILE = ["../../x", "/etc/passwd", "..", ".", "", "a/b", "a\x00b", "-rf", ".hidden", "x" * 300, "é", "\udc80", "a(b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_inside(name: str, make_comparison: Callable[..., Comparison], tmp_path: Path) -> None:
    names = {"Pendulum-v1": name, "plain": name, "eval/mean_reward": f"eval/{name}"}
    hostile = make_comparison(text=lambda text: names.get(text, text), tasks=1)
    summary = write_summaries(hostile, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {len(path.relative_to(summary).parts) for path in summary.glob("*/**/events*")} == {3}
    (chart,) = layout(summary).category[0].chart
    run = next(summary.glob("*/*"))
    tags = read(run).Tags()["scalars"]
    assert chart.margin.series[0].value in tags
    assert "(" not in chart.margin.series[0].value


def test_names_that_differ_stay_apart() -> None:
    names = [*HOSTILE, "a b", "a_b", "a  b", "A", "a"]
    assert len({safe(name) for name in names}) == len(names)
    assert safe("Pendulum-v1") == "Pendulum-v1"


def test_logs_are_one_folder_where_they_can_be(tmp_path: Path) -> None:
    runs, view = tmp_path / "runs", tmp_path / "view"
    (runs / "compare" / "summary").mkdir(parents=True)
    view.mkdir()
    assert tensorboard._logs([runs], runs / "compare" / "summary", view) == runs
    others = [tmp_path / "a,b:c" / "runs", tmp_path / "d" / "runs"]
    for other in others:
        other.mkdir(parents=True)
    assert tensorboard._logs(others, runs / "compare" / "summary", view) == view
    assert {path.name: path.resolve() for path in view.iterdir()} == {
        "runs": others[0], "runs-2": others[1], "summary": runs / "compare" / "summary",
    }  # fmt: skip


@pytest.mark.parametrize("port", [70_000, -1])
def test_a_port_that_is_none_is_refused(port: int, tmp_path: Path) -> None:
    with pytest.raises(CompareError, match=rf"port {port}: not a port"):
        serve([tmp_path], tmp_path, port)


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CompareError, match=rf"port {port}: Address already in use"):
            serve([tmp_path], tmp_path, port)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the child processes in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_tensorboard_and_leaves_nothing(
    number: signal.Signals, code: int, make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    summary = write_summaries(make_comparison(tasks=1, seeds=2), tmp_path / "out")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = f"serve([Path({str(tmp_path / 'runs')!r})], Path({str(summary)!r}), {port})"
    source = (
        f"import sys; from pathlib import Path; from smoothrl.compare.output.tensorboard import serve; sys.exit({call})"
    )
    (tmp_path / "runs").mkdir()
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, env=environment) as ours:
        assert ours.stdout is not None
        line = ours.stdout.readline()
        assert f"http://127.0.0.1:{port}/{tensorboard.AVERAGES}" in line
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/data/environment") as answer:
            assert answer.status == 200
        children = [int(pid) for pid in Path(f"/proc/{ours.pid}/task/{ours.pid}/children").read_text().split()]
        assert len(children) == 1
        ours.send_signal(number)
        assert ours.wait(60) == code
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert [path.name for path in (tmp_path / "temporary").glob("smoothrl-*")] == []


def test_a_running_tensorboard_takes_up_what_is_written_again(
    make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    whole = make_comparison(tasks=1, seeds=2)
    begun = tuple(
        replace(band, steps=band.steps[:4], mean=band.mean[:4] + 1e4, low=band.low[:4], high=band.high[:4])
        for band in whole.bands
    )
    write_summaries(replace(whole, bands=begun), tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = "scalars?run=summary/Pendulum-v1/plain&tag=Pendulum-v1/eval/mean_reward/mean"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", str(port)]

    def wait_for(values: list[float]) -> None:
        deadline, found = time.monotonic() + 120, None
        while found != values:
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
            with contextlib.suppress(OSError):  # it starts, or has not read its files yet
                answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/data/plugin/scalars/{where}").read()
                found = [value for _, _, value in json.loads(answer)]

    def plain(comparison: Comparison) -> list[float]:
        return comparison.bands[0].mean.astype(np.float32).astype(float).tolist()

    with subprocess.Popen([*command, "--reload_interval", "1"], stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(plain(replace(whole, bands=begun)))
            write_summaries(whole, tmp_path)
            wait_for(plain(whole))
        finally:
            process.terminate()
