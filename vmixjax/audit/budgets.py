"""How much an audit may cost."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Budget:
    """Sizes of everything that takes time.

    Attributes:
      images: of the owner, at most.
      public: of the attacker, at most.
      side: of the images in pixels, at most.
      recogniser_steps, restoration_steps: of training.
      restoration_width: of the attacker's network.
      repeats: other protections of each image, for `average`.
      pairs: for `known_pairs`.
      inversions: images that gradients are inverted for.
      inversion_steps: of each.
      members: images that membership is tried on.
    """

    images: int
    public: int
    side: int
    recogniser_steps: int
    restoration_steps: int
    restoration_width: int
    repeats: int
    pairs: int
    inversions: int
    inversion_steps: int
    members: int


BUDGETS = {
    "quick": Budget(
        images=200,
        public=4_000,
        side=64,
        recogniser_steps=300,
        restoration_steps=150,
        restoration_width=32,
        repeats=15,
        pairs=16,
        inversions=2,
        inversion_steps=200,
        members=200,
    ),
    "full": Budget(
        images=1_000,
        public=20_000,
        side=128,
        recogniser_steps=3_000,
        restoration_steps=4_000,
        restoration_width=48,
        repeats=63,
        pairs=32,
        inversions=16,
        inversion_steps=2_000,
        members=1_000,
    ),
}
"""Budgets by name."""
