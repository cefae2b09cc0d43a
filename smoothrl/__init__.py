"""smoothrl: Stable-Baselines3 agents with smooth critics, trained from one YAML file."""

__version__ = "0.1.0"
