import dataclasses
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from methods import KEY, photographs

from vmixjax.attacks._borders import misfits
from vmixjax.attacks._symmetries import (
    COMPOSE,
    INVERSE,
    MOVES,
    WAYS,
    colours_of,
    lay,
)
from vmixjax.attacks._turned_assembly import assemble_turned, turned_misfits
from vmixjax.attacks._upright import upright
from vmixjax.attacks.jigsaw import ATTACK
from vmixjax.attacks.threat_model import ThreatModel
from vmixjax.attacks.turned_jigsaw import turned_jigsaw
from vmixjax.methods import named

PHOTOS = photographs().reshape(5, 64, 5, 64, 5, 3).mean((2, 4)).astype(np.uint8)
COLOURS = colours_of(3)
WAY, COLOUR = st.integers(0, 7), st.integers(0, 11)


@settings(max_examples=20, deadline=None)
@given(WAY, WAY, COLOUR, COLOUR)
def test_ways_after_each_other_are_ways(first, then, colour, other):
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    laid = lay(lay(image, first), then)
    assert (laid == lay(image, COMPOSE[then, first])).all()
    assert (lay(lay(image, first), INVERSE[first]) == image).all()
    painted = COLOURS.paint(COLOURS.paint(image, colour), other)
    assert (painted == COLOURS.paint(image, COLOURS.compose[other, colour])).all()
    back = COLOURS.paint(COLOURS.paint(image, colour), COLOURS.inverse[colour])
    assert (back == image).all()


def test_there_are_eight_ways_to_lie_and_twelve_colours_and_steps_go_along():
    image = np.zeros((3, 3, 1), int)
    image[1, 1], image[1, 2], image[2, 1] = 1, 2, 3
    all_laid = [lay(image, way) for way in range(WAYS)]
    assert len({laid.tobytes() for laid in all_laid}) == 8
    for laid, moves in zip(all_laid, MOVES, strict=True):
        right, down = np.argwhere(laid[..., 0] == 2)[0], np.argwhere(laid == 3)[0][:2]
        assert (right - 1 == moves @ [0, 1]).all()
        assert (down - 1 == moves @ [1, 0]).all()
    assert len(set(COLOURS.ways)) == 12
    assert (COLOURS.paint(PHOTOS, 0) == PHOTOS).all()


def test_misfits_are_those_of_blocks_that_lie_side_by_side():
    rng = np.random.default_rng(0)
    pieces = rng.integers(0, 256, (3, 4, 4, 3), np.uint8)
    found = np.asarray(turned_misfits(pieces))
    assert found.shape == (3, 8, 3, 8, 12)
    assert np.isinf(found[1, :, 1]).all()
    check = jax.jit(misfits)
    for p, q, a, b, e in [(0, 1, 2, 5, 3), (2, 0, 7, 4, 11), (1, 2, 0, 6, 8)]:
        left = lay(pieces[p], a).astype(np.float32)
        right = COLOURS.paint(lay(pieces[q], b), e).astype(np.float32)
        expected = check(
            (left[None, :, -1], left[None, :, -2]),
            (right[None, :, 0], right[None, :, 1]),
        )
        np.testing.assert_allclose(found[p, a, q, b, e], expected[0, 0], rtol=1e-4)


