"""What the attacks got back: numbers and pictures, for the verdict and the report."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

NOTHING_DONE = "none"
"""Stands among attacks for the protected image itself, which is always looked at."""


@dataclasses.dataclass(frozen=True)
class AttackResult:
    """What one attack got back from images that one method protected.

    Attributes:
      method: Its name, as in `AuditResults.methods`.
      attack: Its name, or `NOTHING_DONE`.
      values: Of each metric, by name, over all images; None where it has none.
      ssim_each: Likeness of each image; none where no images came back.
      seconds: How long the attack took.
    """

    method: str
    attack: str
    values: Mapping[str, float | None]
    ssim_each: tuple[float, ...]
    seconds: float

    @property
    def gives_images(self) -> bool:
        """Whether images came back, and not their classes alone."""
        return bool(self.ssim_each)

    def value(self, metric: str) -> float:
        """The value of a metric that all images have."""
        value = self.values[metric]
        assert value is not None
        return value

    def as_json(self) -> dict[str, Any]:
        """Plain values, without those of single images."""
        return {
            "method": self.method,
            "attack": self.attack,
            **self.values,
            "seconds": self.seconds,
        }


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """What is known of one method at one strength, before any attack.

    Attributes:
      name: A short one, such as `mix:8`.
      title: What people read.
      remark: What must be known of it: its source, its guarantee, whether images share
        a key.
      vfe: Mean VFE of the protected images.
      utility: Score of a network that was trained on protected public images, on
        protected ones of the owner; None where there is nothing to learn.
      mixes: Whether it is mixing.
    """

    name: str
    title: str
    remark: str
    vfe: float
    utility: float | None
    mixes: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `audit.json` calls them."""
        return {
            "name": self.name,
            "title": self.title,
            "remark": self.remark,
            "vfe": self.vfe,
            "learned": self.utility,
        }


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """Which of the owner's images show a scene that others show on another grid.

    Attributes:
      images: Their numbers.
      attack: The attack that puts them together; empty if it was not made.
    """

    images: tuple[int, ...]
    attack: str


@dataclasses.dataclass(frozen=True)
class AuditResults:
    """All that an audit measured.

    Attributes:
      images, public: How many images the owner and the attacker have.
      side: Of them, in pixels.
      original_side: Of them as they were found.
      classes: How many there are; 0 without labels.
      vfe: Mean VFE of the originals.
      clean: Score of a network that was trained on clean public images, on the
        originals; None where there is nothing to learn.
      guess: What an attacker has who sees nothing: the mean public image.
      methods: What was attacked; the first is the one that the verdict is about.
      findings: Of each attack on each method.
      studies: Rows of each study by its name, each with its `method`.
      settings: What reproduces the audit.
      overlaps: Images that give each other away; None where there are none.
      learned: What `clean` and the utility of methods are, a name out of
        `vmixjax.audit.utilities.UTILITIES`; None where there is nothing to learn.
    """

    images: int
    public: int
    side: int
    original_side: int
    classes: int
    vfe: float
    clean: float | None
    guess: AttackResult
    methods: tuple[MethodResult, ...]
    findings: tuple[AttackResult, ...]
    studies: Mapping[str, tuple[Mapping[str, Any], ...]]
    settings: Mapping[str, Any]
    overlaps: Overlaps | None = None
    learned: str | None = None

    def of(self, method: str) -> list[AttackResult]:
        """The findings about one method."""
        return [finding for finding in self.findings if finding.method == method]

    def as_json(self) -> dict[str, Any]:
        """Plain values, without those of single images."""
        own = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)[:7]
        }
        return {
            **own,
            "utility": self.learned,
            "guess": self.guess.as_json(),
            "methods": [method.as_json() for method in self.methods],
            "findings": [finding.as_json() for finding in self.findings],
            **{
                name: [dict(row) for row in rows] for name, rows in self.studies.items()
            },
            "settings": dict(self.settings),
            "overlapping": 0 if self.overlaps is None else len(self.overlaps.images),
        }


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures of some images, side by side.

    Attributes:
      method: Name of what protected them.
      originals: Images, uint8 (K, H, W, C).
      pictures: By name of the attack, or of a study's picture, uint8 (K, H, W, C) each.
    """

    method: str
    originals: np.ndarray
    pictures: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Figures:
    """The pictures of an audit.

    Attributes:
      methods: Of each method, from the image that is recovered best to the worst.
      studies: Of each study that has pictures, by its name.
      overlaps: Of the method that is judged, from images that show the same scene as
        others; None where there are none, or they were not put together.
    """

    methods: tuple[Sheet, ...]
    studies: Mapping[str, tuple[Sheet, ...]] = dataclasses.field(default_factory=dict)
    overlaps: Sheet | None = None
