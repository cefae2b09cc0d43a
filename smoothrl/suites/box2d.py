"""Box2D: two-dimensional physics; CarRacing has image observations."""

from smoothrl.suites._task import Suite

SUITE = Suite(
    name="box2d",
    ids=(
        "BipedalWalker-v3",
        "BipedalWalkerHardcore-v3",
        "CarRacing-v3",
        "LunarLander-v3",
        "LunarLanderContinuous-v3",
    ),
    extra="box2d",
    modules=("Box2D",),
    bounds={
        "BipedalWalker-v3": (-99.7, 300.0),
        "BipedalWalkerHardcore-v3": (-107.3, 300.0),
        "LunarLander-v3": (-191.0, 200.0),
        "LunarLanderContinuous-v3": (-206.7, 200.0),
    },
)