def scattered(shape, seed):
    """Blocks of a rectangle as they were scrambled, and the misfits that tell it all.

    Block p lies at place p, in its way and colour; only true neighbours fit.
    """
    rng = np.random.default_rng(seed)
    rows, columns = shape
    count = rows * columns
    order = rng.permutation(count).reshape(shape)
    way, colour = rng.integers(0, 8, count), rng.integers(0, 12, count)
    fits = np.ones((count, 8, count, 8, 12), np.float32)
    fits[np.arange(count), :, np.arange(count)] = np.inf
    steps = [((0, 1), 0), ((1, 0), 1), ((0, -1), 2), ((-1, 0), 3)]
    for y, x in itertools.product(range(rows), range(columns)):
        for (down, right), quarters in steps:
            if 0 <= y + down < rows and 0 <= x + right < columns:
                p, q = order[y, x], order[y + down, x + right]
                more = COLOURS.compose[COLOURS.inverse[colour[p]], colour[q]]
                for mirror in (0, 6):
                    turn = COMPOSE[mirror, quarters]
                    a, b = COMPOSE[turn, way[p]], COMPOSE[turn, way[q]]
                    fits[p, a, q, b, more] = 0
    return fits, order, way[order], colour[order]


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (1, 3), (1, 2)])
def test_what_fits_in_one_way_only_is_put_together_but_for_a_turn_of_all(shape):
    fits, order, way, colour = scattered(shape, sum(shape))
    found = assemble_turned(fits, shape, COLOURS)
    turns = []
    for turn in range(WAYS):
        turned = lay(np.stack([order, COMPOSE[turn, way]], -1), turn)
        if turned.shape[:2] == shape and (turned[..., 0] == found.block).all():
            turns.append((turned[..., 1] == found.way).all())
    assert any(turns)
    paints = COLOURS.compose[:, colour.ravel()[0]].tolist()
    for block, painted in zip(found.block.ravel(), found.colour.ravel(), strict=True):
        if block == order[0, 0]:
            paint = paints.index(painted)
    back = dict(zip(found.block.ravel(), found.colour.ravel(), strict=True))
    for block, painted in zip(order.ravel(), colour.ravel(), strict=True):
        assert back[block] == COLOURS.compose[paint, painted]


def likest(image, original):
    """The image in that one of all ways and colours which is nearest to another."""
    every = [
        COLOURS.paint(lay(image, way), colour)
        for way in range(WAYS)
        for colour in range(12)
    ]
    return min(every, key=lambda x: np.mean((x.astype(float) - original) ** 2))


def test_etc_in_blocks_of_16_is_undone_but_for_a_turn_and_colouring_of_all():
    protection = named("etc:16", PHOTOS.shape[1:])
    assert ATTACK.applies(protection, 64)
    keys = jax.random.split(KEY, len(PHOTOS))
    protected = np.stack(
        [protection.protect(*one) for one in zip(keys, PHOTOS, strict=True)]
    )
    known = ThreatModel(protection.protect, PHOTOS, 64, 16, turned=True)
    solved = np.asarray(ATTACK.recover(KEY, protected, known, {}))
    right = [
        np.mean(likest(image, original) == original)
        for image, original in zip(solved, PHOTOS, strict=True)
    ]
    # Where two channels are nearly equal, they may have been taken for each other.
    assert np.mean(right) > 0.9
    assert min(right) > 0.8
    before = [
        np.mean(likest(image, original) == original)
        for image, original in zip(protected, PHOTOS, strict=True)
    ]
    assert np.mean(before) < 0.3


def test_pictures_are_turned_to_lie_as_public_ones_do():
    rng = np.random.default_rng(0)
    sky = np.linspace(200, 40, 16)[:, None, None] * np.array([0.7, 0.9, 1])
    pictures = rng.normal(0, 12, (40, 16, 16, 3)) + rng.normal(0, 20, (40, 1, 1, 1))
    pictures = np.clip(pictures + sky, 0, 255).astype(np.uint8)
    turned = [
        COLOURS.paint(lay(image, rng.integers(8)), rng.integers(12))
        for image in pictures[:8]
    ]
    found = upright(np.stack(turned), pictures[8:])
    for image, original in zip(found, pictures, strict=False):
        assert any((image == x).all() for x in (original, original[:, ::-1]))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"block": 5}, "threat_model.block of 5 does not divide regions of 64 x 64"),
        ({"public": PHOTOS[:, :32]}, "threat_model.public are images of .*one size"),
    ],
)
def test_bad_arguments_are_named(options, words):
    known = ThreatModel(lambda key, image: image, PHOTOS, block=16, turned=True)
    with pytest.raises(ValueError, match=words):
        turned_jigsaw(KEY, PHOTOS, dataclasses.replace(known, **options))


@pytest.mark.parametrize("block", [2, 64])
def test_too_many_blocks_or_one_come_back_as_they_are(block):
    known = ThreatModel(lambda key, image: image, PHOTOS, block=block, turned=True)
    assert (np.asarray(turned_jigsaw(KEY, PHOTOS, known)) == PHOTOS).all()
