import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from train import inputs
from train.config import Model
from train.models import MODELS, build, build_dense
from train.models.resnet import resnet18
from train.models.stems import PixelShuffleStem
from train.presets import PRESETS
from train.recipes import named
from vmixjax.errors import RunError

# Published for ImageNet's 1,000 classes and images of 224 x 224.
PUBLISHED = {
    "convmixer_768_32": 21_110_248,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "shufflenet": 2_278_604,
    "vit_s": 22_050_664,
    "vit_ti": 5_717_416,
}

LARGE = ("resnet18", "resnet50", "shufflenet", "vit_s", "vit_ti")
"""Of which a few steps take a CPU ten seconds or more."""


def count(make):
    model = nnx.eval_shape(make)
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    model = MODELS[name].make
    assert (
        count(lambda: model((224, 224, 3), 1000, rngs=nnx.Rngs(0))) == PUBLISHED[name]
    )


def test_resnet18_with_a_cifar_stem_has_the_usual_count():
    assert (
        count(lambda: resnet18((32, 32, 3), 10, stem="cifar", rngs=nnx.Rngs(0)))
        == 11_173_962
    )


def made(name, shape=(16, 16, 1), *, dtype=jnp.float32, cell_size=1, **options):
    return build(
        Model(name, **options),
        shape,
        10,
        region=8,
        cell_size=cell_size,
        dtype=dtype,
        rngs=nnx.Rngs(0),
    )


def of_config(config, shape, cell_size):
    return build(
        config.model,
        shape,
        10,
        region=inputs.region(config),
        cell_size=cell_size,
        dtype=jnp.float32,
        rngs=nnx.Rngs(0),
    )


# The large ConvMixer is the small one, longer: its depthwise layers take a CPU minutes.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if name in LARGE else [])
        for name in sorted(set(MODELS) - {"convmixer_768_32"})
    ],
)
def test_every_model_learns(name):
    """Twenty steps on a few digits: the loss falls, in training and in use."""
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.random((8, 16, 16, 1)) - 0.5, jnp.float32)
    labels = jnp.arange(8)
    # A quarter of the width: the same layers, with weights that a CPU moves in time.
    narrow = {"width": 16} if name in ("resnet18", "resnet50") else {}
    graph, parameters, rest = nnx.split(made(name, **narrow), nnx.Param, ...)
    optimizer = optax.adam(3e-4)

    def loss_of(parameters, rest):
        model = nnx.merge(graph, parameters, rest, copy=True)
        model.train()
        loss = optax.softmax_cross_entropy_with_integer_labels(model(images), labels)
        return loss.mean(), nnx.state(model, nnx.Not(nnx.Param))

    @jax.jit
    def step(parameters, rest, state):
        (loss, rest), gradient = jax.value_and_grad(loss_of, has_aux=True)(
            parameters, rest
        )
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), rest, state, loss

    losses, state = [], optimizer.init(parameters)
    for _ in range(20):
        parameters, rest, state, loss = step(parameters, rest, state)
        losses.append(float(loss))
    assert np.isfinite(losses).all()
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["resnet8", "shufflenet", "convmixer_256_8", "vit_ti"])
def test_bfloat16_is_for_computing_only(name):
    def outputs():
        model = made(name, dtype=jnp.bfloat16)
        model.eval()
        return model(jnp.zeros((2, 16, 16, 1))), nnx.state(model, nnx.Param)

    logits, parameters = jax.eval_shape(outputs)
    assert logits.shape == (2, 10)
    assert {leaf.dtype for leaf in jax.tree.leaves((logits, parameters))} == {
        jnp.dtype(jnp.float32)
    }


def strides(shape, cell_size=1, **options):
    """Of the stages of a ResNet."""
    model = nnx.eval_shape(
        lambda: made("resnet8", shape, cell_size=cell_size, **options)
    )
    found = [block.first.convolution.strides for block in model.blocks]
    return [s[0] if isinstance(s, tuple) else s for s in found]


def test_features_end_as_large_as_usual():
    assert strides((32, 32, 3)) == [1, 2, 2]
    assert strides((32, 32, 3), stem="patch", patch_size=4) == [1, 1, 1]
    # Regions of 4 pixels, as 2 x 2 places each: 16 x 16.
    assert strides((8, 8, 48), cell_size=4) == [1, 1, 2]
    assert strides((112, 112, 3)) == [1, 2, 2]
    # Regions of 8, as 2 x 2 places: the quarter that the ImageNet stem gives.
    assert strides((14, 14, 192), cell_size=8) == [1, 2, 2]
    assert strides((14, 14, 768), cell_size=16) == [1, 1, 2]


