"""How much an audit may cost, and what it compares for that."""

from vmixjax.attacks import ATTACKS, Budget
from vmixjax.errors import RunError

BUDGETS: dict[str, Budget] = {
    "quick": {
        "images": 200,
        "public": 4_000,
        "side": 48,
        "recogniser_steps": 150,
        "recogniser_width": 16,
    },
    "hour": {
        "images": 1_000,
        "public": 20_000,
        "side": 64,
        "recogniser_steps": 800,
        "recogniser_width": 16,
    },
    "full": {
        "images": 1_000,
        "public": 20_000,
        "side": 128,
        "recogniser_steps": 6_000,
        "recogniser_width": 32,
    },
}
"""What an audit itself takes: images of the owner and of the attacker, and their sides
in pixels, at most; the steps of each classifier's training, and its width."""


def budget_of(name: str) -> Budget:
    """Gathers the sizes of all that takes time, an audit's own and each attack's.

    Args:
      name: Out of `BUDGETS`.

    Raises:
      RunError: Two give a size of one name, or an attack has none for the budget.
    """
    sizes = dict(BUDGETS[name])
    for attack in ATTACKS.values():
        if not attack.budgets:
            continue
        if name not in attack.budgets or sizes.keys() & attack.budgets[name].keys():
            raise RunError(
                f"the attack {attack.name} must have sizes for --budget {name}, of "
                f"names that are not taken; mend it in its package"
            )
        sizes |= attack.budgets[name]
    return sizes


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
