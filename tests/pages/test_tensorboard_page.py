"""TensorBoard in a real browser shows the margin charts and the table of a comparison's summary runs."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from smoothrl.compare.output.hparams import scalar
from smoothrl.compare.output.tensorboard import AVERAGES, write_summaries
from smoothrl.compare.result import Comparison

PATIENCE_S = 120
"""TensorBoard needs seconds to start, and more where other work goes on."""
Visitor = Callable[..., Any]
"""The fixture `visit` of conftest.py; it gives a `Visit`."""


@contextmanager
def tensorboard(logs: Path, *options: str) -> Iterator[str]:
    """A running TensorBoard: its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--host", "127.0.0.1"]
    with subprocess.Popen([*command, "--port", str(port), *options], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "slow"])
def address(request: pytest.FixtureRequest, comparison: Comparison, tmp_path_factory: Any) -> Iterator[str]:
    """TensorBoard on the summary runs of the made-up comparison, by each of its two readers."""
    folder = tmp_path_factory.mktemp("logs")
    write_summaries(comparison, folder)
    with tensorboard(folder, f"--load_fast={request.param}") as found:
        yield found


def opened(visit: Visitor, where: str, text: str) -> Any:
    """The page, once this text is on it. TensorBoard starts before it has read its files: look again until then."""
    found = visit("about:blank", width=1500, height=1000)
    found.page.set_default_timeout(PATIENCE_S * 1000)
    found.page.goto(where)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found.page.get_by_text(text).first.wait_for(timeout=10_000)
        except TimeoutError:
            assert time.monotonic() < deadline, found.page.locator("body").inner_text()
            found.page.reload()
        else:
            return found


def bands(card: Any) -> list[float]:
    """The height in pixels of every band of a margin chart."""
    areas = card.locator(".area-plot path.area")
    areas.first.wait_for(state="attached")
    return list(areas.evaluate_all("paths => paths.map(path => path.getBoundingClientRect().height)"))


def test_custom_scalars_shows_a_margin_chart_per_task(address: str, comparison: Comparison, visit: Visitor) -> None:
    found = opened(visit, f"{address}/#custom_scalars", f"Matches ({len(comparison.variants)})")
    cards = found.page.locator("tf-custom-scalar-margin-chart-card")
    assert cards.count() == len(comparison.tasks)
    for task in comparison.tasks:
        card = cards.filter(has_text=task)
        card.get_by_text(f"Matches ({len(comparison.variants)})").wait_for()
        heights = bands(card)
        assert len(heights) == len(comparison.variants)
        assert min(heights) > 10
    for tag in {band.tag for band in comparison.bands}:
        assert found.page.get_by_text(tag, exact=True).first.is_visible()
    assert not [said for said in found.complaints if said.startswith("error")]


def test_the_link_shows_averages_beside_many_runs(comparison: Comparison, visit: Visitor, tmp_path: Path) -> None:
    """TensorBoard selects no run by itself where there are more than 40."""
    write_summaries(comparison, tmp_path)
    for i in range(41):
        (tmp_path / f"run-{i}").mkdir()
        with (tmp_path / f"run-{i}" / "events.out.tfevents.1.x").open("wb") as file:
            RecordWriter(file).write(Event(step=1, summary=scalar("eval/mean_reward", 1.0)).SerializeToString())
    with tensorboard(tmp_path) as address:
        found = opened(visit, f"{address}/{AVERAGES}", f"Matches ({len(comparison.variants)})")
        card = found.page.locator("tf-custom-scalar-margin-chart-card").first
        assert len(bands(card)) == len(comparison.variants)


def test_hparams_shows_the_table_of_variants(address: str, comparison: Comparison, visit: Visitor) -> None:
    page = opened(visit, f"{address}/#hparams", "Pendulum-v1/plain").page
    text = page.locator("tf-hparams-table-view vaadin-grid").first.inner_text()
    for name in ("role", "task", "variant", "optimizer_adaptations[0].kind", "agent.critic_optimizer_kwargs.eps"):
        assert name in text
    for variant in comparison.variants:
        assert variant.name in text
        assert variant.role in text
    final = next(
        one.interval.value for one in comparison.estimates
        if (one.task, one.variant, one.metric, one.statistic) == ("Hopper-v5", "dal", "final", "iqm")
    )  # fmt: skip
    assert f"{final:.1f}" in text
    for metric in ("final/iqm", "final/mean", "auc/mean", "recovered/spectral"):
        assert page.get_by_text(metric, exact=True).count() > 0


def test_hostile_names_run_nothing_and_draw(
    make_comparison: Callable[..., Comparison], visit: Visitor, tmp_path: Path
) -> None:
    bad = "<img src=x onerror=alert(1)>/..[(+*\x1b\udc80"
    write_summaries(make_comparison(text=lambda name: f"{name} {bad}", tasks=1), tmp_path)
    with tensorboard(tmp_path) as address:
        found = opened(visit, f"{address}/#custom_scalars", "Matches (8)")
        card = found.page.locator("tf-custom-scalar-margin-chart-card")
        assert card.filter(has_text="Pendulum-v1 <img src=x onerror=alert(1)>").count() == 1
        assert min(bands(card)) > 10
        found.page.goto(f"{address}/#hparams")
        found.page.get_by_text("plain <img src=x onerror=alert(1)>").first.wait_for()
        assert found.ran() == []
        assert not [said for said in found.complaints if said.startswith(("error", "dialog"))]