def test_a_network_for_regions_keeps_all_strides_and_is_wider():
    def widths(shape, cell_size, widened):
        options = {"widened": widened, "width": 16}
        found = nnx.eval_shape(
            lambda: made("resnet8", shape, cell_size=cell_size, **options)
        )
        stem, first = found.stem, found.blocks[0].first.convolution
        return type(stem).__name__, getattr(stem, "factor", 1), first.out_features

    assert widths((16, 16, 12), 2, 1.25) == ("ConvNorm", 1, 40)
    assert widths((8, 8, 48), 4, 1.25) == ("PixelShuffleStem", 2, 40)
    assert widths((4, 4, 192), 8, 1.0) == ("PixelShuffleStem", 4, 32)
    # Of 56 x 56 places that its stages see of such an image there are half as many.
    assert widths((14, 14, 768), 16, 1.0) == ("PixelShuffleStem", 2, 32)
    assert widths((32, 32, 3), 1, 1.25) == ("ConvNorm", 1, 16)
    assert strides((8, 8, 48), cell_size=4, widened=1.0, width=16) == [1, 2, 2]
    with pytest.raises(RunError, match=r"--model\.widened needs a --model\.width"):
        made("resnet8", (8, 8, 48), cell_size=4, widened=1.0)


def test_a_set_of_pixels_has_no_order():
    model = made("resnet8", (4, 4, 48), cell_size=4, stem="set", width=8)
    model.eval()
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 48))
    order = np.random.default_rng(0).permutation(16)
    moved = x.reshape(2, 4, 4, 3, 16)[..., order].reshape(x.shape)
    assert not np.allclose(x, moved)
    np.testing.assert_allclose(model(x), model(moved), rtol=1e-4, atol=1e-5)
    parted = x.reshape(2, 4, 4, 3, 16).at[..., 0, :].set(x[..., :16][..., order])
    assert not np.allclose(model(x), model(parted.reshape(x.shape)), atol=1e-5)


@pytest.mark.parametrize("name", ["vit_ti", "convmixer_256_8", "resnet8"])
def test_any_encoder_tells_places_that_are_small_regions(name):
    """A ViT was asked for a stem that it has not."""

    def outputs():
        model = build_dense(
            Model(name, width=48, decoder=8),
            (6, 8, 48),
            {"classes": 5},
            region=4,
            cell_size=4,
            dtype=jnp.float32,
            rngs=nnx.Rngs(0),
        )
        return model(jnp.zeros((2, 6, 8, 48)))

    assert jax.eval_shape(outputs)["classes"].shape == (2, 6, 8, 5)


@pytest.mark.parametrize(
    ("recipe", "fewest", "most"), [("vit", 0.5, 1.5), ("convmixer", 0.1, 0.2)]
)
def test_a_region_can_be_a_token(recipe, fewest, most):
    """And it takes about as many operations as the ResNet of the preset does in the
    same time."""

    def operations(config):
        shape, cell_size = inputs.input_shape(config, (32, 32, 3))
        assert shape == (8, 8, 48)
        model = of_config(config, shape, cell_size)
        model.eval()
        graph, state = nnx.split(model)
        run = jax.jit(lambda state, x: nnx.merge(graph, state)(x))
        return run.lower(state, jnp.zeros((1, *shape))).cost_analysis()["flops"]

    preset = PRESETS["cifar10_small"]
    share = operations(named(recipe).change(preset)) / operations(preset)
    assert fewest < share < most


def test_spread_gives_each_place_four():
    model = made("resnet8", (8, 8, 48), cell_size=4, width=16)
    model.eval()
    assert model.stem(jnp.ones((2, 8, 8, 48))).shape == (2, 16, 16, 16)
    # A place decides its own four and no others.
    place = jnp.zeros((1, 8, 8, 48)).at[0, 3, 5].set(jnp.arange(48.0))
    (rows, columns) = jnp.nonzero((model.stem(place) != 0).any((0, 3)))
    assert set(rows.tolist()) == {6, 7}
    assert set(columns.tolist()) == {10, 11}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_squeeze_no_region_into_a_stem_for_pixels(name):
    config = PRESETS[name]
    sides = config.data.image_shape or 2 * (config.data.image_size or 32,)
    shape, cell_size = inputs.input_shape(config, (*sides, 3))

    assert cell_size > 1
    if config.model.name.startswith("resnet"):
        model = nnx.eval_shape(lambda: of_config(config, shape, cell_size))
        assert isinstance(model.stem, PixelShuffleStem)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "resent18"}, "did you mean resnet18"),
        ({"name": "vit_ti", "stem": "cifar"}, "one stem only"),
        ({"name": "vit_ti", "patch_size": 5}, "does not divide inputs of 16 x 16"),
        ({"name": "cnn", "width": 8}, "one width only"),
        ({"name": "vit_ti", "width": 50}, "a multiple of 3, such as 51"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(RunError, match=words):
        made(**options)
