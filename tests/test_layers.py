"""The library works with the packages that it asks for, and no others."""

import importlib.metadata
import subprocess
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Needs neither files nor a command line: what a researcher imports.
LIBRARY = """
import jax, jax.numpy as jnp, vmixjax
from vmixjax.optimizers import st_adam
everything = {name: getattr(vmixjax, name) for name in vmixjax.__all__}
assert len(everything) >= 13
config = vmixjax.MixConfig(8, ((4, 1), (8, 1)))
image = jnp.arange(16 * 16 * 3, dtype=jnp.uint8).reshape(16, 16, 3)
plan = vmixjax.plan(image, vmixjax.target_vfe(image, 0.5, config), config)
key = vmixjax.image_key(jax.random.key(0), 7)
mixed = vmixjax.mix(key, image, plan)
assert (mixed != image).any()
assert (vmixjax.unmix(key, mixed, plan) == image).all()
"""


def closure(requirements):
    """Names of installed distributions: those required, and what they require."""
    seen, left = set(), [Requirement(text) for text in requirements]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in importlib.metadata.requires(name) or ():
                further = Requirement(text)
                if not further.marker or further.marker.evaluate({"extra": extra}):
                    left.append(further)
    return {name for name, _ in seen}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Runs code in an environment that holds the bare layer and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in closure(PROJECT["dependencies"]):
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files:
            if ".." not in file.parts:
                (site / file).parent.mkdir(parents=True, exist_ok=True)
                (site / file).symlink_to(distribution.locate_file(file))
    (site / "vmixjax").symlink_to(ROOT / "vmixjax")

    def run(code):
        return subprocess.run(
            [folder / "bin" / "python", "-I", "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )

    return run


def test_the_bare_layer_is_seven_packages():
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    expected = {"jax", "jaxlib", "flax", "optax", "chex", "numpy", "lazy-loader"}
    assert names == expected


def test_layers_lie_on_each_other():
    assert "vmixjax[cli]" in EXTRAS["tfds"]
    assert "vmixjax[cli]" in EXTRAS["beam"]
    assert "vmixjax[cli]" in EXTRAS["detect"]
    assert "vmixjax[tfds]" in EXTRAS["train"]
    assert EXTRAS["all"] == ["vmixjax[beam,detect,heic,tiff,train]"]


def test_the_library_works_in_the_bare_layer(bare):
    run = bare(LIBRARY)
    assert run.returncode == 0, run.stderr
    missing = bare("import PIL")
    assert "No module named 'PIL'" in missing.stderr


def test_a_command_says_that_the_extra_is_missing(bare):
    run = bare("import sys; from vmixjax.cli import main; sys.exit(main(['demo']))")
    assert run.returncode
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "[cli]" in run.stderr


def test_files_of_tests_have_names_of_their_own():
    """Pytest imports them by their names alone."""
    names = [path.name for path in Path(__file__).parent.rglob("*.py")]
    assert sorted(names) == sorted(set(names))
