"""What a method of protection is, and what it makes of a shape and a strength.

>>> from vmixjax.methods import METHODS
>>> made = METHODS["pixelate"].make((32, 32, 3), 8)
>>> made.name, made.title, made.region, made.keys
('pixelate:8', 'pixelation, blocks of 8', 8, 'none')
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp

from vmixjax import _validate
from vmixjax.config import Channels

Keys = Literal["none", "each", "one"]
"""How keys were published: none at all, one for each image, one for all images."""

Protect = Callable[[jax.Array, jax.Array], jax.Array]
"""(key, image (H, W, C)) -> the protected image, of the same shape and dtype."""

Strength = float | str
"""A number, or what a user wrote in its place: `"8"`, `"8/2"`."""

_KEYS: dict[Keys, str] = {
    "none": "There is no key.",
    "each": "Each image has a key of its own.",
    "one": "All images share one key, as it was published.",
}


@dataclasses.dataclass(frozen=True)
class Protection:
    """A method at one strength for images of one shape, and what is known of it.

    `Method.make` adds the name, the title, and what `remark` says of keys.

    Attributes:
      protect: (key, image (H, W, C) uint8) -> the protected image.
      keys: As published: `"each"`, every image has its own; `"one"`, all images share
        one; `"none"`, there is none, and `protect` ignores what it is given.
      strength: What it was made with; None where there is nothing to choose.
      region: Side of the squares that no value leaves, in pixels; None where values
        stay at their places, or where the whole image is one region and not square.
      block: Side of the blocks that stay whole inside it, in pixels; the smallest
        where there are several.
      channels: How the channels of moving values take part, as in
        `vmixjax.MixConfig`; None where values do not only move, but change.
      half_bytes: Whether what moves inside regions, in all of them alike, are half
        bytes, some of them inverted.
      turned: Whether each block that moves is also turned or mirrored, inverted or
        not, and has its channels exchanged, in a way of its own.
      mixes: Whether it is mixing, and not something to compare mixing with.
      name: `METHOD[:STRENGTH]`.
      title: What people read.
      remark: What must be known of it.
      choices: The strengths to choose from, weakest first, where it is to be matched;
        all else is then as for the first of them.
    """

    protect: Protect
    keys: Keys
    strength: float | None = None
    region: int | None = None
    block: int = 1
    channels: Channels | None = None
    half_bytes: bool = False
    turned: bool = False
    mixes: bool = False
    name: str = ""
    title: str = ""
    remark: str = ""
    choices: "tuple[Protection, ...]" = ()

    @property
    def method(self) -> str:
        """Name of its method."""
        return self.name.partition(":")[0]


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to protect images.

    Attributes:
      name: What users call it.
      title: What people read, without the strength.
      build: Makes it for a shape (H, W, C) and a strength: a number, text, or None for
        the default. Raises TypeError or ValueError where it cannot.
      unit: Format of the strength in titles, such as `"blocks of {:g}"`.
      strengths: What `METHOD:match` chooses from, weakest first.
      remark: What must be known of it, or where that stands.
    """

    name: str
    title: str
    build: Callable[[tuple[int, ...], Strength | None], Protection]
    unit: str = "{:g}"
    strengths: tuple[float, ...] = ()
    remark: str = ""

    def make(
        self, image_shape: tuple[int, ...], strength: Strength | None = None
    ) -> Protection:
        """Makes it for images of one shape.

        Args:
          image_shape: (H, W, C) of the images to protect.
          strength: What the function of that name calls its strength; None for its
            default, or for the largest block up to it that fits the images.

        Returns:
          The method at that strength, tried on shapes alone.

        Raises:
          TypeError, ValueError: A strength or a shape that it cannot have.
        """
        shape = tuple(image_shape)
        _validate.image_shape(shape)
        made = self.build(shape, None if strength == "" else strength)
        key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
        jax.eval_shape(made.protect, key, jax.ShapeDtypeStruct(shape, jnp.uint8))
        name, title = self.name, self.title
        if strength is not None:
            name += f":{strength if isinstance(strength, str) else f'{strength:g}'}"
        if made.strength is not None:
            title += f", {self.unit.format(made.strength)}"
        remark = " ".join(filter(None, (self.remark, _KEYS[made.keys], made.remark)))
        return dataclasses.replace(
            made, name=name, title=made.title or title, remark=remark
        )

    def choices(self, image_shape: tuple[int, ...]) -> tuple[Protection, ...]:
        """Makes it at all of its strengths that images of one shape allow.

        Args:
          image_shape: (H, W, C) of the images to protect.

        Raises:
          ValueError: None of them fits.
        """
        made, refusal = [], "there are no strengths to choose from"
        for strength in self.strengths:
            try:
                made.append(self.make(image_shape, strength))
            except ValueError as error:
                refusal = str(error)
        if not made:
            raise ValueError(refusal)
        return tuple(made)


def from_function(
    function: Callable[..., jax.Array],
    option: str,
    *,
    keys: Keys,
    title: str,
    strengths: tuple[float, ...],
    known: Callable[[tuple[int, ...], Any], Mapping[str, Any]] = lambda *_: {},
) -> Method:
    """Makes the entry of a function of this package, under the function's name.

    Args:
      function: (key, image, *, option) -> image; without the key where there is none.
      option: What it calls its strength. Its default is the method's; of blocks, the
        largest up to it that fits the images.
      keys: As for `Protection`.
      title: As for `Method`.
      strengths: As for `Method`.
      known: (shape, strength) -> what else is known, by attribute of `Protection`.
    """
    default = inspect.signature(function).parameters[option].default
    in_blocks = option == "block"

    def build(shape: tuple[int, ...], strength: Strength | None) -> Protection:
        value = number(strength, default)
        if in_blocks:
            value = block_size(strength, default, shape)
        apply = functools.partial(function, **{option: value})
        protect = apply if keys != "none" else lambda key, image: apply(image)
        return Protection(protect, keys, value, **known(shape, value))

    return Method(
        name=function.__name__,
        title=title,
        build=build,
        unit="blocks of {:g}" if in_blocks else f"{option} {{:g}}",
        strengths=strengths,
        remark="See vmixjax.methods.",
    )


def number(strength: Strength | None, default: float) -> float:
    """Reads a strength, or takes the default; a whole one becomes an int."""
    if strength is None:
        return default
    if not isinstance(strength, str):
        return strength
    value = float(strength)
    return int(value) if value.is_integer() else value


def whole_number(strength: Strength | None, default: int) -> int:
    """Reads a strength that is a number of pixels, or takes the default."""
    value = number(strength, default)
    _validate.size("strength", value)  # type: ignore[arg-type]
    return int(value)


def block_size(strength: Strength | None, usual: int, shape: tuple[int, ...]) -> int:
    """Reads a side of blocks; by default the largest up to the usual one that fits."""
    both = math.gcd(shape[0], shape[1])
    fitting = max(size for size in range(1, usual + 1) if both % size == 0)
    return whole_number(strength, fitting)


def whole_image(shape: tuple[int, ...]) -> int | None:
    """Side of the one region that a square image is; None if it is not square."""
    return shape[0] if shape[0] == shape[1] else None
