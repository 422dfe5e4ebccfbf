"""What an attack is to an audit: the entry that each has in `ATTACKS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import numpy as np

    from vmixjax.attacks.threat_model import ThreatModel
    from vmixjax.attacks.trial import Trial
    from vmixjax.methods import Protection

Budget = Mapping[str, int]
"""Sizes of what takes time, by name: those of an audit, and those of its attacks."""


@dataclasses.dataclass(frozen=True)
class Attack:
    """An attack, as an audit makes it.

    Attributes:
      name: What users call it.
      about: What it does, for the report: one line without a full stop.
      recover: Gives images back: (key of its own random choices, protected images
        uint8 (B, H, W, C), threat model, budget) -> uint8 (B, H, W, C). What more it
        needs, it asks the threat model for. None where it gives no images.
      recognise: Where it gives no images, tells their classes all the same: (as
        `recover`) -> int32 (B,). It is asked only where there are classes.
      applies: Whether either makes sense against a protection, on images of a side.
      needs_scenes: Whether `recover` is of use only where some of the owner's images
        show the same scene.
      study: What it shows beyond the images that it gives back, if anything.
      budgets: Sizes that no other attack uses, by name, for each budget of an audit.
    """

    name: str
    about: str
    recover: Callable[[jax.Array, jax.Array, ThreatModel, Budget], jax.Array] | None = (
        None
    )
    recognise: (
        Callable[[jax.Array, jax.Array, ThreatModel, Budget], jax.Array] | None
    ) = None
    applies: Callable[[Protection, int], bool] = lambda protection, side: True
    needs_scenes: bool = False
    study: Study | None = None
    budgets: dict[str, Budget] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Study:
    """What an attack shows in numbers, which get a table of their own.

    Attributes:
      name: Of its rows in `audit.json`.
      run: Makes it on one protection.
      subjects: Picks, out of an audit's protections, those that it is made on.
      section: Heading in the report, which studies next to each other share.
      text: What the report says above the table, from the values of the first row.
      columns: Heading of each column, and the value that stands in it.
      number: Format of these values, such as `".0%"`.
      title: Heading below that of the section; empty for none.
      corner: Heading of the column of protections.
      captions: Of pictures, by name; `{title}` stands for the protection's.
      needs_classes: Whether owner and public must have the same classes of images.
    """

    name: str
    run: Callable[[Trial], StudyResult]
    subjects: Callable[[Sequence[Protection]], Sequence[Protection]]
    section: str
    text: Callable[[Mapping[str, Any]], str]
    columns: Mapping[str, str]
    number: str
    title: str = ""
    corner: str = "trained on"
    captions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    needs_classes: bool = False


@dataclasses.dataclass(frozen=True)
class StudyResult:
    """What a study found on one protection.

    Attributes:
      values: Numbers by name, as JSON has them.
      originals: Images that pictures are of, uint8 (K, H, W, C), where there are any.
      pictures: By name, out of the captions of the study; of the originals' shape.
    """

    values: dict[str, Any]
    originals: np.ndarray | None = None
    pictures: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
