"""What is computed of images of any sizes at once, in packs that go to the device.

A program is compiled for a config, a number of channels and a type of values, once for
all sizes. What comes out for an image does not depend on the others in its packs: all
of it is integer arithmetic, tile by tile.
"""

import functools
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np

from vmixjax._energy import Energies, Precision, precision
from vmixjax._shuffle import tiles_together
from vmixjax._shuffle.cipher import KEY_WORDS
from vmixjax.config import MixConfig
from vmixjax.planning import Climb, between, climb
from vmixjax.release import programs
from vmixjax.release.config import Recipe
from vmixjax.release.packing import (
    Layout,
    Part,
    pack,
    pack_tiles,
    places,
    share_out,
    unpack,
)

_CPU_VALUES = 2**20
"""Of a pack: as many as a CPU's caches hold."""

_DEVICE_VALUES = 2**24
"""Of a pack, for other devices: enough to keep them busy."""

AlikeT = TypeVar("AlikeT")
ResultT = TypeVar("ResultT")


class Planned(NamedTuple):
    """What a plan promises for one image.

    Attributes:
      levels: uint8 (H // T, W // T).
      reachable: Whether the VFE that was asked for lies in the image's range.
    """

    levels: np.ndarray
    reachable: bool


class Measured(NamedTuple):
    """The VFE of an image, and the range that plans for it can reach."""

    vfe: float
    lowest: float
    highest: float


class Mixed(NamedTuple):
    """A mixed image, and its VFE before and after."""

    image: np.ndarray
    before: float
    after: float


def plan_images(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    recipe: Recipe,
    threads: Executor | None = None,
) -> list[Planned]:
    """Plans images of any sizes, each by itself, as `plan` and `plan_at` do.

    Args:
      images: uint8 or uint16 (H, W, C), whole tiles.
      masks: Where each is private, as the sensitivity of `plan`; None for all of it.
      recipe: How far they are to be mixed.
      threads: Threads to share the work among.
    """
    if recipe.takes_strongest:
        return list(map(functools.partial(_strongest, recipe.config), images, masks))
    planned = []
    looks = _look_at(images, recipe.config, threads)
    for image, mask, look in zip(images, masks, looks, strict=True):
        steps = climb(look.energies, mask, image.shape[2])
        levels, _, reachable = steps.reach(_target(steps, recipe))
        planned.append(Planned(levels, bool(reachable)))
    return planned


def measure_images(
    images: Sequence[np.ndarray], config: MixConfig, threads: Executor | None = None
) -> list[Measured]:
    """Measures images of any sizes, as `vfe` and `vfe_range` do."""
    measured = []
    for image, look in zip(images, _look_at(images, config, threads), strict=True):
        expected = climb(look.energies, None, image.shape[2]).expected
        measured.append(Measured(look.vfe, float(expected[0]), float(expected[-1])))
    return measured


def vfe_of_images(
    images: Sequence[np.ndarray], tile_size: int, threads: Executor | None = None
) -> list[float]:
    """Measures the VFE of images of any sizes, as `vfe` does."""
    energies = [0] * len(images)

    def measure(layout: Layout, _: None, parts: Sequence[Part]) -> list[int]:
        values = pack(parts, images, layout)
        energy = _call(programs.measure, values, layout=layout)
        return [int(energy[part.slots].sum()) for part in parts]

    kinds = [_Kind(_layout(image, tile_size), None) for image in images]
    for number, energy in _in_packs(images, kinds, measure, threads):
        energies[number] += energy
    return [
        _vfe(energy, image, tile_size)
        for energy, image in zip(energies, images, strict=True)
    ]


def mix_images(
    images: Sequence[np.ndarray],
    keys: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    config: MixConfig,
    threads: Executor | None = None,
) -> list[Mixed]:
    """Mixes images of any sizes, each by its own key, uint32 (8,), and its levels."""
    mixed = [np.empty(image.shape, image.dtype) for image in images]
    before, after = [0] * len(images), [0] * len(images)

    def mix(
        layout: Layout, config: MixConfig, parts: Sequence[Part]
    ) -> list[tuple[int, int]]:
        packed = _packed(parts, images, keys, levels, layout)
        values, was, becomes = _call(programs.mix, packed, layout=layout, config=config)
        unpack(values, parts, mixed, layout)
        each = [part.slots for part in parts]
        return [(int(was[at].sum()), int(becomes[at].sum())) for at in each]

    kinds = _kinds_to_shuffle(images, [config] * len(images))
    for number, (was, becomes) in _in_packs(images, kinds, mix, threads):
        before[number] += was
        after[number] += becomes
    return [
        Mixed(image, *(_vfe(energy, image, config.tile_size) for energy in energies))
        for image, *energies in zip(mixed, before, after, strict=True)
    ]


def unmix_images(
    images: Sequence[np.ndarray],
    keys: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    configs: Sequence[MixConfig],
    threads: Executor | None = None,
) -> list[np.ndarray]:
    """Gives images as they were before `mix_images`, each by a config of its own."""
    restored = [np.empty(image.shape, image.dtype) for image in images]

    def unmix(layout: Layout, config: MixConfig, parts: Sequence[Part]) -> list[None]:
        packed = _packed(parts, images, keys, levels, layout)
        values = _call(programs.unmix, packed, layout=layout, config=config)
        unpack(values, parts, restored, layout)
        return [None] * len(parts)

    for _ in _in_packs(images, _kinds_to_shuffle(images, configs), unmix, threads):
        pass
    return restored


