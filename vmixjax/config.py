"""What a mixing may do: the grid of tiles, the ladder of regions and blocks, the mode.

>>> MixConfig(tile_size=16, ladder=((16, 1),))
MixConfig(tile_size=16, ladder=((16, 1),), channels='independent')
"""

import dataclasses
import operator
from typing import Literal, NamedTuple

Channels = Literal["independent", "shared", "joint"]
"""How the channels of an image take part in a shuffle; see `MixConfig`."""


class ChannelMode(NamedTuple):
    """What a channel mode means.

    Attributes:
      shares_permutation: whether one permutation serves all channels of a region, so
        that a pixel keeps its colour.
      crosses_channels: whether blocks move between the channels of their region too,
        so that not even its mean colour is left.
      summary: the same in words, for people.
    """

    shares_permutation: bool
    crosses_channels: bool
    summary: str


CHANNEL_MODES: dict[str, ChannelMode] = {
    "independent": ChannelMode(False, False, "each colour by itself"),
    "shared": ChannelMode(True, False, "pixels keep their colour"),
    "joint": ChannelMode(False, True, "values change colours too"),
}
"""What each of `Channels` means: nothing else asks for a mode by its name."""


@dataclasses.dataclass(frozen=True)
class MixConfig:
    """The static part of a plan: what every level of a tile means.

    An image is cut into tiles of `tile_size` x `tile_size` pixels. A tile at level
    k >= 1 is shuffled by `ladder[k - 1] = (region_size, block_size)`: it is cut into
    square regions, each region into square blocks, and the blocks of a region trade
    places, whole. Nothing ever leaves its region. Frozen and hashable, so it can be
    a static argument of `jax.jit`.

    Attributes:
      tile_size: Side of a tile in pixels; divides height and width of the image.
      ladder: `(region_size, block_size)` in pixels, weakest first, 1 to 255 of
        them. Each region size divides the tile size, each block size its region
        size, and a region holds at least 2 x 2 blocks. Blocks above 1 leave a jigsaw
        that can be solved: they are for images that need little.
      channels: `"independent"`, each channel by its own permutation, so that the
        colours of a pixel part ways (the paper's chromatic shuffling); `"shared"`,
        one permutation for all, so that a pixel keeps its colour; `"joint"`, blocks
        also move between the channels of their region.

    Raises:
      TypeError: A size that is not an integer, a ladder that holds no pairs.
      ValueError: Sizes that do not divide, an empty ladder, an unknown mode.
    """

    tile_size: int = 32
    ladder: tuple[tuple[int, int], ...] = ((8, 1), (16, 1), (32, 1))
    channels: Channels = "independent"

    def __post_init__(self) -> None:
        tile = _size("tile_size", self.tile_size)
        try:
            ladder = tuple((region, block) for region, block in self.ladder)
        except (TypeError, ValueError):
            raise TypeError(
                f"ladder must hold (region size, block size) pairs, such as "
                f"((8, 2), (16, 1)); got {self.ladder!r}"
            ) from None
        if not 1 <= len(ladder) <= 255:
            raise ValueError(
                f"ladder must have 1 to 255 levels; got {len(ladder)}. "
                f"Name at least one (region size, block size)"
            )
        ladder = tuple(
            (_size("region size in ladder", s), _size("block size in ladder", b))
            for s, b in ladder
        )
        for region, block in ladder:
            if tile % region:
                raise ValueError(
                    f"ladder has a region of {region} that does not divide the tile "
                    f"of {tile}; choose from {_divisors(tile)[1:]}, or another "
                    f"tile_size"
                )
            if region % block or region == block:
                raise ValueError(
                    f"ladder has a block of {block} in a region of {region}: a block "
                    f"must divide its region and be smaller; choose from "
                    f"{_divisors(region)[:-1]}"
                )
        check_channels(self.channels)
        object.__setattr__(self, "tile_size", tile)
        object.__setattr__(self, "ladder", ladder)

    @property
    def shares_permutation(self) -> bool:
        """Whether one permutation serves all channels of a region."""
        return CHANNEL_MODES[self.channels].shares_permutation

    @property
    def crosses_channels(self) -> bool:
        """Whether blocks move between the channels of their region too."""
        return CHANNEL_MODES[self.channels].crosses_channels


def check_channels(value: object) -> None:
    """Refuses whatever is not one of `Channels`."""
    if value not in CHANNEL_MODES:
        raise ValueError(
            f"channels must be one of {', '.join(CHANNEL_MODES)}; got {value!r}"
        )


def _size(name: str, value: object) -> int:
    try:
        size = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if size < 1:
        raise ValueError(f"{name} must be at least 1 pixel; got {size}")
    return size


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]
