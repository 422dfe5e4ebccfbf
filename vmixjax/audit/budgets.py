"""How much an audit may cost."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Budget:
    """Sizes of everything that takes time.

    Attributes:
      images: of the owner, at most.
      public: of the attacker, at most.
      side: of the images in pixels, at most.
      recogniser_steps, recogniser_width: of each classifier's training, and of it.
      restoration_steps, restoration_width: of the attacker's network.
      repeats: other protections of each image, for `average`.
      pairs: for `known_pairs`.
      inversions: images that gradients are inverted for.
      inversion_steps: of each.
      members: images that membership is tried on, half of them trained on.
      member_steps: of training on these.
    """

    images: int
    public: int
    side: int
    recogniser_steps: int
    recogniser_width: int
    restoration_steps: int
    restoration_width: int
    repeats: int
    pairs: int
    inversions: int
    inversion_steps: int
    members: int
    member_steps: int


BUDGETS = {
    "quick": Budget(
        images=200,
        public=4_000,
        side=48,
        recogniser_steps=150,
        recogniser_width=16,
        restoration_steps=250,
        restoration_width=32,
        repeats=15,
        pairs=16,
        inversions=2,
        inversion_steps=200,
        members=200,
        member_steps=60,
    ),
    "hour": Budget(
        images=1_000,
        public=20_000,
        side=64,
        recogniser_steps=800,
        recogniser_width=16,
        restoration_steps=2_000,
        restoration_width=32,
        repeats=31,
        pairs=16,
        inversions=8,
        inversion_steps=600,
        members=1_000,
        member_steps=600,
    ),
    "full": Budget(
        images=1_000,
        public=20_000,
        side=128,
        recogniser_steps=6_000,
        recogniser_width=32,
        restoration_steps=8_000,
        restoration_width=48,
        repeats=63,
        pairs=32,
        inversions=16,
        inversion_steps=2_000,
        members=1_000,
        member_steps=600,
    ),
}
"""Budgets by name."""

CLASSIFIER_BATCH, RESTORATION_BATCH = 64, 16
"""Images for each step: for the same time, many small steps teach more than few."""


def usual_methods(side: int, budget: str) -> tuple[str, ...]:
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
