"""ChaCha8 against the vectors that were published for it, and against itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vmixjax._shuffle.cipher import BLOCK_WORDS, KEY_WORDS, chacha8, unrolled

# J. Strombergson, "Test Vectors for the Stream Cipher ChaCha" (Internet-Draft, 2013),
# keys of 256 bits, 8 rounds: TC1 and TC2, two blocks each; TC3.
VECTORS = [
    (
        "00" * 32,
        "00" * 8,
        "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"
        "984ce172b9216f419f445367456d5619314a42a3da86b001387bfdb80e0cfe42"
        "d2aefa0deaa5c151bf0adb6c01f2a5adc0fd581259f9a2aadcf20f8fd566a26b"
        "5032ec38bbc5da98ee0c6f568b872a65a08abf251deb21bb4b56e5d8821e68aa",
    ),
    (
        "01" + "00" * 31,
        "00" * 8,
        "cf5ee9a0494aa9613e05d5ed725b804b12f4a465ee635acc3a311de8740489ea"
        "289d04f43c7518db56eb4433e498a1238cd8464d3763ddbb9222ee3bd8fae3c8"
        "b4355a7d93dd8867089ee643558b95754efa2bd1a8a1e2d75bcdb32015542638"
        "291941feb49965587c4fdfe219cf0ec132a6cd4dc067392e67982fe53278c0b4",
    ),
    (
        "00" * 32,
        "01" + "00" * 7,
        "2b8f4bb3798306ca5130d47c4f8d4ed13aa0edccc1be6942090faeeca0d7599b"
        "7ff0fe616bb25aa0153ad6fdc88b954903c22426d478b97b22b8f9b1db00cf06",
    ),
]


@pytest.mark.parametrize("form", [chacha8, unrolled])
@pytest.mark.parametrize(("key", "nonce", "stream"), VECTORS)
def test_published_vectors(form, key, nonce, stream):
    words = np.frombuffer(bytes.fromhex(key + nonce), "<u4").astype(np.uint32)
    blocks = len(stream) // 128
    number = jnp.arange(blocks, dtype=jnp.uint32)
    counter = (number, jnp.uint32(0), *map(jnp.uint32, words[KEY_WORDS:]))
    block = form([jnp.uint32(x) for x in words[:KEY_WORDS]], counter)
    drawn = np.stack(block, 1).astype("<u4").tobytes()
    assert drawn == bytes.fromhex(stream)


def test_both_forms_are_the_same_everywhere():
    rng = np.random.default_rng(0)
    words = jnp.asarray(rng.integers(0, 2**32, (KEY_WORDS + 4, 3, 5), np.uint32))
    key, counter = words[:KEY_WORDS, :, :1], words[KEY_WORDS:]
    loop = jnp.stack(chacha8(key, counter))
    assert loop.shape == (BLOCK_WORDS, 3, 5)
    assert (jnp.stack(unrolled(key, counter)) == loop).all()
    batched = jax.vmap(unrolled, (1, 1))(key, counter)
    assert (jnp.stack(batched) == loop).all()


def test_every_bit_of_key_and_counter_counts():
    words = np.zeros((1 + 32 * (KEY_WORDS + 4), KEY_WORDS + 4), np.uint32)
    for bit in range(len(words) - 1):
        words[1 + bit, bit // 32] = 1 << (bit % 32)
    columns = [jnp.asarray(x) for x in words.T]
    block = np.stack(chacha8(columns[:KEY_WORDS], columns[KEY_WORDS:]), 1)
    differing = np.unpackbits((block[1:] ^ block[0]).view(np.uint8), axis=1)
    # Of 512 bits half change, give or take six standard deviations.
    assert (np.abs(differing.sum(1, dtype=int) - 256) < 6 * 512**0.5 / 2).all()
