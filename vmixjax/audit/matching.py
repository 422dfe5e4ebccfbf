"""Strengths of other methods from which a network learns as much as from ours."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


def matched(
    choices: Sequence[Choice], learned: Callable[[Choice], float], target: float
) -> Choice:
    """The choice whose accuracy is nearest to a target.

    Halves the choices as if accuracy fell along them, so that few networks have to be
    trained: about log2 of their number.

    Args:
      choices: strengths of a method, weakest first.
      learned: accuracy of a network trained on what a choice protects.
      target: the accuracy to come near to.

    >>> matched([1, 2, 4, 8, 16], lambda strength: 0.9 - strength / 20, 0.55)
    8
    """
    found: dict[int, float] = {}
    low, high = 0, len(choices) - 1
    while low <= high:
        middle = (low + high) // 2
        found[middle] = learned(choices[middle])
        if found[middle] > target:
            low = middle + 1
        else:
            high = middle - 1
    nearest = min(found, key=lambda place: (abs(found[place] - target), place))
    return choices[nearest]
