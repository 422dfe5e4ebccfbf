"""What networks that know clean digits, or mixed ones, recognise in mixed digits.

`python docs/recognised.py`, for the page on threats.
"""

import jax
import jax.numpy as jnp

from vmixjax.data.digits import enlarged_digits
from vmixjax.methods import Protect, named
from vmixjax.networks import Classifier, train_classifier


def main() -> None:
    """Prints the accuracy of both on mixed images that neither has seen."""
    public, private = enlarged_digits()
    labels, wanted = (jnp.asarray(x.labels, jnp.int32) for x in (public, private))

    def trained(protect: Protect | None) -> Classifier:
        return train_classifier(
            jax.random.key(0, impl="threefry2x32"),
            jnp.asarray(public.images),
            labels,
            classes=10,
            steps=150,
            batch_size=64,
            width=16,
            protect=protect,
            mirror=False,
        )

    clean, images = trained(None), jnp.asarray(private.images)
    keys = jax.random.split(jax.random.key(9, impl="threefry2x32"), len(images))
    for name in ("mix:8", "mix:16"):
        protect = named(name, public.images.shape[1:]).protect
        mixed = jnp.concatenate(
            [
                jax.vmap(protect)(keys[i : i + 64], images[i : i + 64])
                for i in range(0, len(images), 64)
            ]
        )
        shares = [net.accuracy(mixed, wanted) for net in (clean, trained(protect))]
        print(f"{name}: {shares[0]:.0%} by clean ones, {shares[1]:.0%} by mixed ones")


if __name__ == "__main__":
    main()
