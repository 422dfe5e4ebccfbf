"""What networks learn of protected images: their classes, objects, or pixels' classes.

The score of a network that was trained on protected public images and is asked of
protected ones of the owner tells what a protection leaves to use.
"""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import jax

from vmixjax.attacks import Budget
from vmixjax.attacks.trial import CLASSIFIER_BATCH
from vmixjax.audit.pictures import Pictures
from vmixjax.audit.store import Network
from vmixjax.dense import HOTCOCO
from vmixjax.methods import Protect
from vmixjax.networks import (
    train_classifier,
    train_detector,
    train_segmenter,
    untrained_classifier,
    untrained_detector,
    untrained_segmenter,
)


@dataclasses.dataclass(frozen=True)
class Utility:
    """A score of networks, and what it is the score of.

    Attributes:
      name: As `audit.json` has it.
      title: What people read.
      learner: What kind of network has it.
      stored: What files call such a network.
      needs: What images must have, for people.
      classes: Names the classes of what is learned; None where images have no such.
      untrained: Makes the network that training begins with, from a key, the channels
        of images, the number of classes and a width.
      train: Trains one, with a key, on public images, with options as of
        `train_classifier`.
      score: Asks one of protected images, uint8 (N, H, W, C): 0 to 1. The pictures are
        what they were before.
      package: The package that it needs, and the extra that it comes with; None for
        none.
    """

    name: str
    title: str
    learner: str
    stored: str
    needs: str
    classes: Callable[[Pictures], tuple[str, ...] | None]
    untrained: Callable[[jax.Array, int, int, int], Network]
    train: Callable[..., Network]
    score: Callable[[Any, jax.Array, Pictures], float]
    package: tuple[str, str] | None = None

    def fits(self, private: Pictures, public: Pictures) -> bool:
        """Tells whether it can be learned from public images and asked of private."""
        classes = self.classes(private)
        return classes is not None and classes == self.classes(public)

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return self.package is None or (
            importlib.util.find_spec(self.package[0]) is not None
        )

    def begin(self, key: jax.Array, public: Pictures, budget: Budget) -> Network:
        """Makes the network that training begins with."""
        count = len(self.classes(public) or ())
        channels, width = public.shape[2], budget["recogniser_width"]
        return self.untrained(key, channels, count, width)

    def learn(
        self, key: jax.Array, public: Pictures, budget: Budget, protect: Protect
    ) -> Network:
        """Trains a network on public images, protected with fresh keys."""
        return self.train(
            key,
            public,
            classes=len(self.classes(public) or ()),
            steps=budget["recogniser_steps"],
            batch_size=CLASSIFIER_BATCH,
            width=budget["recogniser_width"],
            protect=protect,
        )


def chosen(private: Pictures, public: Pictures) -> tuple[Utility | None, list[str]]:
    """Chooses what is learned: the first that images have, classes before places.

    Returns:
      It, or None; and what people must know of that, a line each.
    """
    there = [one for one in UTILITIES.values() if one.classes(private) is not None]
    lines, usable = [], []
    for one in there:
        if not one.fits(private, public):
            known = one.classes(public) is not None
            fault = "those of other classes" if known else "none"
            lines.append(
                f"SRC has {one.needs}, and --public has {fault}: what networks learn "
                f"of these is not measured"
            )
        elif not one.installed:
            package, extra = one.package or ("", "")
            lines.append(
                f"{package} is not installed: {one.title}, of {one.needs}, is not "
                f"measured; pip install '{extra}' and run this again to have it"
            )
        else:
            usable.append(one)
    if not usable:
        return None, lines
    first = usable[0]
    if len(there) > 1:
        have = " and ".join(one.needs for one in there)
        lines.append(
            f"the images have {have}: what networks learn is {first.title}, of "
            f"{first.needs}"
        )
    return first, lines


def _score_objects(network: Any, images: jax.Array, private: Pictures) -> float:
    assert private.objects is not None
    boxes, classes = private.objects.boxes, len(private.objects.classes)
    return network.average_precision(images, boxes, classes)["ap50"]


def _score_pixels(network: Any, images: jax.Array, private: Pictures) -> float:
    assert private.masks is not None
    return network.mean_iou(images, private.masks.pixels)


ACCURACY = Utility(
    name="accuracy",
    title="accuracy",
    learner="classifier",
    stored="network",
    needs="classes",
    classes=lambda x: None if x.labels is None else x.classes,
    untrained=lambda key, channels, classes, width: untrained_classifier(
        key, channels, classes, width=width
    ),
    train=lambda key, x, **options: train_classifier(
        key, x.images, x.labels, **options
    ),
    score=lambda network, images, x: network.accuracy(images, x.labels),
)

AP50 = Utility(
    name="ap50",
    title="AP at IoU 0.5",
    learner="detector",
    stored="detector",
    needs="boxes",
    classes=lambda x: None if x.objects is None else x.objects.classes,
    untrained=lambda key, channels, classes, width: untrained_detector(
        key, channels, classes, width=width
    ),
    train=lambda key, x, **options: train_detector(
        key, x.images, x.objects.boxes, **options
    ),
    score=_score_objects,
    package=HOTCOCO,
)

MEAN_IOU = Utility(
    name="mean_iou",
    title="mean IoU",
    learner="segmenter",
    stored="segmenter",
    needs="masks",
    classes=lambda x: None if x.masks is None else x.masks.classes,
    untrained=lambda key, channels, classes, width: untrained_segmenter(
        key, channels, classes, width=width
    ),
    train=lambda key, x, **options: train_segmenter(
        key, x.images, x.masks.pixels, **options
    ),
    score=_score_pixels,
)

UTILITIES = {one.name: one for one in (ACCURACY, AP50, MEAN_IOU)}
"""All there are by name, those of whole images first."""
