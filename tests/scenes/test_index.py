"""Candidates: pairs with corners in common, without comparing all pairs."""

import numpy as np

from vmixjax.scenes.descriptor import Descriptor
from vmixjax.scenes.index import Index

RNG = np.random.default_rng


def descriptor(rng, corners=40):
    return Descriptor(
        128,
        128,
        rng.integers(0, 128, (corners, 2)).astype(np.uint8),
        rng.integers(0, 256, (corners, 16)).astype(np.uint8),
    )


def shifted(one, by, flips, rng):
    """The same corners elsewhere, each with so many of its bits wrong."""
    bits = np.unpackbits(one.bits, axis=1)
    for row in bits:
        row[rng.choice(128, flips, replace=False)] ^= 1
    corners = (one.corners.astype(int) + by).clip(0, 255).astype(np.uint8)
    return one._replace(corners=corners, bits=np.packbits(bits, axis=1))


def candidates(descriptors):
    index = Index(len(descriptors))
    index.add(0, descriptors)
    return set(map(tuple, index.pack().candidates().tolist()))


def test_corners_in_common_make_candidates_and_chance_makes_none():
    rng = RNG(0)
    descriptors = [descriptor(rng) for _ in range(200)]
    for i in range(0, 200, 10):
        descriptors[i + 1] = shifted(descriptors[i], 20, 8, rng)
    expected = {(i, i + 1) for i in range(0, 200, 10)}
    assert candidates(descriptors) == expected


def test_corners_must_lie_alike():
    rng = RNG(1)
    places = [(10, 10), (100, 20), (30, 90), (110, 110)]
    one = descriptor(rng, 4)._replace(corners=np.array(places, np.uint8))
    turned = one._replace(corners=one.corners[[3, 2, 1, 0]])
    assert candidates([one, shifted(one, 9, 0, rng)]) == {(0, 1)}
    assert candidates([one, turned]) == set()


def test_thousands_of_the_same_make_chains_and_not_all_pairs():
    rng = RNG(2)
    one = descriptor(rng)
    found = candidates([one] * 1000)
    assert {(i, i + 1) for i in range(999)} <= found
    assert len(found) < 10_000


def test_nothing_in_nothing_out():
    none = Descriptor(9, 9, np.empty((0, 2), np.uint8), np.empty((0, 16), np.uint8))
    assert candidates([]) == set()
    assert candidates([none, None, none]) == set()
    assert candidates([none, descriptor(RNG(3), 1)]) == set()


def test_what_is_packed_is_what_was_given():
    rng = RNG(4)
    descriptors = [descriptor(rng, n) for n in (3, 0, 5)]
    index = Index(4)
    index.add(2, [descriptors[2], None])
    index.add(0, descriptors[:2])
    packed = index.pack()
    for number, one in enumerate(descriptors):
        there = packed[number]
        assert (there.height, there.width) == (128, 128)
        np.testing.assert_array_equal(there.corners, one.corners)
        np.testing.assert_array_equal(there.bits, one.bits)
    assert len(packed[3].bits) == 0
