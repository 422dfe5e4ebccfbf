"""The photographs that scikit-image ships, mixed at three strengths."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from skimage import data

import vmixjax
from vmixjax._grid import cut, enlarge
from vmixjax.data import square
from vmixjax.planning import target_vfe

NAMES = ("astronaut", "cat", "coffee", "rocket", "retina")
STRENGTHS = (0.0, 0.5, 1.0)
SIDE = 320
CONFIG = vmixjax.MixConfig()


@dataclasses.dataclass(frozen=True)
class MixedPhotograph:
    """One photograph, mixed at one strength.

    Attributes:
      strength: place in the reachable range, 0 to 1.
      image: uint8 (SIDE, SIDE, 3), mixed.
      means: uint8 (SIDE, SIDE, 3), the mean colour of each of its regions.
      regions: side of its smallest and its largest regions, in pixels.
      target: VFE that was asked for; infinity asks for the strongest plan.
      expected, realised: VFE promised by the plan, and measured.
    """

    strength: float
    image: np.ndarray
    means: np.ndarray
    regions: tuple[int, int]
    target: float
    expected: float
    realised: float


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A photograph, uint8 (SIDE, SIDE, 3), its VFE and its mixes, weakest first."""

    name: str
    image: np.ndarray
    vfe: float
    mixes: tuple[MixedPhotograph, ...]


def load_photograph(name: str) -> np.ndarray:
    """Loads a photograph by its name in `skimage.data`: uint8 (SIDE, SIDE, 3)."""
    return square(getattr(data, name)(), SIDE, Image.Resampling.BICUBIC)


def mix_photographs(seed: int) -> list[Photograph]:
    """Mixes all photographs at each strength, each time by a key of its own."""
    key = jax.random.key(seed, impl="threefry2x32")
    photographs = []
    for i, name in enumerate(NAMES):
        image = load_photograph(name)
        mixes = []
        for j, strength in enumerate(STRENGTHS):
            target = float(target_vfe(image, strength, CONFIG))
            plan = vmixjax.plan(image, target, CONFIG)
            one_key = vmixjax.image_key(key, i * len(STRENGTHS) + j)
            mixed = vmixjax.mix(one_key, image, plan)
            levels = np.unique(np.asarray(plan.levels))
            sizes = [CONFIG.ladder[level - 1][0] for level in levels]
            mixes.append(
                MixedPhotograph(
                    strength=strength,
                    image=np.asarray(mixed),
                    means=np.asarray(region_means(mixed, plan)),
                    regions=(min(sizes), max(sizes)),
                    target=target,
                    expected=float(plan.expected_vfe),
                    realised=float(vmixjax.vfe(mixed, CONFIG.tile_size)),
                )
            )
        before = float(vmixjax.vfe(image, CONFIG.tile_size))
        photographs.append(Photograph(name, image, before, tuple(mixes)))
    return photographs


@jax.jit
def region_means(image: jax.Array, plan: vmixjax.Plan) -> jax.Array:
    """Paints each region of an image in its mean colour.

    No key is needed for it: shuffling inside regions leaves their means as they are.

    Args:
      image: uint8 (H, W, C), mixed or not; C may be 1.
      plan: the plan whose levels say how large the regions of each tile are.

    Returns:
      uint8 (H, W, C); tiles of level 0 stay as they are.

    References:
      Ours.
    """
    tile = plan.config.tile_size
    levels = enlarge(plan.levels[..., None], tile)
    painted = image
    for level, (size, _) in enumerate(plan.config.ladder, start=1):
        means = jnp.round(cut(image, size).astype(jnp.float32).mean((1, 3)))
        means = enlarge(means.astype(image.dtype), size)
        painted = jnp.where(levels == level, means, painted)
    return painted
