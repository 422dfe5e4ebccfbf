"""What an attacker knows: the algorithm, its settings, public images; never a key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from vmixjax.config import Channels
from vmixjax.methods import Protect

if TYPE_CHECKING:
    from vmixjax.networks import Classifier
    from vmixjax.scenes import Scene


def _withheld(count: int) -> Any:
    raise ValueError(
        f"the threat model has none of the {count} that the attack asks for: make it "
        f"with repeats=..., pairs=... or views=..., functions that give them"
    )


def no_classifier() -> Any:
    """Refuses: nobody has trained a network."""
    raise ValueError(
        "the threat model has no trained network: make it with classifier=..., a "
        "function that gives one, or train one with vmixjax.networks.train_classifier"
    )


@dataclasses.dataclass(frozen=True)
class ThreatModel:
    """What whoever wants the images back knows of their protection, and can come by.

    Attributes:
      protect: The method with its settings, to be used with the attacker's own keys.
      public: Images like the owner's, uint8 (N, H, W, C), none of them the owner's.
      region: Side of the regions that no value leaves, in pixels; None where there are
        none.
      block: Side of the blocks that stay whole, in pixels; 1 where single pixels move.
      labels: Classes of the public images, int32 (N,), where they are known.
      channels: How channels took part (`vmixjax.MixConfig`); None where values do not
        only move, but change.
      half_bytes: Whether what moves inside regions are half bytes, some inverted.
      turned: Whether blocks that move are also turned or mirrored, inverted, and have
        their channels exchanged, each in a way of its own.
      repeats: Gives so many other protections of the protected images, each by keys of
        its own, uint8 (M, B, H, W, C).
      pairs: Gives so many images that the attacker knows, uint8 (M, H, W, C), and the
        same as the owner protected them.
      views: Gives so many protections of the protected images, each shifted before,
        with edges reflected, and by keys of its own, uint8 (M, B, H, W, C); and by how
        many pixels, int (M, B, 2).
      scenes: How those of the protected images lie to each other that show the same
        scene, where there are any.
      classifier: Gives a network that the attacker trained to tell classes of public
        images, protected by keys of the attacker's own; an audit needs one anyway, to
        measure what protected images are still good for.
    """

    protect: Protect
    public: jax.Array
    region: int | None = None
    block: int = 1
    labels: jax.Array | None = None
    channels: Channels | None = None
    half_bytes: bool = False
    turned: bool = False
    repeats: Callable[[int], np.ndarray] = _withheld
    pairs: Callable[[int], tuple[jax.Array, jax.Array]] = _withheld
    views: Callable[[int], tuple[np.ndarray, np.ndarray]] = _withheld
    scenes: tuple[Scene, ...] = ()
    classifier: Callable[[], Classifier] = no_classifier
