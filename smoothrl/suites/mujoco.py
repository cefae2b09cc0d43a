"""MuJoCo locomotion and reaching, version 5: the tasks of most continuous-control papers."""

from smoothrl.suites._task import Suite

SUITE = Suite(
    name="mujoco",
    ids=(
        "Ant-v5",
        "HalfCheetah-v5",
        "Hopper-v5",
        "Humanoid-v5",
        "HumanoidStandup-v5",
        "InvertedDoublePendulum-v5",
        "InvertedPendulum-v5",
        "Pusher-v5",
        "Reacher-v5",
        "Swimmer-v5",
        "Walker2d-v5",
    ),
    extra="mujoco",
    modules=("mujoco", "imageio"),
    bounds={
        "Ant-v5": (-47.5, 6000.0),
        "HalfCheetah-v5": (-267.7, 4800.0),
        "Hopper-v5": (17.0, 3800.0),
        "InvertedDoublePendulum-v5": (50.1, 9100.0),
        "InvertedPendulum-v5": (5.6, 950.0),
        "Pusher-v5": (-148.5, 0.0),
        "Reacher-v5": (-42.9, -3.75),
        "Swimmer-v5": (3.2, 360.0),
    },
)
