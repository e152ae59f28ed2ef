"""What the tests of cells, networks and images share."""

from __future__ import annotations

import jax
import pytest


@pytest.fixture(autouse=True)
def no_axes_in_silence():
    """No array gets new axes in silence: broadcasting is written down."""
    with jax.numpy_rank_promotion("raise"):
        yield
