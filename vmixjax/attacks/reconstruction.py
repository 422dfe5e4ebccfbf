"""Reconstruction: a network that learned from public images what protection takes away.

Whoever knows the method protects public images of their own, with their own keys, and
trains a network to give the originals back. It is the strongest general attack here:
it needs nothing but the method and images of the same kind.
"""

import dataclasses
import functools
import math
from typing import Any, NamedTuple, TypedDict, Unpack

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from vmixjax import _validate
from vmixjax._grid import unfold
from vmixjax.attacks._region_features import RegionFeatures
from vmixjax.attacks.attack import Attack, Budget
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.total_variation import ranks, refined
from vmixjax.methods import Protect
from vmixjax.networks import trainer
from vmixjax.networks.inputs import in_chunks, mirror_half, protect_all
from vmixjax.networks.patch_discriminator import PatchDiscriminator
from vmixjax.networks.trainer import Graph, Parameters, TrainState
from vmixjax.networks.unet import UNet

FEWEST_PUBLIC = 4
PATCH = 4
"""Side of the squares that the network works on, at most, in pixels."""

_OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
_CRITICS = optax.scale_by_adam(b1=0.5)


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A trained network; `restore` is a pure function of arrays."""

    graph: Graph
    parameters: Parameters
    features: RegionFeatures

    def restore(self, protected: jax.typing.ArrayLike) -> jax.Array:
        """Reconstructs protected images, uint8 (B, H, W, C)."""
        protected = _validate.images("protected", protected)
        _check_sides("protected", protected, self.features.region, self.features.block)
        return in_chunks(
            lambda chunk: _restore(self.graph, self.features, self.parameters, chunk),
            protected,
        )


class TrainingOptions(TypedDict, total=False):
    """Options of `train_restorer`."""

    steps: int
    batch_size: int
    width: int
    depth: int
    learning_rate: float
    crop: int
    adversarial: float


def reconstruction(
    key: jax.Array,
    protected: jax.typing.ArrayLike,
    threat_model: ThreatModel,
    **options: Unpack[TrainingOptions],
) -> jax.Array:
    """Reconstructs protected images by a network trained for it on public ones.

    Args:
      key: Key as for `train_restorer`.
      protected: uint8 (B, H, W, C).
      threat_model: ThreatModel as for `train_restorer`.
      options: Options of `train_restorer`.

    Returns:
      The reconstruction, uint8 (B, H, W, C).

    Raises:
      TypeError, ValueError: as `train_restorer`; images of another dtype or shape.

    References:
      A network trained on images that the attacker protected is the attack of
      McPherson, Shokri and Shmatikov, "Defeating Image Obfuscation with Deep Learning",
      2016 (arXiv 1609.00408), who recognise where we reconstruct. The U-Net is from
      Ronneberger et al. 2015 (arXiv 1505.04597), the adversarial loss from pix2pix
      (Isola et al. 2017, arXiv 1611.07004, section 3.1), with a hinge. What the network
      is told of regions is ours: their means, and their values in sorted order, channel
      by channel. Where values changed channels ("joint") that order still depends on
      the key, so there the attack has to be read as a lower bound, more than elsewhere.
    """
    return train_restorer(key, threat_model, **options).restore(protected)


def train_restorer(
    key: jax.Array,
    threat_model: ThreatModel,
    *,
    steps: int = 400,
    batch_size: int = 32,
    width: int = 48,
    depth: int = 1,
    learning_rate: float = 1.5e-3,
    crop: int = 64,
    adversarial: float = 0.0,
) -> Restorer:
    """Trains the network of `reconstruction`, to be used on many images.

    Args:
      key: of the first weights, the batches and the attacker's own keys.
      threat_model: method, public images, and regions and blocks where there are any.
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
    public = _validate.images(
        "threat_model.public", threat_model.public, fewest=FEWEST_PUBLIC
    )
    _check_sides("threat_model.public", public, threat_model.region, threat_model.block)
    sizes = {"batch_size": batch_size, "width": width, "depth": depth, "crop": crop}
    for name, value in {"steps": steps, **sizes}.items():
        _validate.at_least(name, value, 1)
    _validate.at_least("adversarial", adversarial, 0)
    features = _features(threat_model, public.shape)
    first, train = jax.random.split(key)
    graphs, players = _players(
        first, features, public.shape, width, depth, adversarial > 0
    )
    players = trainer.fit(
        train,
        players,
        functools.partial(_step, *graphs, features, adversarial),
        functools.partial(
            _pairs, threat_model.protect, features, batch_size, crop, public
        ),
        rate=trainer.learning_rate(learning_rate, steps),
        steps=steps,
    )
    return Restorer(graphs[0], players.restorer.parameters, features)


class _Players(NamedTuple):
    """Networks in training: one that reconstructs, perhaps one that judges it."""

    restorer: TrainState
    critic: TrainState | None


