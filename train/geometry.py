"""How images move when they are augmented, and what is said of places in them.

Shifts, mirroring and scaling, drawn from a key; masks move as their images, boxes by
the same numbers.
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
class Zoom:
    """By how much an image is enlarged, and where it lies then; sides stay.

    Attributes:
      factor: Below 1 it becomes smaller.
      start: Where the first row and column come to lie, in pixels, float32 (2,).
    """

    factor: jax.Array
    start: jax.Array

    @classmethod
    def draw(
        cls, key: jax.Array, size: tuple[int, ...], between: tuple[float, float]
    ) -> "Zoom":
        """Draws a factor, any ratio as likely, and a place in what there is room for.

        Args:
          key: Of the image.
          size: (H, W).
          between: The least factor and the greatest.
        """
        factor_key, place_key = jax.random.split(key)
        low, high = jnp.log(jnp.asarray(between, jnp.float32))
        factor = jnp.exp(jax.random.uniform(factor_key, minval=low, maxval=high))
        room = jnp.asarray(size, jnp.float32) * (1 - factor)
        return cls(factor, jax.random.uniform(place_key, (2,)) * room)

    def picture(self, image: jax.Array) -> jax.Array:
        """Enlarges an image uint8 (H, W, C); beyond it is its mean colour."""
        enlarged = jax.image.scale_and_translate(
            image.astype(jnp.float32),
            image.shape,
            (0, 1),
            jnp.stack([self.factor, self.factor]),
            self.start,
            "linear",
        )
        _, inside = self._sources(image.shape)
        seen = jnp.round(jnp.clip(enlarged, 0, 255)).astype(image.dtype)
        return jnp.where(inside[:, :, None], seen, mean_colour(image))

    def mask(self, mask: jax.Array, beyond: int) -> jax.Array:
        """Enlarges a mask (H, W), by the nearest pixels; beyond it is what is said."""
        (rows, columns), inside = self._sources(mask.shape)
        return jnp.where(inside, mask[rows][:, columns], beyond).astype(mask.dtype)

    def boxes(self, corners: jax.Array) -> jax.Array:
        """Enlarges boxes (N, 4), in pixels."""
        return corners * self.factor + jnp.tile(self.start, 2)

    def _sources(
        self, shape: tuple[int, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        """Rows and columns that are shown, and whether there are such, bool (H, W)."""
        found, inside = [], []
        for start, side in zip(self.start, shape, strict=False):
            at = jnp.floor((jnp.arange(side) + 0.5 - start) / self.factor)
            found.append(jnp.clip(at, 0, side - 1).astype(jnp.int32))
            inside.append((at >= 0) & (at < side))
        return (found[0], found[1]), inside[0][:, None] & inside[1]


@dataclasses.dataclass(frozen=True)
class Move:
    """A move of one image of a shape (H, W, C).

    Attributes:
      size: (H, W).
      shift: How it may be shifted; None for not at all.
      start: What `Shift.draw` gave.
      mirrored: Whether left and right are exchanged, bool; None for never.
      upended: Whether up and down are; None for never.
      zoom: What is done afterwards, if anything.
    """

    size: tuple[int, ...]
    shift: Shift | None
    start: jax.Array | None
    mirrored: jax.Array | None
    upended: jax.Array | None
    zoom: Zoom | None = None

    def picture(self, image: jax.Array, beyond: jax.Array | None = None) -> jax.Array:
        """Moves an image (H, W, C).

        Args:
          image: The image.
          beyond: What is put beyond it by shifts, (C,), where it is not to be its
            reflection.
        """
        image = self._turned(image, beyond)
        return image if self.zoom is None else self.zoom.picture(image)

    def mask(self, mask: jax.Array, beyond: int) -> jax.Array:
        """Moves a mask (H, W) as its image, reflections included.

        Args:
          mask: The mask.
          beyond: What is put beyond it where it becomes smaller.
        """
        mask = self._turned(mask[:, :, None], None)[:, :, 0]
        return mask if self.zoom is None else self.zoom.mask(mask, beyond)

    def _turned(self, image: jax.Array, beyond: jax.Array | None) -> jax.Array:
        """Shifts and mirrors what is as large as the image.

        Args:
          image: The image.
          beyond: What is put beyond it, (C,), where it is not to be its reflection.
        """
        for axis, turned in self._turns():
            image = jnp.where(turned, jnp.flip(image, axis), image)
        if self.shift is None:
            return image
        assert self.start is not None
        start, margin = self.start, self.shift.margin
        # Shifted last, and so the other way: compilers do what is costly once for each
        # that reads it, and each mirroring would read it twice.
        for axis, turned in self._turns():
            other_way = start.at[axis].set(2 * margin - start[axis])
            start = jnp.where(turned, other_way, start)
        sides = ((margin, margin), (margin, margin), (0, 0))
        padded = jnp.pad(image, sides, self.shift.edge)
        if beyond is not None:
            inside = jnp.pad(jnp.ones(image.shape[:2], bool), sides[:2])
            padded = jnp.where(inside[:, :, None], padded, beyond)
        return jax.lax.dynamic_slice(padded, (*start, 0), image.shape)

    def _turns(self) -> list[tuple[int, jax.Array]]:
        """Axes along which there may be mirroring, and whether there is."""
        turns = ((1, self.mirrored), (0, self.upended))
        return [(axis, turned) for axis, turned in turns if turned is not None]

    def boxes(self, corners: jax.Array) -> jax.Array:
        """Moves boxes (N, 4), in pixels: they may lie beyond the image then."""
        if self.shift is not None:
            assert self.start is not None
            away = (self.start - self.shift.margin).astype(corners.dtype)
            corners = corners - jnp.tile(away, 2)
        for axis, turned in self._turns():
            low, high = corners[:, axis], corners[:, axis + 2]
            side = self.size[axis]
            flipped = corners.at[:, axis].set(side - high)
            flipped = flipped.at[:, axis + 2].set(side - low)
            corners = jnp.where(turned, flipped, corners)
        return corners if self.zoom is None else self.zoom.boxes(corners)


def mean_colour(image: jax.Array) -> jax.Array:
    """Gives the mean colour of an image (H, W, C), of its type."""
    return jnp.round(image.mean((0, 1))).astype(image.dtype)
