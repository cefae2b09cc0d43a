"""Shares of good cells, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from smoothrl.compare.statistics.bootstrap import Bootstrap
from smoothrl.compare.statistics.tunability import tunability

BOOT = Bootstrap(resamples=2000)


def cells(*means: float, spread: float = 0.01, runs: int = 5) -> list[list[np.ndarray]]:
    """Cells of one task with exactly these means."""
    away = spread * np.linspace(-1, 1, runs) if runs > 1 else np.zeros(1)
    return [[center + away] for center in means]


def test_shares_are_of_the_best_of_all_and_of_the_own_best() -> None:
    found = tunability({"smooth": cells(1.0, 0.95, 0.8, 0.2), "plain": cells(0.5, 0.46, 0.1)}, BOOT)
    assert found["smooth"].share.value == found["smooth"].own_share.value == 2 / 4
    assert found["plain"].share.value == 0
    assert found["plain"].own_share.value == pytest.approx(2 / 3)


def test_a_cell_at_nine_tenths_is_good() -> None:
    assert tunability({"a": cells(1.0, 0.9, 0.899, spread=0.0)}, BOOT)["a"].share.value == pytest.approx(2 / 3)


def test_tasks_are_averaged_within_a_cell() -> None:
    two_tasks = [[np.array([1.0, 1.0]), np.array([0.6, 0.6])], [np.array([0.2, 0.2]), np.array([1.2, 1.2])]]
    assert tunability({"a": two_tasks}, BOOT)["a"].share.value == 0.5  # 0.8 and 0.7


def test_clear_cells_leave_no_doubt_and_close_ones_do() -> None:
    clear = tunability({"a": cells(1.0, 0.95, 0.5, 0.2)}, BOOT)["a"].share
    assert (clear.low, clear.high) == (0.5, 0.5)
    close = tunability({"a": cells(1.0, 0.9, 0.89, 0.2, spread=0.1)}, BOOT)["a"].share
    assert close.low == 0.25
    assert close.high == 0.75


def test_the_best_cell_is_found_anew_on_every_resample() -> None:
    """Two cells of equal mean, one certain and one not: when the uncertain one is drawn high, the certain one is no
    longer good, which a best cell that is held fixed would never show."""
    certain, uncertain = [np.full(5, 1.0)], [np.array([0.2, 0.6, 1.0, 1.4, 1.8])]
    found = tunability({"certain": [certain], "uncertain": [uncertain]}, BOOT)
    assert found["certain"].share.value == 1
    assert found["certain"].share.low == 0
    assert found["certain"].own_share.low == 1


def test_nothing_is_near_a_best_that_is_not_above_zero() -> None:
    share = tunability({"a": cells(-0.1, -0.2)}, BOOT)["a"].share
    assert np.isnan([share.value, share.low, share.high]).all()
    doubtful = tunability({"a": cells(0.1, 0.05, spread=1.0)}, BOOT)["a"].share
    assert doubtful.value == 0.5
    assert np.isnan([doubtful.low, doubtful.high]).all()


def test_one_run_per_cell_has_no_bounds() -> None:
    share = tunability({"a": cells(1.0, 0.5, runs=1)}, BOOT)["a"].share
    assert share.value == 0.5
    assert np.isnan([share.low, share.high]).all()
