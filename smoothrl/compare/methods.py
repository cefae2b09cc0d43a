"""What was computed, in a paragraph that a paper can use."""

from __future__ import annotations

from collections.abc import Sequence

from smoothrl.compare.result import Normalization
from smoothrl.compare.wording import number


def methods(confidence: float, resamples: int, seed: int, tag: str, normalized: Sequence[Normalization]) -> str:
    """The methods paragraph of a comparison with these settings."""
    share = f"{100 * confidence:g} %"
    bounds = "; ".join(f"{n.task} {number(n.low)} to {number(n.high)} ({n.source})" for n in normalized)
    return " ".join(
        [
            f"Scores are taken from {tag}, one of each kind per run: the final return is the mean over the last 10 %",
            "of the steps that all variants of a task share, the area under the curve the mean over all of them, the",
            "best window the highest mean over 10 % of them. A diverged run counts at the worst return of any run of",
            f"its task from its last finite point on. Intervals are {share} bootstrap intervals of whole runs, drawn",
            f"within tasks (stratified): expanded percentiles (Hesterberg, 2015), {resamples:,} resamples, seed",
            f"{seed}; pointwise along curves. Runs are drawn in pairs where two variants have the same seeds. p-values",
            "are of Welch's t-test, or of the paired t-test where seeds are the same, corrected by Holm's method over",
            "all pairs of a task and metric. IQM, optimality gap, performance profiles and the probability of",
            "improvement are those of Agarwal et al. (2021). Recovery is (J_adapted - J_plain) / (J_smooth -",
            f"J_plain), J the mean over runs and tasks, with Fieller's {share} interval (1954), and is named only",
            "where the gain of the smooth critic is above zero at the same confidence; the intervals of gains",
            f"beside it are Student's. Normalized scores are 0 and 1 at: {bounds}.",
        ]
    )
