"""The library needs no more than its own seven dependencies and what they bring."""

import importlib.metadata
import json
import subprocess
import sys
import textwrap

from packaging.requirements import Requirement

SEVEN = ("jax", "jaxlib", "flax", "optax", "chex", "numpy", "lazy-loader")

PROGRAM = """
    import importlib
    import json
    import sys

    others, indirect, modules = json.loads(sys.argv[1])

    class Missing:
        '''Has no other packages, and for vmixjax none that the seven bring along.'''

        def find_spec(self, name, path=None, target=None):
            package = name.partition(".")[0]
            frame = sys._getframe(1)
            while frame.f_globals.get("__name__", "").startswith("importlib"):
                frame = frame.f_back
            importer = frame.f_globals.get("__name__", "").partition(".")[0]
            if package in others or importer == "vmixjax" and package in indirect:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    sys.meta_path.insert(0, Missing())
    import vmixjax

    for name in vmixjax.__all__:
        getattr(vmixjax, name)
    for module in modules:
        importlib.import_module(module)
    config = vmixjax.MixConfig(4, ((4, 1),))
    print(vmixjax.full_plan((8, 4, 3), config).levels.tolist())
"""


def distributions(names):
    """Names of distributions, and of all that these require."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        required = [Requirement(line) for line in lines]
        waiting += [
            r.name
            for r in required
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return found


def packages(names):
    """Top-level packages of distributions."""
    owners = importlib.metadata.packages_distributions()
    return {
        package
        for package, of in owners.items()
        if any(owner.lower().replace("_", "-") in names for owner in of)
    }


def run(modules):
    installed = set(importlib.metadata.packages_distributions()) - {"vmixjax"}
    theirs, own = packages(distributions(SEVEN)), packages(SEVEN)
    blocked = [sorted(installed - theirs), sorted(theirs - own), modules]
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), json.dumps(blocked)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_public_name_works_with_the_dependencies_of_the_library_alone():
    done = run(["vmixjax.optimizers"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[1], [1]]"


def test_what_needs_more_is_told_from_what_does_not():
    done = run(["vmixjax.metrics"])
    assert done.returncode
    assert "ModuleNotFoundError: No module named 'skimage'" in done.stderr
