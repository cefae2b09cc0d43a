"""Classic control: small tasks that need nothing beyond gymnasium."""

from smoothrl.suites._task import Suite

SUITE = Suite(
    name="classic control",
    ids=("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"),
    bounds={
        "Acrobot-v1": (-500.0, -100.0),
        "CartPole-v1": (25.0, 475.0),
        "MountainCar-v0": (-200.0, -110.0),
        "MountainCarContinuous-v0": (-33.3, 90.0),
        "Pendulum-v1": (-1197.2, 0.0),  # no threshold: no reward is above 0
    },
)
