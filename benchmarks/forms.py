"""The forms of the unroll that are measured: the program's own, and one that is not (yet) in it."""

from __future__ import annotations

from functools import partial
from typing import Any

from autoregressive.unroll import backends
from autoregressive.unroll.scan import Loops, recurrent_unroll, scan_backward, scan_forward

# A GPU launches kernels for every turn of a loop: eight places in one turn, and spans as few as there.
_PLACES = Loops(partial(scan_forward, unroll=8), partial(scan_backward, unroll=8), 2**28)


def places(cell: Any, params: Any, state: Any, xs: Any) -> Any:
    """As ``autoregressive.unroll.backends.unroll``, by our loops with several places in one turn."""
    return recurrent_unroll(cell, params, state, xs, _PLACES)


FORMS: dict[str, Any] = {**backends.BACKENDS, "places": places}
