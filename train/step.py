"""One training step and one test step: pure functions of a state and a batch.

A model is split once into its static graph and trees of arrays; steps merge them,
compute, and give back new trees.
"""

from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec

from train import devices, inputs
from train.augmentations import blended
from train.config import Config, Optimizer
from train.inputs import Prepare
from train.models import build
from train.optimizers import optimizer_for

_TEST = 2**32 - 1
"""The step that test images get their keys from; training never comes so far."""

_MIXUP = 2**32 - 1
"""The id, of no image, whose key a step's mixup and CutMix use."""

Batch = dict[str, jax.Array]
"""image: uint8 (B, H, W, C); label: int32 (B,), -1 for none; id: int32 (B,); where the
config distills, soft_label too: float32 (B, classes), probabilities."""


@flax.struct.dataclass
class State:
    """All that a run has learned.

    Attributes:
      step: Number of steps that were done, uint32.
      parameters: Parameters of the model.
      statistics: Statistics of its batch norms.
      optimizer: State of the optimiser.
      average: Moving averages of parameters and statistics; empty where there are none.
    """

    step: jax.Array
    parameters: nnx.State[Any, Any]
    statistics: nnx.State[Any, Any]
    optimizer: optax.OptState
    average: tuple[nnx.State[Any, Any], ...] = ()

    @property
    def tested(self) -> tuple[nnx.State[Any, Any], ...]:
        """Parameters and statistics that tests and predictions use."""
        return self.average or (self.parameters, self.statistics)


