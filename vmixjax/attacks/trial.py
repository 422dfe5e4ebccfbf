"""The images of an audit under one protection, as owner and attacker have them.

Every random choice follows from the audit's seed and from names.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from vmixjax.attacks.attack import Budget
from vmixjax.attacks.threat_model import ThreatModel, no_classifier
from vmixjax.keys import image_key
from vmixjax.methods import Protect, Protection

if TYPE_CHECKING:
    from vmixjax.networks import Classifier
    from vmixjax.scenes import Scene

CLASSIFIER_BATCH = 64
"""Images for each step of a classifier's training: for the same time, many small steps
teach more than few."""

TOGETHER = 64
"""Images that are handled at once."""


def _unchanged(key: jax.Array, image: jax.Array) -> jax.Array:
    del key
    return image


UNPROTECTED = Protection(
    _unchanged, keys="none", name="clean", title="images as they are"
)
"""Stands among protections for none."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """One protection, tried on an owner's images.

    Attributes:
      protection: What the images are protected by.
      images: The owner's, uint8 (N, H, W, C).
      public: The attacker's, uint8 (M, H, W, C).
      labels: Classes of the owner's images, int32 (N,), where they are known.
      public_labels: Of the attacker's, int32 (M,), where they are of the same classes.
      classes: How many classes there are; 0 without labels.
      seed: Of all random choices.
      budget: Sizes of what takes time.
      scenes: Which of the owner's images show the same scene, and how they lie.
      classifier: Gives the attacker's network, as `ThreatModel` has it.
      clean_classifier: Gives the one that the attacker trained on clean public images.
    """

    protection: Protection
    images: jax.Array
    public: jax.Array
    labels: jax.Array | None
    public_labels: jax.Array | None
    classes: int
    seed: int
    budget: Budget
    scenes: tuple[Scene, ...] = ()
    classifier: Callable[[], Classifier] = no_classifier
    clean_classifier: Callable[[], Classifier] = no_classifier

    def key(self, *names: str) -> jax.Array:
        """Makes the key of a random choice: the same wherever the names are."""
        key = jax.random.key(self.seed, impl="threefry2x32")
        for name in names:
            key = jax.random.fold_in(key, zlib.crc32(name.encode()))
        return key

    @property
    def owner_key(self) -> jax.Array:
        """The one key of a data set, whatever is protected with it."""
        return self.key("owner", self.protection.method)

    def protect(self, images: jax.Array, *names: str) -> jax.Array:
        """Protects images as their owner does.

        Args:
          images: uint8 (B, H, W, C).
          *names: Of the occasion. Where each image has a key of its own, they decide
            all keys, along with its place.

        Returns:
          The protected images, of the same shape.
        """
        if self.protection.keys == "one":
            keys = jnp.broadcast_to(self.owner_key, (len(images),))
        else:
            key = self.key("owner", self.protection.method, *names)
            keys = jax.vmap(image_key, (None, 0))(key, jnp.arange(len(images)))
        return protect_each(self.protection.protect, keys, images)

    @property
    def threat_model(self) -> ThreatModel:
        """What an attacker has of it."""
        return ThreatModel(
            self.protection.protect,
            self.public,
            self.protection.region,
            self.protection.block,
            self.public_labels,
            self.protection.channels,
            self.protection.half_bytes,
            self.protection.turned,
            self._repeats,
            self._pairs,
            self._views,
            self.overlaps,
            self.classifier,
        )

    @property
    def overlaps(self) -> tuple[Scene, ...]:
        """The scenes whose images tell more together than each alone.

        Images whose grids lie alike on the scene are as one.
        """
        region = self.protection.region
        if region is None:
            return ()
        return tuple(one for one in self.scenes if one.count_grids([region]) > 1)

    def _repeats(self, count: int) -> np.ndarray:
        again = (self.protect(self.images, f"again {i}") for i in range(count))
        return np.stack([np.asarray(images) for images in again])

    def _pairs(self, count: int) -> tuple[jax.Array, jax.Array]:
        known = self.public[:count]
        return known, self.protect(known, "pairs")

    def _views(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.images.shape[1:3]
        # A grid that lies a whole region further is the same grid.
        reach = min(self.protection.region or height, height - 1, width - 1)
        rng = np.random.default_rng([self.seed, count])
        shifts = rng.integers(1 - reach, reach, (count, len(self.images), 2))
        padded = np.pad(
            np.asarray(self.images),
            ((0, 0), (reach, reach), (reach, reach), (0, 0)),
            "reflect",
        )
        views = []
        for i, shift in enumerate(shifts):
            moved = [
                image[reach + top :, reach + left :][:height, :width]
                for image, (top, left) in zip(padded, shift, strict=True)
            ]
            views.append(np.asarray(self.protect(jnp.asarray(moved), f"shifted {i}")))
        return np.stack(views), shifts


def protect_each(protect: Protect, keys: jax.Array, images: jax.Array) -> jax.Array:
    """Protects images (B, H, W, C) with a key (B,) for each, a few at a time."""
    return jax.lax.map(lambda pair: protect(*pair), (keys, images), batch_size=TOGETHER)


def clean_and_first(protections: Sequence[Protection]) -> Sequence[Protection]:
    """Picks what an audit judges, and images as they are to compare it with."""
    return UNPROTECTED, protections[0]
