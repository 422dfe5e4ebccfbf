"""What holds for every public name: how it is found, called and documented."""

import inspect
import typing

import pytest

import vmixjax

NAMES = sorted(vmixjax.__all__)
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(vmixjax, name))]


def test_the_table_of_contents():
    assert NAMES == [
        "MixConfig",
        "Plan",
        "canonical",
        "expected_vfe_map",
        "full_plan",
        "image_key",
        "mix",
        "plan",
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
        ["Attributes:"] if name[0].isupper() else ["Args:", "Returns:", "Source:"]
    )
    for section in sections:
        assert section in documentation
    assert name == "Plan" or "Raises:" in documentation


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
