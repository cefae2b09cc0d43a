"""From a YAML file to a checked `RunConfig`."""

from smoothrl.config.errors import ConfigError, Problem
from smoothrl.config.json_schema import json_schema
from smoothrl.config.loader import identity, load_run, to_yaml
from smoothrl.config.schema import RunConfig

__all__ = ["ConfigError", "Problem", "RunConfig", "identity", "json_schema", "load_run", "to_yaml"]
