"""Tasks by name: what is learned of images.

A task is one file that ends in its class, and its line in `TASKS`.
"""

from train.config import TaskName
from train.tasks.classify import Classify
from train.tasks.detect import Detect
from train.tasks.segment import Segment
from train.tasks.task import Task

TASKS: dict[TaskName, type[Task]] = {
    "classify": Classify,
    "detect": Detect,
    "segment": Segment,
}
"""All tasks by name."""