def _features(threat_model: ThreatModel, shape: tuple[int, ...]) -> RegionFeatures:
    region = threat_model.region
    patch = math.gcd(PATCH if region else PATCH // 2, *shape[1:3])
    return RegionFeatures(region, threat_model.block, math.gcd(patch, region or patch))


def _players(
    key: jax.Array,
    features: RegionFeatures,
    shape: tuple[int, ...],
    width: int,
    depth: int,
    adversarial: bool,
) -> tuple[tuple[Graph, Graph | None], _Players]:
    """Untrained networks for public images of a shape (B, H, W, C)."""
    channels = shape[-1]
    inputs = jax.eval_shape(features.inputs, jnp.zeros((1, *shape[1:]))).shape[-1]
    outputs = features.patch**2 * channels
    graph, parameters = trainer.init_params(
        jax.random.fold_in(key, 0), UNet, inputs, outputs, width=width, depth=depth
    )
    restorer = trainer.init(_OPTIMIZER, parameters)
    if not adversarial:
        return (graph, None), _Players(restorer, None)
    critic_graph, parameters = trainer.init_params(
        jax.random.fold_in(key, 1), PatchDiscriminator, 2 * channels, width=width
    )
    critic = trainer.init(_CRITICS, parameters)
    return (graph, critic_graph), _Players(restorer, critic)


def _apply(network: Any, features: RegionFeatures, protected: jax.Array) -> jax.Array:
    """uint8 -> float32, 0 to 1 where it is right."""
    given = protected.astype(jnp.float32) / 255
    correction = network(features.inputs(given))
    return features.base(given) + unfold(correction, features.patch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _restore(
    graph: Graph, features: RegionFeatures, parameters: Parameters, protected: jax.Array
) -> jax.Array:
    restored = _apply(nnx.merge(graph, parameters), features, protected)
    return jnp.round(jnp.clip(restored, 0, 1) * 255).astype(jnp.uint8)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3), donate_argnums=4)
def _step(
    graph: Graph,
    critic_graph: Graph | None,
    features: RegionFeatures,
    adversarial: float,
    players: _Players,
    batch: tuple[jax.Array, jax.Array],
    rate: jax.Array,
) -> tuple[_Players, jax.Array]:
    protected, original = batch
    wanted = original.astype(jnp.float32) / 255
    base = features.base(protected.astype(jnp.float32) / 255)

    def opinion(critic: Any, images: jax.Array) -> jax.Array:
        return critic(jnp.concatenate([images - 0.5, base - 0.5], -1))

    def loss_of(network: Any, _: Any) -> tuple[jax.Array, jax.Array]:
        restored = _apply(network, features, protected)
        loss = jnp.mean((restored - wanted) ** 2)
        if critic_graph is not None and players.critic is not None:
            critic = nnx.merge(critic_graph, players.critic.parameters)
            loss -= adversarial * opinion(critic, restored).mean()
        return loss, restored

    restorer, loss, restored = trainer.update(
        graph, loss_of, _OPTIMIZER, players.restorer, batch, rate
    )
    if critic_graph is None or players.critic is None:
        return _Players(restorer, None), loss

    def critic_loss(network: Any, _: Any) -> tuple[jax.Array, None]:
        real, made = opinion(network, wanted), opinion(network, restored)
        return jnp.mean(nnx.relu(1 - real)) + jnp.mean(nnx.relu(1 + made)), None

    critic, *_ = trainer.update(
        critic_graph, critic_loss, _CRITICS, players.critic, batch, rate / 4
    )
    return _Players(restorer, critic), loss


# Apart from the step, which is then one program for all methods of the same regions.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _pairs(
    protect: Protect,
    features: RegionFeatures,
    batch_size: int,
    crop: int,
    public: jax.Array,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """A batch of public images, some mirrored, protected with fresh keys and cut."""
    pick, flip, keys, place = jax.random.split(key, 4)
    ids = jax.random.randint(pick, (batch_size,), 0, len(public))
    images = mirror_half(flip, public[ids])
    protected = protect_all(protect, keys, images)

    unit = features.region or features.patch
    sides = images.shape[1:3]
    size = [min(max(crop // unit, 1) * unit, side) for side in sides]
    most = [(n - c) // unit for n, c in zip(sides, size, strict=True)]
    corners = unit * jax.random.randint(place, (batch_size, 2), 0, jnp.array(most) + 1)

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (*corner, 0), (*size, image.shape[2]))

    return jax.vmap(cut)(protected, corners), jax.vmap(cut)(images, corners)


def _check_sides(name: str, images: jax.Array, region: int | None, block: int) -> None:
    if region is None:
        return
    if region < 1 or block < 1 or region % block:
        raise ValueError(
            f"threat_model.block must divide threat_model.region; got {block} and "
            f"{region}"
        )
    if images.shape[1] % region or images.shape[2] % region:
        raise ValueError(
            f"{name} are {images.shape[1]} x {images.shape[2]}, which are not whole "
            f"regions of {region}: pad or crop them as they were for protection"
        )


def _recover(
    key: jax.Array, protected: jax.Array, threat_model: ThreatModel, budget: Budget
) -> jax.Array:
    restored = reconstruction(
        key,
        protected,
        threat_model,
        steps=budget["restoration_steps"],
        # For the same time, many small steps teach more than few.
        batch_size=16,
        width=budget["restoration_width"],
    )
    channels = threat_model.channels
    if threat_model.region is None or channels is None or not ranks(threat_model):
        return restored
    return refined(restored, protected, threat_model, channels=channels)


ATTACK = Attack(
    name="restoration",
    about="a U-Net, trained on public images that the attacker protected with keys of "
    "their own, predicts the original; where the values of regions are known, what it "
    "predicts is brought nearer to them",
    recover=_recover,
    budgets={
        "quick": {"restoration_steps": 250, "restoration_width": 32},
        "hour": {"restoration_steps": 2_000, "restoration_width": 32},
        "full": {"restoration_steps": 8_000, "restoration_width": 48},
    },
)
