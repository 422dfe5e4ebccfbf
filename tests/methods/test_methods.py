import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import KEY, NUMBERS, PHOTO

import vmixjax
from vmixjax import methods
from vmixjax.errors import RunError
from vmixjax.methods import METHODS

MIXING = {"mix": "independent", "mix-shared": "shared", "mix-joint": "joint"}

KEYED = {
    "gaussian_noise": lambda key, x: methods.gaussian_noise(key, x, sigma=20),
    "dp_pix": lambda key, x: methods.dp_pix(key, x, epsilon=20, block=4),
    "permute_blocks": lambda key, x: methods.permute_blocks(key, x, block=2),
    "le": methods.le,
    "ele": methods.ele,
    "pe": methods.pe,
    "etc": lambda key, x: methods.etc(key, x, block=4),
}
KEYLESS = {
    "pixelate": lambda key, x: methods.pixelate(x, block=4),
    "gaussian_blur": lambda key, x: methods.gaussian_blur(x, sigma=1.5),
    "csvar_plan": lambda key, x: methods.csvar_plan(x).levels,
}


@pytest.mark.parametrize("name", [*KEYED, *KEYLESS])
def test_batches_under_jit_and_single_images_agree(name):
    function = (KEYED | KEYLESS)[name]
    images = np.stack([PHOTO, PHOTO[::-1], 255 - PHOTO])
    keys = jax.random.split(KEY, 3)
    batch = np.asarray(jax.jit(jax.vmap(function))(keys, images))
    alone = [np.asarray(function(keys[i], images[i])) for i in range(3)]
    assert batch.dtype == np.uint8
    assert [x.dtype for x in alone] == [np.uint8] * 3
    if name == "gaussian_blur":  # sums of floats, in another order
        assert np.abs(batch.astype(int) - np.stack(alone)).max() <= 1
        assert np.mean(batch != np.stack(alone)) < 0.01
    else:
        assert (batch == np.stack(alone)).all()
    if name != "csvar_plan":
        assert batch.shape == images.shape
    if name in KEYED:
        assert (np.asarray(function(keys[1], PHOTO)) != alone[0]).any()


# As methods


@pytest.mark.parametrize(
    ("name", "strength"), [("pixelate", 4), ("dp_pix", 1000), ("le", 4)]
)
def test_nothing_leaves_its_region(name, strength):
    made = METHODS[name].make(NUMBERS.shape, strength)
    inside = np.zeros(NUMBERS.shape, bool)
    inside[: made.region, : made.region] = True
    other = np.where(inside, 255 - NUMBERS, NUMBERS)
    a, b = (np.asarray(made.protect(KEY, jnp.asarray(x))) for x in (NUMBERS, other))
    assert (a[~inside] == b[~inside]).all()
    assert (a[inside] != b[inside]).any()


def test_methods_say_what_an_audit_must_know():
    made = {n: METHODS[n].make((112, 112, 3)) for n in METHODS if n not in MIXING}
    assert {n for n, m in made.items() if m.keys == "one"} == {
        "le",
        "ele",
        "published_vmix",
    }
    assert {n for n, m in made.items() if m.keys == "none"} == {
        "pixelate",
        "gaussian_blur",
    }
    assert {n for n, m in made.items() if m.region is None} == {
        "gaussian_noise",
        "gaussian_blur",
        "pe",
    }
    assert {n: m.block for n, m in made.items() if m.block > 1} == {"etc": 8}
    assert made["published_vmix"].region == 8
    assert made["permute_blocks"].region == 112
    assert all(m.name == n for n, m in made.items())
    # Blocks that fit: 15 has no 8.
    assert METHODS["etc"].make((45, 30, 3)).strength == 5


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("size", ["4", "4/2"])
def test_mixing_is_a_method_by_each_channel_mode(name, size):
    made = methods.named(f"{name}:{size}", (16, 12, 3))
    region, block = 4, int(size[2:] or 1)
    config = vmixjax.MixConfig(region, ((region, block),), MIXING[name])
    expected = vmixjax.mix(KEY, PHOTO, vmixjax.full_plan(PHOTO.shape, config))
    assert (made.protect(KEY, jnp.asarray(PHOTO)) == expected).all()
    assert (made.keys, made.region, made.block) == ("each", region, block)
    assert (made.channels, made.half_bytes) == (MIXING[name], False)
    assert (made.name, made.method) == (f"{name}:{size}", name)
    assert made.title.startswith("vmixjax, regions of 4, ")
    assert made.remark.endswith(". Each image has a key of its own.")


