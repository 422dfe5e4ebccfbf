"""Attacks on protected images, one file each, for the audit.

Each is `attack(key, protected, threat_model, ...) -> reconstruction`: `key` makes the
attacker's own random choices, `protected` is uint8 (B, H, W, C), and so is what comes
back; `recognition` alone gives no images, but classes. What more an attack needs
(other mixes of the same images, pairs, gradients) is its own keyword-only argument.

Each file ends in its entry, `ATTACK`, which says how an audit makes it; `ATTACKS` has
them by name.
"""

from vmixjax._registry import Registry
from vmixjax.attacks.attack import Attack, Budget, Study, StudyResult

ATTACKS = Registry(
    "vmixjax.attacks",
    Attack,
    {
        "thumbnail": "vmixjax.attacks.region_means:ATTACK",
        "smoothing": "vmixjax.attacks.total_variation:ATTACK",
        "restoration": "vmixjax.attacks.reconstruction:ATTACK",
        "jigsaw": "vmixjax.attacks.jigsaw:ATTACK",
        "classifier": "vmixjax.attacks.recognition:ATTACK",
        "average": "vmixjax.attacks.averaging:ATTACK",
        "shifted_grids": "vmixjax.attacks.shifted_grids:ATTACK",
        "known_pairs": "vmixjax.attacks.known_plaintext:ATTACK",
        "gradient_inversion": "vmixjax.attacks.gradient_inversion:ATTACK",
        "membership": "vmixjax.attacks.membership:ATTACK",
        "soft_labels": "vmixjax.attacks.soft_labels:ATTACK",
    },
)
"""All attacks, in the order in which reports show them."""

__all__ = ["ATTACKS", "Attack", "Budget", "Study", "StudyResult"]
