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
)
