"""One run: from a config to a run folder. Importing this imports no torch."""

from smoothrl.training.folder import RunError
from smoothrl.training.run import train
from smoothrl.training.signals import ignore_outside_runs

__all__ = ["RunError", "ignore_outside_runs", "train"]
