"""For all tests: commands leave the cache folder of who runs them alone.

And, for audits, a small budget and images. What these need is imported where they are
used: most tests use neither.
"""

import os

import pytest

os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"

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


@pytest.fixture(scope="module")
def few_optimizations():
    """Compiles in half of the time what runs once, here and in processes.

    What computes much is slower by it, and digests that must never change are of
    programs as everybody has them: tests of those do without.
    """
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
