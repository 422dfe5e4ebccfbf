"""Trains the small network on digits, clean or mixed inside the jitted step.

python -m train --help
"""

import dataclasses

import tyro

from vmixjax.config import MixConfig


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a small network on handwritten digits of 32 x 32 pixels.

    Example: python -m train --region 16 --steps 1000
    """

    region: int = 8
    """Side of the regions that are shuffled, in pixels; 0 leaves the images clean."""
    steps: int = 600
    """Training steps of 128 images."""
    seed: int = 0
    """Of initialisation, batches and mixing keys."""


def main() -> None:
    """Trains, and prints the accuracy on test images as it goes."""
    options = tyro.cli(Options, prog="python -m train")

    from vmixjax.demo.learning import enlarged_digits, fit, mixer_for

    train, test = enlarged_digits()
    mixer = None
    if options.region:
        config = MixConfig(options.region, ((options.region, 1),))
        mixer = mixer_for(test.images.shape[1:], config)
    name = f"mixed in regions of {options.region}" if mixer else "clean"
    curve = fit(name, train, test, mixer, seed=options.seed, steps=options.steps)
    for step, loss, accuracy in zip(
        curve.steps, curve.losses, curve.accuracies, strict=True
    ):
        print(f"step {step:5}  loss {loss:.4f}  test accuracy {accuracy:.1%}")


if __name__ == "__main__":
    main()
