"""Attacks on protected images, one file each, for the audit.

Each is `attack(key, protected, knowledge, ...) -> reconstruction`: `key` makes the
attacker's own random choices, `protected` is uint8 (B, H, W, C), and so is what comes
back. What more an attack needs (other mixes of the same images, pairs, gradients) is
its own keyword-only argument.
"""