def test_only_mixing_mixes():
    assert list(METHODS)[:3] == list(MIXING)
    names = [f"{name}:8" if name in MIXING else name for name in METHODS]
    made = [methods.named(name, (112, 112, 3)) for name in names]
    assert [one.mixes for one in made] == [name in MIXING for name in METHODS]


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].strengths])
def test_what_is_matched_has_choices_weakest_first(name):
    made = methods.named(f"{name}:match", (64, 64, 3))
    strengths = METHODS[name].strengths
    found = tuple(one.strength for one in made.choices)
    assert found == tuple(s for s in strengths if name != "csvar" or s < 8)
    for one in made.choices:
        assert one.name == f"{name}:{one.strength:g}"
        assert one.title.endswith(METHODS[name].unit.format(one.strength))
        assert not one.choices
    assert made.name == f"{name}:match"
    assert made.title == made.choices[0].title


def test_strengths_are_numbers_or_text_that_says_them():
    shape = (16, 12, 3)
    assert METHODS["pixelate"].make(shape, "4").strength == 4
    assert METHODS["mix"].make(shape, 4).name == "mix:4"
    noise = methods.named("gaussian_noise:20", shape)
    assert noise.title == "Gaussian noise, sigma 20"
    assert noise.remark.startswith("See vmixjax.methods. Each image has a key of its ")
    assert re.search(r"it is \([\d,]+, 1e-5\)-differentially private\.$", noise.remark)


# Other packages' methods


@pytest.fixture
def negative(tmp_path, monkeypatch):
    """A package with a method of its own, as if it were installed."""
    (tmp_path / "negatives.py").write_text(
        "from vmixjax.methods import Method, Protection\n"
        "def build(shape, strength):\n"
        "    return Protection(lambda key, image: 255 - image, keys='none')\n"
        "METHOD = Method('negative', 'a negative', build, remark='Hides nothing.')\n"
    )
    info = tmp_path / "negatives-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: negatives\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[vmixjax.methods]\nnegative = negatives:METHOD\n"
    )
    len(METHODS)  # so that what was there comes back afterwards
    monkeypatch.delitem(vars(METHODS), "_places")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("negative")
def test_other_packages_add_methods():
    assert [*METHODS][-1] == "negative"
    made = methods.named("negative", NUMBERS.shape)
    assert (made.protect(KEY, NUMBERS) == 255 - NUMBERS).all()
    assert (made.name, made.title) == ("negative", "a negative")
    assert made.remark == "Hides nothing. There is no key."
    assert not made.mixes
    with pytest.raises(RunError, match="did you mean negative"):
        methods.method_of("negativ:3")


