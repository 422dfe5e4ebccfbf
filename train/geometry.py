"""How images move when they are augmented, and what is said of places in them.

Shifts and mirroring, drawn from a key; masks move as their images, boxes by the same
numbers.
"""

import dataclasses

import jax
import jax.numpy as jnp

_WHETHER = 7
"""Folded into the key of a shift, which draws by how much."""


@dataclasses.dataclass(frozen=True)
class Shift:
    """By how much images of one shape may be shifted.

    Attributes:
      margin: Pixels that they can be moved by, at most, in each direction.
      unit: They are moved by multiples of it.
      edge: What lies beyond them, as `jnp.pad` calls it: "reflect" or "symmetric".
      share: The share of images that are moved, by what may be nothing; 0 to 1.
    """

    margin: int
    unit: int
    edge: str
    share: float = 1.0

    def draw(self, key: jax.Array) -> jax.Array:
        """Draws where in what is padded an image begins, int32 (2,), in pixels."""
        start = self._drawn(key)
        if self.share == 1:
            return start
        moves = jax.random.bernoulli(jax.random.fold_in(key, _WHETHER), self.share)
        return jnp.where(moves, start, self.margin)

    def _drawn(self, key: jax.Array) -> jax.Array:
        if self.edge == "symmetric":
            steps = self.margin // self.unit
            return self.unit * jax.random.randint(key, (2,), 0, 2 * steps + 1)
        # As `dm_pix.random_crop` draws for (H, W, C).
        down, across, _ = jax.random.split(key, 3)
        drawn = [
            jax.random.randint(one, (), 0, 2 * self.margin + 1)
            for one in (down, across)
        ]
        return jnp.stack(drawn)


@dataclasses.dataclass(frozen=True)
class Move:
    """A move of one image of a shape (H, W, C).

    Attributes:
      size: (H, W).
      shift: How it may be shifted; None for not at all.
      start: What `Shift.draw` gave.
      mirrored: Whether left and right are exchanged, bool; None for never.
      upended: Whether up and down are; None for never.
    """

    size: tuple[int, ...]
    shift: Shift | None
    start: jax.Array | None
    mirrored: jax.Array | None
    upended: jax.Array | None

    def picture(self, image: jax.Array, beyond: jax.Array | None = None) -> jax.Array:
        """Moves an image (H, W, C), or what is as large.

        Args:
          image: The image.
          beyond: What is put beyond it, (C,), where it is not to be its reflection.
        """
        if self.shift is not None:
            margin = self.shift.margin
            sides = ((margin, margin), (margin, margin), (0, 0))
            padded = jnp.pad(image, sides, self.shift.edge)
            if beyond is not None:
                inside = jnp.pad(jnp.ones(image.shape[:2], bool), sides[:2])
                padded = jnp.where(inside[:, :, None], padded, beyond)
            start = (*self.start, 0)  # type: ignore[misc]
            image = jax.lax.dynamic_slice(padded, start, image.shape)
        for axis, turned in ((1, self.mirrored), (0, self.upended)):
            if turned is not None:
                image = jnp.where(turned, jnp.flip(image, axis), image)
        return image

    def boxes(self, corners: jax.Array) -> jax.Array:
        """Moves boxes (N, 4), in pixels: they may lie beyond the image then."""
        if self.shift is not None:
            assert self.start is not None
            away = (self.start - self.shift.margin).astype(corners.dtype)
            corners = corners - jnp.tile(away, 2)
        for axis, turned in ((1, self.mirrored), (0, self.upended)):
            if turned is not None:
                low, high = corners[:, axis], corners[:, axis + 2]
                side = self.size[axis]
                flipped = corners.at[:, axis].set(side - high)
                flipped = flipped.at[:, axis + 2].set(side - low)
                corners = jnp.where(turned, flipped, corners)
        return corners
