"""What an audit compares, by short names: mixing, at several strengths, and others."""

import dataclasses

import jax

import vmixjax
from vmixjax.config import Channels, MixConfig
from vmixjax.errors import RunError, none_of
from vmixjax.methods.methods import METHODS, Method, method
from vmixjax.methods.noise import noise_epsilon

_MODES: dict[str, Channels] = {
    "mix": "independent",
    "mix-shared": "shared",
    "mix-joint": "joint",
}

_TITLES = {
    "gaussian_noise": "Gaussian noise",
    "dp_pix": "DP-Pix",
    "pixelate": "pixelation",
    "gaussian_blur": "Gaussian blur",
    "permute_blocks": "blocks moved anywhere",
    "le": "learnable encryption, LE",
    "ele": "learnable encryption, ELE",
    "pe": "pixel-based encryption, PE",
    "etc": "block scrambling, EtC",
    "csvar": "CSVAR",
    "published_vmix": "VisualMixer's published rule",
}

STRENGTHS: dict[str, tuple[float, ...]] = {
    "gaussian_noise": (10, 20, 30, 40, 60, 80, 110, 150),
    "dp_pix": (1000, 300, 150, 75, 40, 20, 10),
    "pixelate": (2, 4, 8, 16, 32),
    "gaussian_blur": (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 8),
    "permute_blocks": (16, 8, 4, 2, 1),
    "le": (2, 4, 8, 16),
    "ele": (2, 4, 8, 16),
    "pe": (0.02, 0.05, 0.1, 0.2, 0.3, 0.5),
    "etc": (16, 8, 4, 2),
    "csvar": (8, 4, 2, 1),
}
"""What `BASELINE:match` chooses from, weakest first."""

_UNITS = {
    "gaussian_noise": "sigma {:g}",
    "dp_pix": "epsilon {:g}",
    "pixelate": "blocks of {:g}",
    "gaussian_blur": "sigma {:g}",
    "permute_blocks": "blocks of {:g}",
    "le": "blocks of {:g}",
    "ele": "blocks of {:g}",
    "pe": "share {:g}",
    "etc": "blocks of {:g}",
    "csvar": "blocks down to {:g}",
}

_KEYS = {
    "none": "There is no key.",
    "each": "Each image has a key of its own.",
    "one": "All images share one key, as it was published.",
}


@dataclasses.dataclass(frozen=True)
class Audited:
    """A method with its names.

    Attributes:
      name: `METHOD[:STRENGTH]`, as the user gave it.
      title: for people.
      remark: what must be known of it.
      method: the method itself; the first of `choices` where there are any.
      choices: the strengths to choose from, weakest first, where it is to be matched.
    """

    name: str
    title: str
    remark: str
    method: Method
    choices: "tuple[Audited, ...]" = ()


def usual(side: int, budget: str) -> tuple[str, ...]:
    """What is compared unless somebody says otherwise; the first is the one judged."""
    regions = [r for r in (8, 4, 16) if side % r == 0 and r < side]
    mixes = [f"mix:{region}" for region in regions]
    quick = [*mixes, "pixelate:4", "gaussian_blur:2", "gaussian_noise:50", "le:4"]
    if budget == "quick":
        return tuple(quick)
    more = ["mix-joint:8", "mix:8/2", "dp_pix", "permute_blocks:1", "ele:4", "pe"]
    more += ["etc:8", "csvar"]
    if side % 112 == 0:
        more.append("published_vmix")
    return (*quick, *more)


def named(name: str, shape: tuple[int, int, int]) -> Audited:
    """A method by its name: `mix:REGION[/BLOCK]`, or `BASELINE[:STRENGTH]`.

    `BASELINE:match` has choices: that one counts from which a network learns as much
    as from the first method of an audit.

    Raises:
      RunError: there is none of that name, or it does not fit the images.
    """
    check_kind(name)
    kind, _, strength = name.partition(":")
    try:
        if kind in _MODES:
            return _mixing(name, kind, strength, shape)
        if strength == "match" and kind in STRENGTHS:
            return _choices(name, kind, shape)
        found = method(kind, shape, strength=_number(strength))
        return _baseline(name, found, shape)
    except (TypeError, ValueError) as error:
        raise RunError(f"--methods {name}: {error}") from error


def check_kind(name: str) -> None:
    """Refuses a method that there is not; what fits the images, only `named` can tell.

    Raises:
      RunError: with the nearest names.
    """
    kind, known = name.partition(":")[0], (*_MODES, *METHODS)
    if kind not in known:
        raise RunError(none_of("--methods", name, known, like=kind))


def _choices(name: str, kind: str, shape: tuple[int, int, int]) -> Audited:
    """All strengths of a baseline that the images allow."""
    allowed, refusal = [], None
    for strength in STRENGTHS[kind]:
        try:
            found = method(kind, shape, strength=strength)
            allowed.append(_baseline(f"{kind}:{strength:g}", found, shape))
        except ValueError as error:
            refusal = error
    if not allowed:
        raise ValueError(refusal)
    first = allowed[0]
    return Audited(name, first.title, first.remark, first.method, tuple(allowed))


def _baseline(name: str, found: Method, shape: tuple[int, int, int]) -> Audited:
    return Audited(name, _title(found), _remark(found, shape), found)


def _mixing(name: str, kind: str, size: str, shape: tuple[int, int, int]) -> Audited:
    region, _, block = size.partition("/")
    if not region.isdecimal() or (block and not block.isdecimal()):
        raise ValueError("give a size of regions in pixels, such as mix:8 or mix:8/2")
    side, grain = int(region), int(block or 1)
    channels = _MODES[kind]
    config = MixConfig(side, ((side, grain),), channels)
    plan = vmixjax.full_plan(shape, config)

    def protect(key: jax.Array, image: jax.Array) -> jax.Array:
        return vmixjax.mix(key, image, plan)

    how = {
        "independent": "each colour by itself",
        "shared": "pixels keep their colour",
        "joint": "values change colours too",
    }[channels]
    what = "pixels" if grain == 1 else f"blocks of {grain} pixels"
    if channels != "independent":
        what += f", channels {channels}"
    return Audited(
        name,
        f"vmixjax, regions of {side}, {what}",
        f"Every tile mixed by the strongest level of a ladder with one, {how}. "
        f"{_KEYS['each']}",
        Method(kind, float(side), protect, "each", side, grain, channels),
    )


def _number(text: str) -> float | None:
    if not text:
        return None
    value = float(text)
    return int(value) if value.is_integer() else value


def _title(found: Method) -> str:
    if found.strength is None:
        return _TITLES[found.name]
    return f"{_TITLES[found.name]}, {_UNITS[found.name].format(found.strength)}"


def _remark(found: Method, shape: tuple[int, int, int]) -> str:
    remark = f"See vmixjax.methods. {_KEYS[found.keys]}"
    if found.name == "gaussian_noise" and found.strength is not None:
        epsilon = noise_epsilon(found.strength, shape)
        remark += (
            f" For a single image it is ({epsilon:,.0f}, 1e-5)-differentially private."
        )
    return remark
