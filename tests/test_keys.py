"""Keys of 256 bits are keys like any other, and what they give is pinned."""

import hashlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmixjax
from vmixjax._shuffle.prng import full_length

SECRET = bytes(range(32))
CONFIG = vmixjax.MixConfig(4, ((4, 1),))
IMAGE = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
PLAN = vmixjax.full_plan(IMAGE.shape, CONFIG)


def digest(*arrays):
    whole = b"".join(np.asarray(x).tobytes() for x in arrays)
    return hashlib.sha256(whole).hexdigest()[:16]


def test_a_secret_is_its_key_whole():
    key = vmixjax.key(SECRET)
    assert np.asarray(jax.random.key_data(key)).astype("<u4").tobytes() == SECRET
    assert jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    assert vmixjax.new_secret() != vmixjax.new_secret()


def test_every_bit_of_a_secret_counts():
    mix = jax.jit(lambda words: vmixjax.mix(rewrapped(words), IMAGE, PLAN))
    seen = set()
    for bit in range(256):
        secret = (int.from_bytes(SECRET) ^ 1 << bit).to_bytes(32)
        seen.add(digest(mix(jax.random.key_data(vmixjax.key(secret)))))
    assert len(seen) == 256


def rewrapped(words):
    impl = jax.random.key_impl(vmixjax.key(SECRET))
    return jax.random.wrap_key_data(words, impl=impl)


def test_what_keys_give_never_changes():
    key = vmixjax.key(SECRET)
    data = jax.random.key_data
    assert digest(data(jax.random.split(key, (2, 3)))) == "d680ef6e24ee9974"
    assert digest(data(jax.random.fold_in(key, 2**32 - 1))) == "780cc1f339768091"
    assert digest(data(vmixjax.image_key(key, 2**64 - 1))) == "266dfb86dd9b9e09"
    assert digest(jax.random.bits(key, (3, 7), jnp.uint32)) == "ac74ccaddcec4d23"
    assert digest(jax.random.bits(key, (37,), jnp.uint8)) == "60a07b458eb633ff"


def test_purposes_do_not_meet():
    key = vmixjax.key(SECRET)
    drawn = [
        *np.asarray(jax.random.key_data(jax.random.split(key, 3))).ravel(),
        *np.asarray(jax.random.key_data(jax.random.fold_in(key, 0))),
        *np.asarray(jax.random.bits(key, (24,))),
    ]
    assert len(set(drawn)) == len(drawn)


def test_keys_under_vmap_jit_and_sharding():
    key = vmixjax.key(SECRET)
    ids = jnp.arange(6)
    keys = jax.vmap(vmixjax.image_key, (None, 0))(key, ids)
    for i in range(6):
        assert keys[i] == jax.jit(vmixjax.image_key)(key, i)
    axis = jax.sharding.AxisType.Explicit
    mesh = jax.make_mesh((1,), ("x",), axis_types=(axis,))
    spread = jax.device_put(keys, jax.NamedSharding(mesh, jax.P("x")))
    mix = jax.vmap(lambda key: vmixjax.mix(key, IMAGE, PLAN))
    assert (jax.jit(mix)(spread) == mix(keys)).all()
    assert (vmixjax.mix(keys[4], IMAGE, PLAN) == mix(keys)[4]).all()
    halves = jax.vmap(jax.random.split)(keys)
    assert (halves[3] == jax.random.split(keys[3])).all()


def test_what_is_drawn_is_spread_evenly():
    uniform = jax.random.uniform(vmixjax.key(SECRET), (100_000,))
    assert abs(float(uniform.mean()) - 0.5) < 4 / (12 * 100_000) ** 0.5
    with jax.enable_x64(True):
        wide = jax.random.bits(vmixjax.key(SECRET), (1000,), jnp.uint64)
        ones = np.unpackbits(np.asarray(wide).view(np.uint8))
    assert len(np.unique(wide)) == 1000
    assert abs(ones.mean() - 0.5) < 4 * 0.5 / 64_000**0.5


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**64 - 1))
def test_an_id_is_its_halves(number):
    key = jax.random.key(0, impl="threefry2x32")
    whole = vmixjax.image_key(key, number)
    assert whole == vmixjax.image_key(key, (number % 2**32, number >> 32))
    halves = np.uint32(number % 2**32), np.uint32(number >> 32)
    assert whole == jax.jit(vmixjax.image_key)(key, halves)
    assert whole == vmixjax.image_key(key, np.uint64(number))
    assert whole == vmixjax.image_key(key, np.array(number, np.uint64))


def test_ids_of_64_bits_in_a_batch():
    key = vmixjax.key(SECRET)
    ids = [5, 2**32 + 5, 2**63]
    halves = tuple(np.array([i >> s & 0xFFFFFFFF for i in ids], "u4") for s in (0, 32))
    keys = jax.vmap(vmixjax.image_key, (None, 0))(key, halves)
    assert all(
        keys[i] == vmixjax.image_key(key, number) for i, number in enumerate(ids)
    )
    with jax.enable_x64(True):
        wide = jax.vmap(vmixjax.image_key, (None, 0))(key, np.array(ids, np.uint64))
    assert (wide == keys).all()


def test_a_threefry_key_mixes_as_itself_before_zeros():
    threefry = jax.random.key(7, impl="threefry2x32")
    words = full_length(threefry)
    assert words.shape == (8,)
    assert not words[2:].any()
    own = vmixjax.mix(rewrapped(words), IMAGE, PLAN)
    assert (vmixjax.mix(threefry, IMAGE, PLAN) == own).all()
    assert (vmixjax.unmix(threefry, own, PLAN) == IMAGE).all()


