"""Intervals by the stratified bootstrap: whole runs are drawn again within their task, and the figure computed anew.

A plain percentile interval is too narrow for few runs, for two reasons: runs drawn again spread by sqrt((n - 1) / n)
less than runs do, and normal quantiles stand where Student's belong. Both are mended by reading the replicates at
levels further out, chosen so that the interval of a mean is as wide as Student's:

    level = Phi(-w),   w = t_(1-c)/2,df * sqrt(sum of v_k / sum of v_k (n_k - 1) / n_k),

with v_k the variance of the mean of stratum k, and df by Welch and Satterthwaite. As all that is drawn is runs, equal
scores give an interval without width; and where a stratum holds one run, no bounds can be known.

Source: Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 2015: the
expanded percentile interval. That sizes and spreads may differ between strata is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from smoothrl.compare.result import Interval
from smoothrl.compare.runs import Floats, Ints
from smoothrl.compare.statistics.aggregates import Samples
from smoothrl.compare.statistics.variance import degrees_of_freedom, variances


@dataclass(frozen=True)
class Bootstrap:
    """Draws runs again, and reads intervals off what comes out.

    Every call starts from the seed anew, so that no interval depends on which others were asked for before.
    """

    resamples: int = 10_000
    confidence: float = 0.95
    seed: int = 0

    def draws(self, sizes: Sequence[int]) -> list[Ints]:
        """For each stratum, which of its runs make up each resample: (resamples, runs) indices."""
        generator = np.random.default_rng(self.seed)
        return [generator.integers(size, size=(self.resamples, size)) for size in sizes]

    def counts(self, sizes: Sequence[int]) -> list[Floats]:
        """For each stratum, how often each of its runs is in each resample: (resamples, runs)."""
        return [self._count(drawn) for drawn in self.draws(sizes)]

    def resample(self, samples: Samples) -> list[Floats]:
        """For each stratum, the scores of all resamples: (resamples, runs)."""
        return [runs[drawn] for runs, drawn in zip(samples, self.draws([runs.size for runs in samples]), strict=True)]

    def interval(self, statistic: Callable[[Samples], Floats], samples: Samples) -> Interval:
        """A figure of these samples and its interval.

        Args:
            statistic: works along the last axis of each sample, as those in `aggregates` do.
            samples: one array of scores per stratum, none empty.
        """
        low, high = self.bounds(statistic(self.resample(samples)), samples)
        return Interval(float(statistic(samples)), float(low), float(high))

    def bounds(self, replicates: Floats, strata: Samples) -> tuple[Floats, Floats]:
        """Where the interval ends.

        Args:
            replicates: (resamples, ...) the figure on each resample; NaN where it does not exist, which makes the
                bounds NaN.
            strata: the samples that were drawn from; their sizes and spreads say how far out to read.
        """
        sizes = [runs.size for runs in strata]
        if min(sizes) < 2:
            return np.full(replicates.shape[1:], np.nan), np.full(replicates.shape[1:], np.nan)
        level = special.ndtr(-self._width(variances(strata), np.array(sizes)))
        # Without interpolation: replicates may be infinite.
        low, high = np.quantile(replicates, [level, 1 - level], axis=0, method="inverted_cdf")
        return low, high

    def _width(self, variances: Floats, sizes: Ints) -> float:
        """How many standard deviations of the replicates the interval reaches on either side."""
        if not np.any(variances) or np.isnan(variances).any():
            variances = np.ones_like(variances)  # nothing tells the strata apart
        t = special.stdtrit(degrees_of_freedom(variances, sizes), (1 + self.confidence) / 2)
        return float(t * np.sqrt(np.sum(variances) / np.sum(variances * (sizes - 1) / sizes)))

    def _count(self, drawn: Ints) -> Floats:
        size = drawn.shape[-1]
        rows = size * np.arange(self.resamples)[:, None]
        return np.bincount((rows + drawn).ravel(), minlength=self.resamples * size).reshape(drawn.shape).astype(float)
