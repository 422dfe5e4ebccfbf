"""The shuffle: keyed bijections of the blocks of each region.

To be read in this order:

    stages.py       which digits of a block's number turn, when, by which bits
    cipher.py       random words from a key and a counter
    prng.py         the keys of that cipher, as JAX has keys
    layout.py       how images lie in memory while stages are applied
    bits.py         the random bits that the stages ask for, place by place
    apply.py        the stages, applied to rows of tiles, forwards or backwards
    at_once.py      a batch of images: all of it at once
    chunks.py       a batch of images: as much at a time as a CPU's caches hold
    words.py        the stages once more, for kernels: columns of tiles, in words
    triton.py       the kernel for NVIDIA's GPUs
    mosaic.py       the kernel for TPUs
    platforms.py    which of these runs on which platform; a kernel is one line there
    permutation.py  `permute`, differentiable and batched, over whichever runs, and
                    `permute_rows`, of images in pieces
"""

from vmixjax._shuffle.permutation import permute, permute_rows, tiles_together

__all__ = ["permute", "permute_rows", "tiles_together"]