def test_no_seed_makes_a_full_key():
    impl = jax.random.key_impl(vmixjax.key(SECRET))
    with pytest.raises(TypeError, match=r"vmixjax\.key\(vmixjax\.new_secret\(\)\)"):
        jax.random.key(0, impl=impl)


@pytest.mark.parametrize(
    ("secret", "error"),
    [("x" * 32, TypeError), (b"password!", ValueError), (bytes(33), ValueError)],
)
def test_bad_secrets_are_refused_and_not_shown(secret, error):
    with pytest.raises(error, match="new_secret") as caught:
        vmixjax.key(secret)
    assert "password" not in str(caught.value)
    assert "xxx" not in str(caught.value)


FAST = jax.random.key(0, impl="threefry2x32")


def test_ids_in_arrays_are_those_numbers():
    five, large = (vmixjax.image_key(FAST, i) for i in (5, 2**33 + 5))
    assert five != large
    for kind in (np.uint8, ">i2", ">i8", np.uint64):
        assert vmixjax.image_key(FAST, np.array(5, kind)) == five
    for kind in (jnp.int4, jnp.int32, jnp.uint32):
        assert vmixjax.image_key(FAST, jnp.array(5, kind)) == five
    for kind in (np.int64, ">i8", np.uint64):
        assert vmixjax.image_key(FAST, np.array(2**33 + 5, kind)) == large
    assert vmixjax.image_key(FAST, np.int64(2**33 + 5)) == large
    with jax.enable_x64(True):
        for kind in (jnp.int64, jnp.uint64):
            assert vmixjax.image_key(FAST, jnp.array(2**33 + 5, kind)) == large
        assert vmixjax.image_key(FAST, jnp.int64(5)) == five


def test_no_two_traced_ids_have_one_key():
    derive = jax.vmap(vmixjax.image_key, (None, 0))
    signed = np.array([5, -5, -1, -(2**31)], np.int32)
    wide = signed.astype(np.int64)
    with jax.enable_x64(True):
        assert (derive(FAST, signed) == derive(FAST, wide)).all()
        other = wide.astype(np.uint64)
        assert (derive(FAST, wide) == derive(FAST, other)).all()
    for own, number in zip(derive(FAST, signed), other, strict=True):
        assert own == vmixjax.image_key(FAST, int(number))
    # As unsigned numbers of 32 bits they are other ids.
    unsigned = derive(FAST, signed.astype(np.uint32))
    assert (unsigned == derive(FAST, signed)).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "bad",
    [
        *[-1, 2**64, (1, 2, 3), (2**32, 0), (0, 2**32), (-1, 0)],
        *[np.array(-1), np.int8(-1), (np.array(-1), 0), (np.array(2**32), 0)],
        np.array(-5, ">i8"),
    ],
    ids=repr,
)
def test_bad_ids(bad):
    with pytest.raises(ValueError, match="image_id"):
        vmixjax.image_key(vmixjax.key(SECRET), bad)


def test_negative_ids_are_refused_in_jax_arrays_too():
    with pytest.raises(ValueError, match=r"image_id must be 0 to 2\^64 - 1; got -1"):
        vmixjax.image_key(FAST, jnp.int32(-1))
    with jax.enable_x64(True), pytest.raises(ValueError, match="got -1"):
        vmixjax.image_key(FAST, jnp.int64(-1))


@pytest.mark.parametrize("ids", [np.arange(2), jnp.arange(2)], ids=["numpy", "jax"])
def test_several_ids_are_refused_and_the_mend_works(ids):
    with pytest.raises(ValueError, match=r"image_id .* shape \(2,\).*jax\.vmap"):
        vmixjax.image_key(FAST, ids)
    keys = jax.vmap(vmixjax.image_key, (None, 0))(FAST, ids)
    assert keys[1] == vmixjax.image_key(FAST, 1)


@pytest.mark.parametrize("bad", [1.5, "7", True, np.float32(3), (1, 2.0)])
def test_ids_are_integers(bad):
    with pytest.raises(TypeError, match="image_id must be an integer"):
        vmixjax.image_key(vmixjax.key(SECRET), bad)


def test_keys_export():
    key = vmixjax.key(SECRET)

    def mixed(words, image):
        return vmixjax.mix(rewrapped(words), image, PLAN)

    shapes = [
        jax.ShapeDtypeStruct((8,), jnp.uint32),
        jax.ShapeDtypeStruct(IMAGE.shape, IMAGE.dtype),
    ]
    exported = jax.export.export(jax.jit(mixed))(*shapes)
    loaded = jax.export.deserialize(exported.serialize())
    expected = vmixjax.mix(key, IMAGE, PLAN)
    assert (loaded.call(jax.random.key_data(key), IMAGE) == expected).all()
    # Keys themselves are arguments too, but for what is stored.
    typed = jax.export.export(jax.jit(lambda k, x: vmixjax.mix(k, x, PLAN)))
    assert (typed(key, shapes[1]).call(key, IMAGE) == expected).all()


def test_nothing_is_said_while_it_compiles():
    # Some forms of the cipher keep XLA busy for long, and it complains of them.
    code = (
        "import jax, numpy as np, vmixjax\n"
        "key = vmixjax.key(bytes(range(32)))\n"
        "config = vmixjax.MixConfig(4, ((4, 1),))\n"
        "for shape in ((4, 4, 1), (8, 4, 3)):\n"
        "    plan = vmixjax.full_plan(shape, config)\n"
        "    image = np.zeros(shape, np.uint8)\n"
        "    vmixjax.mix(key, image, plan)\n"
        "    mix = jax.vmap(lambda key: vmixjax.mix(key, image, plan))\n"
        "    mix(jax.random.split(key, 1))\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
