"""Classic control: small tasks that need nothing beyond gymnasium."""

from smoothrl.suites._task import Suite

SUITE = Suite(
    name="classic control",
    ids=("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"),
)
