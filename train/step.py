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
from train.config import Config
from train.optimizers import optimizer_for
from train.tasks import TASKS, check_options
from train.tasks.task import Targets

_TEST = 2**32 - 1
"""The step that test images get their keys from; training never comes so far."""

_MIXUP = 2**32 - 1
"""The id, of no image, whose key a step's mixup and CutMix use."""

Batch = dict[str, jax.Array]
"""image: uint8 (B, H, W, C); id: int32 (B,); and the targets of the task, such as
label: int32 (B,). Where the config distills, soft_label too: float32 (B, classes)."""


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
        check_options(config)
        self.task = TASKS[config.task](config, shape, classes)
        self.optimizer = optimizer_for(config)
        # The graph is the same for all parameters; this makes none.
        self.graph, _, _ = nnx.eval_shape(lambda: _parts(self._model(jnp.uint32(0))))

    def _model(self, seed: jax.Array) -> nnx.Module:
        config = self.config
        low = config.bfloat16
        if low is None:
            low = devices.has_bfloat16(self.mesh)
        shape, cell_size = inputs.input_shape(config, self.shape)
        return self.task.build(
            shape,
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
        """Takes a step: the next state; the loss and what else is noted of the batch.

        Where the loss is not finite the state stays as it is, but for `step`.
        """
        config = self.config
        keys = inputs.image_keys(seed, state.step, batch["id"])
        prepare = self._everywhere(inputs.training(config, self.task))
        x, targets = prepare(keys, batch["image"], _targets(batch))
        key = inputs.image_keys(seed, state.step, jnp.uint32([_MIXUP]))[0]
        x, asked = self.task.asked(key, inputs.unit(config), x, targets)

        def loss_of(
            parameters: nnx.State[Any, Any],
        ) -> tuple[jax.Array, tuple[nnx.State[Any, Any], Any]]:
            model = self._merged(parameters, state.statistics)
            model.train()
            outputs = model(x)
            statistics = nnx.state(model, nnx.Not(nnx.Param))
            return self.task.loss(outputs, asked), (statistics, outputs)

        gradient_of = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (statistics, outputs)), gradient = gradient_of(state.parameters)
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
        noted = self.task.noted(outputs, targets)
        return after, {"loss": jnp.where(finite, loss, jnp.nan), **noted}

    def predictions(
        self, state: State, images: jax.Array, ids: jax.Array, seed: jax.Array
    ) -> Any:
        """Computes what is said of images that it does not learn, see `Task.likely`.

        It is the mean over `config.test_mixes` mixes of each image.
        """
        model = self._merged(*state.tested)
        model.eval()
        prepare = self._everywhere(inputs.testing(self.config))

        def once(mix: jax.Array) -> Any:
            keys = inputs.image_keys(seed, jnp.uint32(_TEST) - mix, ids)
            return self.task.likely(model(prepare(keys, images)))

        every = [once(jnp.uint32(i)) for i in range(self.config.test_mixes)]
        return jax.tree.map(lambda *some: jnp.stack(some).mean(0), *every)

    def shown(self, images: jax.Array, ids: jax.Array, seed: jax.Array) -> jax.Array:
        """Gives images (B, H, W, C) as predictions see them first, before any form."""
        return inputs.mixed(
            self.config, inputs.image_keys(seed, jnp.uint32(_TEST), ids), images
        )

    def test(self, state: State, batch: Batch, seed: jax.Array) -> dict[str, jax.Array]:
        """Computes what the tests need of a batch, see `Task.told`, on all devices."""
        likely = self.predictions(state, batch["image"], batch["id"], seed)
        told = self.task.told(likely, _targets(batch))
        # Several processes share a batch out in another order than the data set's.
        return devices.gathered(self.mesh, {**told, "id": batch["id"]})

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

    def _everywhere(self, prepare: Any) -> Any:
        """The same, each device by itself: what is random belongs to single images."""
        spec = PartitionSpec(devices.AXIS)
        return jax.shard_map(prepare, mesh=self.mesh, in_specs=spec, out_specs=spec)


def _targets(batch: Batch) -> Targets:
    """What is to be learned of a batch."""
    return {name: one for name, one in batch.items() if name not in ("image", "id")}


def _parts(
    model: nnx.Module,
) -> tuple[nnx.GraphDef[Any], nnx.State[Any, Any], nnx.State[Any, Any]]:
    """The static graph, the parameters, and all other arrays of a model."""
    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]
