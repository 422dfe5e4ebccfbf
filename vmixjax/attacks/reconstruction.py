"""Restoration: a network that learned from public images what protection takes away.

Whoever knows the method protects public images of their own, with their own keys, and
trains a network to give the originals back. It is the strongest general attack here:
it needs nothing but the method and images of the same kind.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from vmixjax.attacks._batches import check_images, in_chunks
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.methods.method import Protect
from vmixjax.networks.training import Graph, Parameters, init_params, rate_at
from vmixjax.networks.unet import UNet, folded, unfolded

FEWEST_PUBLIC = 4
PATCH = 4
"""Side of the squares that the network works on, at most, in pixels."""
MOST_VALUES = 64
"""Sorted blocks of a region that the network is told of, at most, evenly chosen."""

_OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
_CRITICS = optax.scale_by_adam(b1=0.5)


@dataclasses.dataclass(frozen=True)
class _View:
    """How images become the network's channels and back."""

    region: int | None
    block: int
    patch: int

    def inputs(self, protected: jax.Array) -> jax.Array:
        """Images in [0, 1] -> (B, H / patch, W / patch, features)."""
        features = [folded(protected, self.patch) - 0.5]
        if self.region is not None:
            mean = self.base(protected)
            features.append(folded(protected - mean, self.patch))
            values = sorted_blocks(protected - mean, self.region, self.block)
            features.append(self._spread(values, protected.shape))
        return jnp.concatenate(features, -1)

    def base(self, protected: jax.Array) -> jax.Array:
        """What the network only corrects: the means of regions, or what was given."""
        if self.region is None:
            return protected
        size, channels = self.region, protected.shape[-1]
        squares = folded(protected, size)
        means = squares.reshape(*squares.shape[:3], size**2, channels).mean(-2)
        return jnp.repeat(jnp.repeat(means, size, 1), size, 2)

    def _spread(self, values: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Tells each patch of a region the region's values, and which patch it is."""
        assert self.region is not None
        side = self.region // self.patch
        values = jnp.repeat(jnp.repeat(values, side, 1), side, 2)
        if side == 1:
            return values
        rows, columns = shape[1] // self.patch, shape[2] // self.patch
        down = jax.nn.one_hot(jnp.arange(rows) % side, side)
        across = jax.nn.one_hot(jnp.arange(columns) % side, side)
        places = jnp.concatenate(
            [
                jnp.broadcast_to(down[:, None], (rows, columns, side)),
                jnp.broadcast_to(across[None], (rows, columns, side)),
            ],
            -1,
        )
        places = jnp.broadcast_to(places, (shape[0], *places.shape))
        return jnp.concatenate([values, places], -1)


def sorted_blocks(images: jax.Array, region: int, block: int) -> jax.Array:
    """What no key changes: the blocks of each region by their means, channel apart.

    With blocks of one pixel it holds the values of `vmixjax.canonical`.

    Args:
      images: (B, H, W, C) floating.
      region: side of the regions, divides H and W.
      block: side of the blocks, divides the region.

    Returns:
      (B, H / region, W / region, blocks * block^2 * C): ascending, at most
      `MOST_VALUES` of the blocks, evenly chosen.
    """
    batch, height, width, channels = images.shape
    blocks = folded(images, block).reshape(
        batch, height // block, width // block, block**2 * channels
    )
    side = region // block
    squares = folded(blocks, side)
    squares = squares.reshape(*squares.shape[:3], side**2, block**2, channels)
    order = jnp.argsort(squares.mean(-2, keepdims=True), axis=-3)
    squares = jnp.take_along_axis(squares, order, axis=-3)
    if side**2 > MOST_VALUES:
        chosen = jnp.round(jnp.linspace(0, side**2 - 1, MOST_VALUES)).astype(jnp.int32)
        squares = squares[..., chosen, :, :]
    return squares.reshape(*squares.shape[:3], -1)


class _Settings(NamedTuple):
    """What is static in a training step."""

    view: _View
    batch_size: int
    crop: tuple[int, int]
    adversarial: float


class _Player(NamedTuple):
    """A network in training."""

    parameters: Parameters
    state: optax.OptState


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A trained network; `restore` is a pure function of arrays."""

    graph: Graph
    parameters: Parameters
    view: _View

    def restore(self, protected: jax.typing.ArrayLike) -> jax.Array:
        """Protected images, uint8 (B, H, W, C) -> reconstructions, the same shape."""
        protected = check_images("protected", protected)
        _check_sides("protected", protected, self.view.region, self.view.block)
        return in_chunks(
            lambda chunk: _restore(self.graph, self.view, self.parameters, chunk),
            protected,
        )


def restoration(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    knowledge: ThreatModel,
    *,
    steps: int = 400,
    batch_size: int = 32,
    width: int = 48,
    depth: int = 1,
    learning_rate: float = 1.5e-3,
    crop: int = 64,
    adversarial: float = 0.0,
) -> jax.Array:
    """Restores protected images by a network trained for it on public ones.

    Args:
      key: as for `train_restorer`.
      protected: uint8 (B, H, W, C).
      knowledge: as for `train_restorer`, and so are all options.
      steps: training steps.
      batch_size: public images for each.
      width: channels of the U-Net at its finest grid.
      depth: coarser grids that it has.
      learning_rate: at its peak.
      crop: side of the squares of larger images that it trains on.
      adversarial: weight of a discriminator's opinion.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError, ValueError: as `train_restorer`; images of another dtype or shape.

    Source: a network trained on images that the attacker protected is the attack of
    McPherson et al. 2016 (arXiv 1609.00408), who recognise where we restore. The U-Net
    is from Ronneberger et al. 2015, the adversarial loss from pix2pix (Isola et al.
    2017), with a hinge. What the network is told of regions is ours: their means, and
    their values in sorted order, channel by channel. Where values changed channels
    ("joint") that order still depends on the key, so there the attack has to be read
    as a lower bound, more than elsewhere.
    """
    restorer = train_restorer(
        key,
        knowledge,
        steps=steps,
        batch_size=batch_size,
        width=width,
        depth=depth,
        learning_rate=learning_rate,
        crop=crop,
        adversarial=adversarial,
    )
    return restorer.restore(protected)


def train_restorer(
    key: jax.Array,
    knowledge: ThreatModel,
    *,
    steps: int = 400,
    batch_size: int = 32,
    width: int = 48,
    depth: int = 1,
    learning_rate: float = 1.5e-3,
    crop: int = 64,
    adversarial: float = 0.0,
) -> Restorer:
    """Trains the network of `restoration`, to be used on many images.

    Args:
      key: of the first weights, the batches and the attacker's own keys.
      knowledge: method, public images, and regions and blocks where there are any.
      steps: training steps.
      batch_size: public images for each.
      width: channels of the U-Net at its finest grid.
      depth: coarser grids that it has.
      learning_rate: at its peak, after which it falls to 0 along a cosine.
      crop: side of the squares of larger images that it trains on.
      adversarial: weight of a discriminator's opinion in the loss: sharper looks, paid
        for in PSNR. 0 leaves it out.

    Returns:
      The trained network.

    Raises:
      TypeError: public images that are not uint8.
      ValueError: fewer than 4 of them, sides that the region does not divide, a region
        that the block does not divide, a count that is not positive.
    """
    public = check_images("knowledge.public", knowledge.public, fewest=FEWEST_PUBLIC)
    _check_sides("knowledge.public", public, knowledge.region, knowledge.block)
    counts = {
        "steps": steps,
        "batch_size": batch_size,
        "width": width,
        "depth": depth,
        "crop": crop,
    }
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1; got {value}")
    if adversarial < 0:
        raise ValueError(f"adversarial must be at least 0; got {adversarial}")

    height, wide, channels = public.shape[1:]
    patch = math.gcd(PATCH if knowledge.region else PATCH // 2, height, wide)
    patch = math.gcd(patch, knowledge.region or patch)
    view = _View(knowledge.region, knowledge.block, patch)
    unit = knowledge.region or patch
    cropped = max(crop // unit, 1) * unit
    settings = _Settings(
        view,
        batch_size,
        (min(cropped, height), min(cropped, wide)),
        adversarial,
    )

    init, train = jax.random.split(key)
    features = jax.eval_shape(view.inputs, jnp.zeros((1, *public.shape[1:])))
    graph, parameters = init_params(
        jax.random.fold_in(init, 0),
        UNet,
        features.shape[-1],
        patch**2 * channels,
        width=width,
        depth=depth,
    )
    player = _Player(parameters, _OPTIMIZER.init(parameters))
    critic_graph, critic = None, None
    if adversarial:
        critic_graph, parameters = init_params(
            jax.random.fold_in(init, 1), PatchDiscriminator, 2 * channels, width=width
        )
        critic = _Player(parameters, _CRITICS.init(parameters))
    for number in range(steps):
        protected, original = _pairs(
            knowledge.protect, settings, public, jax.random.fold_in(train, number)
        )
        player, critic = _step(
            graph,
            critic_graph,
            settings,
            player,
            critic,
            protected,
            original,
            rate_at(number, steps, learning_rate),
        )
    return Restorer(graph, player.parameters, view)


class PatchDiscriminator(nnx.Module):
    """Tells originals from restored images, patch by patch.

    Source: the PatchGAN of Isola et al. 2017 (arXiv 1611.07004), much smaller.
    """

    def __init__(self, channels: int, *, width: int, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(4 * channels, width, (3, 3), rngs=rngs)
        self.second = nnx.Conv(4 * width, 2 * width, (3, 3), rngs=rngs)
        self.norm = nnx.LayerNorm(2 * width, rngs=rngs)
        self.last = nnx.Conv(2 * width, 1, (3, 3), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(B, H, W, C) floating -> (B, H/4, W/4, 1), higher where it looks original."""
        missing = ((0, 0), (0, -x.shape[1] % 4), (0, -x.shape[2] % 4), (0, 0))
        x = folded(jnp.pad(x, missing, mode="edge"), 2)
        x = folded(nnx.leaky_relu(self.first(x), 0.2), 2)
        return self.last(nnx.leaky_relu(self.norm(self.second(x)), 0.2))


def _apply(
    graph: Graph, view: _View, parameters: Parameters, protected: jax.Array
) -> jax.Array:
    """uint8 -> float32, 0 to 1 where it is right."""
    given = protected.astype(jnp.float32) / 255
    correction = nnx.merge(graph, parameters)(view.inputs(given))
    return view.base(given) + unfolded(correction, view.patch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _restore(
    graph: Graph, view: _View, parameters: Parameters, protected: jax.Array
) -> jax.Array:
    restored = jnp.clip(_apply(graph, view, parameters, protected), 0, 1)
    return jnp.round(restored * 255).astype(jnp.uint8)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(3, 4))
def _step(
    graph: Graph,
    critic_graph: Graph | None,
    settings: _Settings,
    player: _Player,
    critic: _Player | None,
    protected: jax.Array,
    original: jax.Array,
    rate: jax.Array,
) -> tuple[_Player, _Player | None]:
    wanted = original.astype(jnp.float32) / 255
    base = settings.view.base(protected.astype(jnp.float32) / 255)

    def opinion(parameters: Parameters, images: jax.Array) -> jax.Array:
        assert critic_graph is not None
        both = jnp.concatenate([images - 0.5, base - 0.5], -1)
        return nnx.merge(critic_graph, parameters)(both)

    def loss_of(parameters: Parameters) -> tuple[jax.Array, jax.Array]:
        restored = _apply(graph, settings.view, parameters, protected)
        loss = jnp.mean((restored - wanted) ** 2)
        if critic is not None:
            looks = opinion(critic.parameters, restored).mean()
            loss -= settings.adversarial * looks
        return loss, restored

    (_, restored), gradient = jax.value_and_grad(loss_of, has_aux=True)(
        player.parameters
    )
    player = _updated(_OPTIMIZER, player, gradient, rate)
    if critic is not None:

        def critic_loss(parameters: Parameters) -> jax.Array:
            real, made = opinion(parameters, wanted), opinion(parameters, restored)
            return jnp.mean(nnx.relu(1 - real)) + jnp.mean(nnx.relu(1 + made))

        gradient = jax.grad(critic_loss)(critic.parameters)
        critic = _updated(_CRITICS, critic, gradient, rate / 4)
    return player, critic


def _updated(
    optimizer: optax.GradientTransformation,
    player: _Player,
    gradient: Parameters,
    rate: jax.Array,
) -> _Player:
    updates, state = optimizer.update(gradient, player.state, player.parameters)
    updates = optax.tree.scale(-rate, updates)
    return _Player(optax.apply_updates(player.parameters, updates), state)


# Apart from the step, which is then one program for all methods of the same regions.
@functools.partial(jax.jit, static_argnums=(0, 1))
def _pairs(
    protect: Protect, settings: _Settings, public: jax.Array, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A batch of public images, some mirrored, protected with fresh keys and cut."""
    pick, mirror, keys, place = jax.random.split(key, 4)
    ids = jax.random.randint(pick, (settings.batch_size,), 0, len(public))
    images = public[ids]
    flip = jax.random.bernoulli(mirror, shape=(settings.batch_size, 1, 1, 1))
    images = jnp.where(flip, images[:, :, ::-1], images)
    protected = jax.vmap(protect)(jax.random.split(keys, settings.batch_size), images)

    unit = settings.view.region or settings.view.patch
    most = [
        (n - c) // unit for n, c in zip(images.shape[1:3], settings.crop, strict=True)
    ]
    corners = unit * jax.random.randint(
        place, (settings.batch_size, 2), 0, jnp.array(most) + 1
    )

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        size = (*settings.crop, image.shape[2])
        return jax.lax.dynamic_slice(image, (*corner, 0), size)

    return jax.vmap(cut)(protected, corners), jax.vmap(cut)(images, corners)


def _check_sides(name: str, images: jax.Array, region: int | None, block: int) -> None:
    if region is None:
        return
    if region < 1 or block < 1 or region % block:
        raise ValueError(
            f"knowledge.block must divide knowledge.region; got {block} and {region}"
        )
    if images.shape[1] % region or images.shape[2] % region:
        raise ValueError(
            f"{name} are {images.shape[1]} x {images.shape[2]}, which are not whole "
            f"regions of {region}: pad or crop them as they were for protection"
        )
