"""Sample efficiency: how many steps it takes until a threshold is reached."""

from __future__ import annotations

import numpy as np

from smoothrl.compare.result import Interval
from smoothrl.compare.runs import Floats
from smoothrl.compare.statistics.bootstrap import Bootstrap


def median_steps(steps: Floats, boot: Bootstrap) -> Interval:
    """Median over runs of the steps until a threshold is reached.

    Args:
        steps: (runs,) as from `scores.steps_to`; infinite for a run that never reached it. A median has no need to know
            how long such a run would have taken: it is infinite only where half of the runs never got there.
    """
    return boot.interval(lambda samples: np.median(samples[0], axis=-1), [steps])