# Bad input


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: methods.le(KEY, PHOTO / 1), TypeError, "float64.*float32"),
        (
            lambda: methods.le(KEY, PHOTO.astype("f")),
            TypeError,
            "uint8.*got float32.*255",
        ),
        (
            lambda: methods.pixelate(PHOTO.astype("uint16")),
            TypeError,
            "got uint16",
        ),
        (lambda: methods.pe(KEY, PHOTO[None]), ValueError, "jax.vmap"),
        (lambda: methods.pe(0, PHOTO), TypeError, "typed JAX PRNG key; got int"),
        (lambda: methods.pe(KEY, PHOTO, share=1.5), ValueError, "share.*1.5"),
        (lambda: methods.etc(KEY, PHOTO), ValueError, "block of 8 .* 16 x 12.*16 x"),
        (lambda: methods.pixelate(PHOTO, block=0), ValueError, "block.*got 0"),
        (lambda: methods.pixelate(PHOTO, block=5000), ValueError, "at most 4096"),
        (
            lambda: methods.gaussian_blur(PHOTO, sigma=0),
            ValueError,
            "sigma.*over 0; got 0",
        ),
        (
            lambda: methods.gaussian_noise(KEY, PHOTO, sigma=float("nan")),
            ValueError,
            "sigma.*nan",
        ),
        (
            lambda: methods.gaussian_noise(KEY, PHOTO, sigma=jnp.float32(3)),
            TypeError,
            "sigma must be a Python number",
        ),
        (
            lambda: methods.dp_pix(KEY, PHOTO, block=4, epsilon=-1),
            ValueError,
            "epsilon.*-1",
        ),
        (
            lambda: methods.dp_pix(KEY, PHOTO, block=4, neighbours=0),
            ValueError,
            "neighbours.*0",
        ),
        (lambda: methods.noise_epsilon(0, (8, 8, 3)), ValueError, "sigma.*got 0"),
        (
            lambda: methods.noise_epsilon(9, (8, 8, 3), delta=1),
            ValueError,
            "delta.*below 1",
        ),
        (lambda: methods.noise_epsilon(9, (8, 8)), ValueError, "H, W, C"),
        (lambda: methods.csvar_plan(PHOTO[:15]), ValueError, "15 x 12.*regions of 4"),
        (lambda: methods.csvar_plan(PHOTO, finest=4), ValueError, "finest.*below 4"),
        (lambda: methods.csvar_plan(NUMBERS, finest=3), ValueError, "power of 2"),
        (
            lambda: methods.published_plan(NUMBERS, np.ones((14, 14))),
            ValueError,
            "16 x 12.*112 x 112",
        ),
        (
            lambda: methods.published_plan(
                np.tile(NUMBERS[:, :8], (7, 14, 1)), np.ones(14)
            ),
            ValueError,
            "sensitivity.*14, 14",
        ),
        (lambda: methods.named("aes", (8, 8, 3)), ValueError, "aes.*gaussian_noise"),
        (lambda: METHODS["le"].make((9, 8, 3), 4), ValueError, "block of"),
        (lambda: METHODS["le"].make((8, 8, 3), 0.5), ValueError, "0.5"),
        (
            lambda: METHODS["published_vmix"].make((32, 32, 3)),
            ValueError,
            "32 x 32.*resize",
        ),
        (
            lambda: METHODS["published_vmix"].make((112, 112, 3), 1),
            ValueError,
            "no strength",
        ),
    ],
)
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pixellate:4", "'pixellate:4' is none of mix, .* did you mean pixelate"),
        ("mix", "--methods mix: give a size of regions in pixels, such as mix:8"),
        ("mix:8/x", "such as mix:8 or mix:8/2"),
        ("mix:match", "such as mix:8"),
        ("mix:5", "--methods mix:5: .*16 x 12 is not made of whole tiles of 5"),
        ("mix:4/4", "block"),
        ("pixelate:x", "--methods pixelate:x: could not convert"),
        ("pixelate:3", "--methods pixelate:3: block of 3 does not divide"),
        ("gaussian_blur:-1", "--methods gaussian_blur:-1: sigma"),
        ("published_vmix:match", "published_vmix:match: .*no strength"),
    ],
)
def test_what_users_name_wrongly_is_said_in_a_line(name, words):
    with pytest.raises(RunError, match=words) as caught:
        methods.named(name, (16, 12, 3))
    assert "\n" not in str(caught.value)


def test_a_match_that_no_strength_fits_is_refused():
    with pytest.raises(RunError, match=r"--methods csvar:match: .*whole regions of 8"):
        methods.named("csvar:match", (20, 20, 3))
