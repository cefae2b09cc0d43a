"""The tasks that smoothrl knows, and whether a config fits its task."""

from smoothrl.suites._check import check
from smoothrl.suites._envs import EnvFacts, describe, make, tasks
from smoothrl.suites._task import Task

__all__ = ["EnvFacts", "Task", "check", "describe", "make", "tasks"]
