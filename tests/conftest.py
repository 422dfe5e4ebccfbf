"""For all tests: commands leave the cache folder of who runs them alone, and some
programs are compiled soon.

And, for audits, a small budget and images. What these need is imported where they are
used: most tests use neither.
"""

import atexit
import os
import tempfile
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" not in os.environ:
    # One for all of a run, and its processes: many compile the same programs.
    _programs = tempfile.TemporaryDirectory(prefix="vmixjax-tests-")
    atexit.register(_programs.cleanup)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _programs.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"

SOON_COMPILED = {
    "_shuffle",
    "methods",
    "release/test_batches.py",
    "test_jax_settings.py",
    "test_keys.py",
    "test_laws.py",
    "test_mixing.py",
    "test_planning.py",
    "train",
}
"""Tests that compile much and compute little: it takes them a half or a third of the
time. What computes much would take longer; and digests that must never change are of
programs as everybody compiles them."""

TINY = {
    "images": 24,
    "public": 64,
    "side": 16,
    "recogniser_steps": 30,
    "recogniser_width": 8,
    "smoothing_rounds": 2,
    "restoration_steps": 10,
    "restoration_width": 8,
    "repeats": 3,
    "pairs": 12,
    "inversions": 1,
    "inversion_steps": 5,
    "members": 24,
    "member_steps": 5,
    "teacher_steps": 5,
    "student_steps": 5,
    "student_shadows": 1,
    "views": 3,
    "shifted_images": 2,
    "view_rounds": 1,
}


@pytest.fixture(scope="module", autouse=True)
def _soon_compiled(request):
    """Has what runs once compiled with few optimizations, here and in processes."""
    path = request.path.relative_to(Path(__file__).parent)
    if SOON_COMPILED.isdisjoint(map(Path.as_posix, (path, *path.parents))):
        yield
        return
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
        yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def tiny(monkeypatch):
    """A quick budget for audits, that takes seconds."""
    from vmixjax.attacks import ATTACKS
    from vmixjax.audit.budgets import BUDGETS

    for budgets in (BUDGETS, *(attack.budgets for attack in ATTACKS.values())):
        if budgets:
            sizes = {name: TINY[name] for name in budgets["quick"]}
            monkeypatch.setitem(budgets, "quick", sizes)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """Folders of digits, by class: the owner's and others."""
    from PIL import Image

    from vmixjax.data.digits import enlarged_digits

    root = tmp_path_factory.mktemp("digits")
    train, _ = enlarged_digits()
    for i in range(100):
        whose = "private" if i < 30 else "public"
        folder = root / whose / str(train.labels[i])
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(train.images[i, ..., 0]).resize((16, 16))
        picture.save(folder / f"{i}.png")
    return root