class Steps:
    """The pure functions of a run: a config, images of shape (H, W, C), its devices.

    The config's seed, uint32, is an argument of each: so all seeds have one program,
    and what is kept of it tells nothing of the keys of images.
    """

    def __init__(
        self, config: Config, shape: tuple[int, int, int], classes: int, mesh: Mesh
    ) -> None:
        inputs.check_shape(config, shape)
        self.config, self.shape, self.classes, self.mesh = config, shape, classes, mesh
        self.optimizer = optimizer_for(config)
        # The graph is the same for all parameters; this makes none.
        self.graph, _, _ = nnx.eval_shape(lambda: _parts(self._model(jnp.uint32(0))))

    def _model(self, seed: jax.Array) -> nnx.Module:
        config = self.config
        low = config.bfloat16
        if low is None:
            low = devices.has_bfloat16(self.mesh)
        shape, cell_size = inputs.input_shape(config, self.shape)
        return build(
            config.model,
            shape,
            self.classes,
            region=inputs.region(config),
            cell_size=cell_size,
            dtype=jnp.bfloat16 if low else jnp.float32,
            rngs=nnx.Rngs(jax.random.key(seed)),
        )

    def init(self, seed: jax.Array) -> State:
        """Makes the state before any step."""
        _, parameters, statistics = _parts(self._model(seed))
        return State(
            step=jnp.zeros((), jnp.uint32),
            parameters=parameters,
            statistics=statistics,
            optimizer=self.optimizer.init(parameters),
            average=(parameters, statistics) if self.config.optimizer.average else (),
        )

    def train(
        self, state: State, batch: Batch, seed: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """Takes a step: the next state; loss and share of right answers in the batch.

        Where the loss is not finite the state stays as it is, but for `step`.
        """
        config = self.config
        keys = inputs.image_keys(seed, state.step, batch["id"])
        x = self._everywhere(inputs.training(config))(keys, batch["image"])
        y = jax.nn.one_hot(batch["label"], self.classes)
        y = optax.smooth_labels(y, config.optimizer.label_smoothing)
        targets = (y, batch["soft_label"]) if config.optimizer.distill else (y,)
        key = inputs.image_keys(seed, state.step, jnp.uint32([_MIXUP]))[0]
        unit = inputs.unit(config)
        x, *asked = blended(key, config.optimizer, unit, x, *targets)

        def loss_of(
            parameters: nnx.State[Any, Any],
        ) -> tuple[jax.Array, tuple[nnx.State[Any, Any], jax.Array]]:
            model = self._merged(parameters, state.statistics)
            model.train()
            logits = model(x)
            statistics = nnx.state(model, nnx.Not(nnx.Param))
            loss = loss_for(config.optimizer, logits, *asked)
            return loss, (statistics, logits)

        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (statistics, logits)), gradient = gradient_of(state.parameters)
        updates, optimizer = self.optimizer.update(
            gradient, state.optimizer, state.parameters
        )
        after = State(
            step=state.step + 1,
            parameters=optax.apply_updates(state.parameters, updates),
            statistics=statistics,
            optimizer=optimizer,
        )
        after = after.replace(average=self._averaged(state, after))  # type: ignore[attr-defined]
        before = state.replace(step=state.step + 1)  # type: ignore[attr-defined]
        finite = jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradient))
        after = jax.tree.map(lambda a, b: jnp.where(finite, a, b), after, before)
        right = jnp.mean(logits.argmax(-1) == batch["label"])
        return after, {"loss": jnp.where(finite, loss, jnp.nan), "accuracy": right}

    def probabilities(
        self, state: State, images: jax.Array, ids: jax.Array, seed: jax.Array
    ) -> jax.Array:
        """Computes those of each class (B, classes) for images that it does not learn.

        They are the mean over `config.test_mixes` mixes of each image.
        """
        model = self._merged(*state.tested)
        model.eval()
        prepare = self._everywhere(inputs.testing(self.config))

        def once(mix: jax.Array) -> jax.Array:
            keys = inputs.image_keys(seed, jnp.uint32(_TEST) - mix, ids)
            return jax.nn.softmax(model(prepare(keys, images)))

        mixes = self.config.test_mixes
        return jnp.stack([once(jnp.uint32(i)) for i in range(mixes)]).mean(0)

    def test(self, state: State, batch: Batch, seed: jax.Array) -> dict[str, jax.Array]:
        """Sums over a batch `loss`, `right` answers and `count` of labelled images."""
        label = batch["label"]
        probabilities = self.probabilities(state, batch["image"], batch["id"], seed)
        loss = -jnp.log(jnp.take_along_axis(probabilities, label[:, None], 1)[:, 0])
        known = label >= 0
        return {
            "loss": jnp.sum(jnp.where(known, loss, 0)),
            "right": jnp.sum(known & (probabilities.argmax(-1) == label)),
            "count": jnp.sum(known),
        }

    def _averaged(self, state: State, after: State) -> tuple[nnx.State[Any, Any], ...]:
        """The averages after a step; the first steps, far from the rest, weigh less."""
        if not state.average:
            return ()
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(self.config.optimizer.average, (1 + count) / (10 + count))
        new = (after.parameters, after.statistics)
        return optax.incremental_update(new, state.average, 1 - decay)

    def _merged(
        self, parameters: nnx.State[Any, Any], statistics: nnx.State[Any, Any]
    ) -> nnx.Module:
        """The model with these arrays, all of them on each device."""
        arrays = devices.gathered(self.mesh, (parameters, statistics))
        return nnx.merge(self.graph, *arrays, copy=True)

    def _everywhere(self, prepare: Prepare) -> Prepare:
        """The same, each device by itself: what is random belongs to single images."""
        spec = PartitionSpec(devices.AXIS)
        return jax.shard_map(
            prepare, mesh=self.mesh, in_specs=(spec, spec), out_specs=spec
        )


def loss_for(
    options: Optimizer,
    logits: jax.Array,
    labels: jax.Array,
    soft_labels: jax.Array | None = None,
) -> jax.Array:
    """Computes the mean loss of a batch; all but the options are (B, classes).

    References:
      With soft labels: Hinton et al., "Distilling the Knowledge in a Neural Network"
      (2015, arXiv 1503.02531), section 2.
    """
    loss = optax.softmax_cross_entropy(logits, labels)
    if soft_labels is not None:
        warmth = options.temperature
        # What is 0 in float32 is not impossible.
        softened = jax.nn.softmax(jnp.log(soft_labels + 1e-7) / warmth)
        taught = optax.softmax_cross_entropy(logits / warmth, softened)
        # Gradients fall by the square of the temperature.
        loss = (1 - options.distill) * loss + options.distill * warmth**2 * taught
    return loss.mean()


def _parts(
    model: nnx.Module,
) -> tuple[nnx.GraphDef[Any], nnx.State[Any, Any], nnx.State[Any, Any]]:
    """The static graph, the parameters, and all other arrays of a model."""
    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]
