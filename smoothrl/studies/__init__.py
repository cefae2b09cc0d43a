"""Studies: a grid of runs from one file. Importing this imports no torch."""

from smoothrl.studies.estimate import Estimate, estimate
from smoothrl.studies.plan import Cell, Study, load_study

__all__ = ["Cell", "Estimate", "Study", "estimate", "load_study"]
