"""Optimisers by name: `optimizer_for`.

An optimiser is an entry in `SCALERS`, which does all but the schedule and weight decay.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from train.config import Config, Optimizer, OptimizerName
from vmixjax.errors import RunError
from vmixjax.optimizers import scale_by_st_adam

SCALERS: dict[OptimizerName, Callable[[Optimizer], optax.GradientTransformation]] = {
    "adam": lambda options: optax.scale_by_adam(),
    "st_adam": lambda options: scale_by_st_adam(adaptation=options.adaptation),
    "sgd": lambda options: optax.trace(0.9, nesterov=True),
}
"""What turns gradients into directions, by the name of the optimiser."""


def optimizer_for(config: Config) -> optax.GradientTransformation:
    """Builds the optimiser of a config, with its schedule.

    Raises:
      RunError: An option that the optimiser cannot have.
    """
    options = config.optimizer
    try:
        scaler = SCALERS[options.name](options)
    except ValueError as error:
        raise RunError(f"--optimizer: {error}") from error
    rate = optax.warmup_cosine_decay_schedule(
        0.0, options.learning_rate, max(1, config.steps // 10), max(2, config.steps)
    )
    if not options.weight_decay:
        return optax.chain(scaler, optax.scale_by_learning_rate(rate))
    # The rate scales update and decay alike, as in AdamW.
    decay = optax.add_decayed_weights(
        options.weight_decay,
        mask=lambda tree: jax.tree.map(lambda leaf: jnp.ndim(leaf) > 1, tree),
    )
    return optax.chain(scaler, decay, optax.scale_by_learning_rate(rate))
