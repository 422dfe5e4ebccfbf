"""Mixing as a method, an entry for each channel mode: all regions by one pair of sizes.

>>> made = METHODS.shared.make((32, 32, 3), "8/2")
>>> made.title
'vmixjax, regions of 8, blocks of 2 pixels, channels shared'
"""

import functools
import types
from typing import cast

import jax

from vmixjax.config import CHANNEL_MODES, Channels, MixConfig
from vmixjax.methods.method import Method, Protection, Strength
from vmixjax.mixing import mix
from vmixjax.planning import full_plan


def method_name(mode: str) -> str:
    """What users call mixing by a channel mode: `mix` for the default one."""
    return "mix" if mode == MixConfig.channels else f"mix-{mode}"


def _build(
    mode: Channels, shape: tuple[int, ...], strength: Strength | None
) -> Protection:
    """The full plan of one level, from `REGION[/BLOCK]` in pixels."""
    size, _, grain = str(strength or "").partition("/")
    if not size.isdecimal() or (grain and not grain.isdecimal()):
        raise ValueError("give a size of regions in pixels, such as mix:8 or mix:8/2")
    region, block = int(size), int(grain or 1)
    plan = full_plan(shape, MixConfig(region, ((region, block),), mode))

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return mix(key, image, plan)

    title = f"vmixjax, regions of {region}, "
    title += "pixels" if block == 1 else f"blocks of {block} pixels"
    if mode != MixConfig.channels:
        title += f", channels {mode}"
    return Protection(
        protect,
        keys="each",
        strength=float(region),
        region=region,
        block=block,
        channels=mode,
        mixes=True,
        title=title,
    )


METHODS = types.SimpleNamespace(
    **{
        mode: Method(
            name=method_name(mode),
            title="vmixjax",
            build=functools.partial(_build, cast(Channels, mode)),
            remark="Every tile mixed by the strongest level of a ladder with one, "
            f"{meaning.summary}.",
        )
        for mode, meaning in CHANNEL_MODES.items()
    }
)
"""The entries, by channel mode."""