class _Look(NamedTuple):
    """The VFE of an image, and what plans for it are made from."""

    vfe: float
    energies: Energies


def _look_at(
    images: Sequence[np.ndarray], config: MixConfig, threads: Executor | None
) -> list[_Look]:
    """Looks at all levels that tiles of images could have."""
    tile = config.tile_size
    kinds = [
        _Kind(_layout(image, tile), precision(image.shape, image.dtype, config))
        for image in images
    ]
    found: list[list[tuple[int, Energies]]] = [[] for _ in images]

    def expect(
        layout: Layout, exact: Precision, parts: Sequence[Part]
    ) -> list[tuple[int, Energies]]:
        values = pack(parts, images, layout)
        energy, of_levels = _call(
            programs.expect, values, layout=layout, config=config, precision=exact
        )
        return [
            (
                int(energy[part.slots].sum()),
                of_levels._replace(
                    levels=of_levels.levels[:, part.slots],
                    inside=of_levels.inside[part.slots],
                    scale=float(of_levels.scale),
                ),
            )
            for part in parts
        ]

    for number, one in _in_packs(images, kinds, expect, threads):
        found[number].append(one)
    return [_joined(*one, tile) for one in zip(found, images, strict=True)]


def _joined(
    found: Sequence[tuple[int, Energies]], image: np.ndarray, tile_size: int
) -> _Look:
    """Puts together what was found of the parts of an image, a tile to a piece."""
    energies = [of_levels for _, of_levels in found]
    grid = tuple(side // tile_size for side in image.shape[:2])
    levels = np.concatenate([one.levels for one in energies], axis=1)
    inside = np.concatenate([one.inside for one in energies])
    whole = energies[0]._replace(
        levels=levels.reshape(-1, *grid), inside=inside.reshape(grid)
    )
    return _Look(_vfe(sum(energy for energy, _ in found), image, tile_size), whole)


class _Kind(NamedTuple, Generic[AlikeT]):
    """What images have in common that can lie in one pack.

    Attributes:
      layout: Layout of the pack.
      alike: What else the program that it goes to depends on.
    """

    layout: Layout
    alike: AlikeT


def _kinds_to_shuffle(
    images: Sequence[np.ndarray], configs: Sequence[MixConfig]
) -> list[_Kind[MixConfig]]:
    return [
        _Kind(
            _layout(image, config.tile_size, tiles_together(config, image.shape[2])),
            config,
        )
        for image, config in zip(images, configs, strict=True)
    ]


def _layout(image: np.ndarray, tile_size: int, together: int = 1) -> Layout:
    on_cpu = jax.default_backend() == "cpu"
    size = _CPU_VALUES if on_cpu else _DEVICE_VALUES
    return Layout(tile_size, image.shape[2], image.dtype, together, size)


def _in_packs(
    images: Sequence[np.ndarray],
    kinds: Sequence[_Kind[AlikeT]],
    work: Callable[[Layout, AlikeT, Sequence[Part]], list[ResultT]],
    threads: Executor | None,
) -> Iterator[tuple[int, ResultT]]:
    """Does some work on packs of images, each of one kind.

    Yields:
      For each part of an image its number, and what the work gave for it.
    """
    groups: dict[_Kind[AlikeT], list[int]] = defaultdict(list)
    for number, kind in enumerate(kinds):
        groups[kind].append(number)
    for (layout, alike), numbers in groups.items():
        packs = list(share_out(images, numbers, layout))
        each = functools.partial(work, layout, alike)
        in_turn = map if threads is None or len(packs) == 1 else threads.map
        results = in_turn(each, packs)
        for parts, some in zip(packs, results, strict=True):
            yield from zip((part.image for part in parts), some, strict=True)


def _packed(
    parts: Sequence[Part],
    images: Sequence[np.ndarray],
    keys: Sequence[np.ndarray],
    levels: Sequence[np.ndarray],
    layout: Layout,
) -> programs.Packed:
    key = np.zeros((layout.pieces, KEY_WORDS), np.uint32)
    level = np.zeros((layout.pieces, layout.together), np.uint8)
    for part in parts:
        key[part.slots] = keys[part.image]
        tiles = pack_tiles(levels[part.image], layout)
        level[part.slots] = tiles[part.start : part.stop]
    row, first = places(parts, images, layout)
    values = pack(parts, images, layout)
    arrays: Any = (values, key, row, first, level)
    return programs.Packed(*arrays)


def _call(program: Callable[..., Any], *arrays: Any, **static: Any) -> Any:
    with jax.enable_x64(True):
        return jax.device_get(program(*arrays, **static))


def _vfe(energy: int, image: np.ndarray, tile_size: int) -> float:
    """Of an image with this energy, of all its channels and tiles."""
    highest = np.iinfo(image.dtype).max
    return energy * tile_size**2 / (int(highest) ** 2 * image.size)


def _strongest(
    config: MixConfig, image: np.ndarray, mask: np.ndarray | None
) -> Planned:
    grid = tuple(side // config.tile_size for side in image.shape[:2])
    private = np.ones(grid, bool) if mask is None else mask > 0
    return Planned(np.where(private, np.uint8(len(config.ladder)), np.uint8(0)), True)


def _target(steps: Climb, recipe: Recipe) -> np.floating:
    if recipe.target_vfe is not None:
        return np.float32(recipe.target_vfe)
    ends = steps.expected[0], steps.expected[-1]
    target: np.floating = between(*ends, np.float32(recipe.strength))
    return target
