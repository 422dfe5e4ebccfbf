import dataclasses
import importlib.metadata

import pytest

from vmixjax._registry import Registry
from vmixjax.errors import RunError

GROUP = "vmixjax.birds"


@dataclasses.dataclass(frozen=True)
class Bird:
    name: str


OWL = Bird("owl")
JAY = Bird("jay")


@pytest.fixture
def birds(monkeypatch):
    """A registry with an owl of ours, and what other packages are said to bring."""

    def make(**others):
        points = [
            importlib.metadata.EntryPoint(name, value, GROUP)
            for name, value in others.items()
        ]
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
        return Registry(GROUP, Bird, {"owl": f"{__name__}:OWL"})

    return make


def test_ours_come_first_and_others_behind_them(birds):
    found = birds(jay=f"{__name__}:JAY")
    assert list(found) == ["owl", "jay"]
    assert found["owl"] is OWL
    assert found["jay"] is JAY
    assert len(found) == 2


def test_a_name_that_is_missing_raises_with_the_nearest(birds):
    with pytest.raises(KeyError):
        birds()["emu"]
    with pytest.raises(
        RunError, match=r"--bird 'owll:3' is none of owl; did you mean owl\?"
    ):
        birds().find("--bird", "owll", like="owll:3")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"owl": f"{__name__}:JAY"}, "name that is taken"),
        ({"emu": f"{__name__}:JAY"}, "must be a Bird called 'emu'"),
        ({"jay": f"{__name__}:GROUP"}, "must be a Bird called 'jay'"),
        ({"jay": "no_such_package:JAY"}, "cannot be loaded .*no_such_package"),
        ({"jay": f"{__name__}:NONE"}, "cannot be loaded .*NONE"),
    ],
)
def test_what_another_package_brings_is_checked(birds, other, words):
    with pytest.raises(RunError, match=words):
        dict(birds(**other))
