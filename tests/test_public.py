"""What holds for every public name: how it is found, called and documented."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
import typing

import pytest

import vmixjax
import vmixjax.attacks
from vmixjax import methods, metrics, optimizers

NAMES = sorted(vmixjax.__all__)
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(vmixjax, name))]
# All but one, which nobody tells anything and which cannot fail.
TOLD = [name for name in FUNCTIONS if name != "new_secret"]


def test_the_table_of_contents():
    assert NAMES == [
        "MixConfig",
        "Plan",
        "canonical",
        "expected_vfe_map",
        "full_plan",
        "image_key",
        "key",
        "mix",
        "new_secret",
        "plan",
        "target_vfe",
        "unmix",
        "vfe",
        "vfe_map",
        "vfe_range",
    ]
    assert set(NAMES) <= set(dir(vmixjax))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented(name):
    documentation = inspect.getdoc(getattr(vmixjax, name))
    assert documentation
    sections = (
        ["Attributes:"] if name[0].isupper() else ["Args:", "Returns:", "References:"]
    )
    for section in sections:
        assert section in documentation or (section, name) == ("Args:", "new_secret")
    assert name in ("Plan", "new_secret") or "Raises:" in documentation


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_public_function_is_typed_and_called_alike(name):
    function = getattr(vmixjax, name)
    parameters = inspect.signature(function).parameters
    hints = typing.get_type_hints(function)
    assert set(hints) == {*parameters, "return"}
    if "key" in parameters:
        assert next(iter(parameters)) == "key"
    for parameter in parameters.values():
        optional = parameter.default is not inspect.Parameter.empty
        assert optional == (parameter.kind is inspect.Parameter.KEYWORD_ONLY)
        if parameter.name != "image_shape":
            assert f"{parameter.name}:" in inspect.getdoc(function)


def section(public, title):
    """The lines of one section of a docstring, as one text."""
    found = re.search(rf"(?ms)^{title}:(.*?)(?=^\S|\Z)", inspect.getdoc(public))
    assert found, f"{public.__name__} has no section {title}"
    return " ".join(found[1].split())


def entry(public, title, argument):
    """What a section says of one argument or attribute, or of several at once."""
    found = re.search(
        rf"(?:^| )(?:\w+, )*{argument}(?:, \w+)*: (.*?)(?= [a-z]\w*(?:, \w+)*: |$)",
        section(public, title),
    )
    assert found, f"{public.__name__} says nothing of {argument}"
    return found[1]


# What an argument is: its shape and dtypes, or its unit or range.
MEANT = {
    "image": r"\(H, W, C\).*(uint8, uint16 or floating|uint8 \(scaled)",
    "key": "[Oo]ne typed key|that the image was mixed with",
    "tile_size": "in pixels; divides H and W",
    "region_size": "in pixels; divides H and W",
    "image_shape": r"\(H, W, C\)",
    "image_id": "integer from 0 to",
    "target_vfe": "in the units of `vfe`; at least 0",
    "sensitivity": r"\(H // T, W // T\) numbers of at least 0|as for `plan`",
    "config": "ladder",
    "plan": "[Pp]lan",
    "strength": "from 0 to 1",
    "secret": "32 random bytes",
    "channels": "mode",
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_argument_has_its_shape_or_unit(name):
    for parameter in inspect.signature(getattr(vmixjax, name)).parameters:
        assert re.search(
            MEANT[parameter], entry(getattr(vmixjax, name), "Args", parameter)
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_result_has_its_shape_and_dtype(name):
    told = section(getattr(vmixjax, name), "Returns")
    assert re.search(
        r"float32|[Ss]ame shape(,| and)( same)? dtype|[Oo]ne typed"
        r"( JAX)? key|(The|A) plan|bytes",
        told,
    )


@pytest.mark.parametrize("name", TOLD)
def test_every_error_has_its_cause(name):
    raises = section(getattr(vmixjax, name), "Raises")
    assert "TypeError" in raises
    assert "ValueError" in raises
    # Causes, or the function whose causes they are.
    assert re.search(r"(?<!Error), |as `\w+`", raises)


@pytest.mark.parametrize("name", ["MixConfig", "Plan"])
def test_every_field_is_typed_and_documented(name):
    for field in dataclasses.fields(getattr(vmixjax, name)):
        assert field.type
        assert len(entry(getattr(vmixjax, name), "Attributes", field.name)) > 10


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_type_says_anything_goes(name):
    hints = typing.get_type_hints(getattr(vmixjax, name))
    assert typing.Any not in hints.values()
    assert object not in hints.values()


# Modules of public functions that are documented in one style: see the test below.
IN_ONE_STYLE = (vmixjax, methods, metrics, optimizers)


def functions_of(*modules):
    """Public functions that modules define, or list as theirs."""
    for module in modules:
        for name in getattr(module, "__all__", vars(module)):
            function = getattr(module, name)
            if (
                inspect.isfunction(function)
                and function.__module__.startswith(module.__name__)
                and not name.startswith("_")
            ):
                yield function


def attack_functions():
    """One attack in a file, called alike; what helps it has names of its own."""
    for module in pkgutil.iter_modules(vmixjax.attacks.__path__, "vmixjax.attacks."):
        attack = module.name.rpartition(".")[2]
        found = getattr(importlib.import_module(module.name), attack, None)
        if inspect.isfunction(found):
            yield found


STYLED = [*functions_of(*IN_ONE_STYLE), *attack_functions()]


@pytest.mark.parametrize("function", STYLED, ids=lambda function: function.__name__)
def test_docstrings_are_in_one_style(function):
    documentation = inspect.getdoc(function)
    assert re.match(r"[A-Z]\w+s\b", documentation), "first a verb, in third person"
    summary, blank, *_ = documentation.splitlines()
    assert summary.endswith(".")
    assert not blank
    titles = re.findall(r"(?m)^([A-Z]\w+):$", documentation)
    if function is vmixjax.new_secret:
        assert titles == ["Returns", "References"]
    else:
        assert titles == ["Args", "Returns", "Raises", "References"]
    for title in titles:
        assert section(function, title).split(">>>")[0].strip().endswith(".")
    for parameter in inspect.signature(function).parameters:
        # A noun phrase, or a shape or dtype.
        told = entry(function, "Args", parameter)
        assert re.match(r"[A-Z(`0-9]|u?int\d|float\d|bool", told), (parameter, told)


MORE = [*functions_of(methods, metrics, optimizers), *attack_functions()]


def test_what_is_public_beside_the_table_of_contents():
    names = {function.__name__ for function in MORE}
    assert names >= {"pixelate", "le", "csvar_plan", "psnr", "st_adam", "region_means"}


@pytest.mark.parametrize("function", MORE, ids=lambda function: function.__name__)
def test_other_functions_are_typed_documented_and_called_alike(function):
    documentation = inspect.getdoc(function)
    for title in ("Args:", "Returns:", "Raises:", "References:"):
        assert title in documentation
    parameters = inspect.signature(function).parameters
    assert set(typing.get_type_hints(function)) == {*parameters, "return"}
    assert "key" not in parameters or next(iter(parameters)) == "key"
    for name, parameter in parameters.items():
        assert f"{name}:" in documentation or f"{name}," in documentation
        # `st_adam` takes the place of `optax.adam`, whose options these are.
        if name not in ("b1", "b2", "eps"):
            optional = parameter.default is not inspect.Parameter.empty
            keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY
            assert keyword or not optional
    shapes = r"\(B|\(H|\(N|float|uint8|pytree|pixels|plan|[Dd]ecibels"
    assert re.search(shapes, documentation)
