"""For these tests."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def _soon_compiled(few_optimizations):
    """They compile much, and run little of it."""
