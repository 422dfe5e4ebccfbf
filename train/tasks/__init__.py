"""Tasks by name: what is learned of images.

A task is one file that ends in its class, and its line in `TASKS`.
"""

from train.config import Config, TaskName
from train.tasks.classify import Classify
from train.tasks.detect import Detect
from train.tasks.segment import Segment
from train.tasks.task import Task
from vmixjax.errors import RunError

TASKS: dict[TaskName, type[Task]] = {
    "classify": Classify,
    "detect": Detect,
    "segment": Segment,
}
"""All tasks by name."""


def check_options(config: Config) -> None:
    """Refuses options of the optimizer that belong to another task.

    Raises:
      RunError: With the option.
    """
    for owner, task in TASKS.items():
        for name in task.options:
            value = getattr(config.optimizer, name)
            if value and owner != config.task:
                option = f"--optimizer.{name.replace('_', '-')}"
                raise RunError(
                    f"{option} {value} is for --task {owner}, and not for "
                    f"{config.task}: leave it out"
                )
