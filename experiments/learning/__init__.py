"""A learner as a policy: a scenario as a gymnasium environment (extra `gym`).

    env = environment("quickstart", RoutingTask("chat"))
    observation, info = env.reset(seed=1)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

Read `tasks.py` (what a learner sees and decides, for routing, power and batching), then `bridge.py` (how a decision in the middle of a run
becomes a step of the environment), then `episodes.py`. May import every house; nothing here is imported by another.
"""

from edgewright.experiments.learning.bridge import Progress
from edgewright.experiments.learning.gym import environment
from edgewright.experiments.learning.tasks import BatchingTask, PowerTask, RoutingTask, Task

__all__ = ["BatchingTask", "PowerTask", "Progress", "RoutingTask", "Task", "environment"]
