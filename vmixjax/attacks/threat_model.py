"""What an attacker knows: the algorithm, its settings, public images; never a key."""

import dataclasses

import jax

from vmixjax.methods.method import Protect


@dataclasses.dataclass(frozen=True)
class ThreatModel:
    """What is known of how images were protected, to whoever wants them back.

    Attributes:
      protect: the method with its settings, to be used with the attacker's own keys.
      public: images like the owner's, uint8 (N, H, W, C), none of them the owner's.
      region: side of the regions that no value leaves, in pixels; None where there are
        none.
      block: side of the blocks that stay whole, in pixels; 1 where single pixels move.
      labels: classes of the public images, int32 (N,), where they are known.
    """

    protect: Protect
    public: jax.Array
    region: int | None = None
    block: int = 1
    labels: jax.Array | None = None
