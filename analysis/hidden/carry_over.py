"""What passes a RESET inside a network: how much of its state, and of what it predicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from jaxtyping import Float64

from analysis.hidden.states import States
from analysis.intervals import Estimate, estimates, quotient
from autoregressive.scores import kl
from meta_learning.processes import Process


@dataclass(frozen=True)
class StateCarryOver:
    """What passes a RESET, over the places after and before every RESET within a stream.

    variance: by space, of the state after the RESET over that before it, both about their mean at the
    same place of the stream. kl: KL(start || here) in nats, mean, between the first prediction of a
    stream and those after its RESETs. None where streams have no RESET before their last place.
    """

    variance: dict[str, Estimate]
    kl: Estimate


def state_carry_over(process: Process, states: States) -> StateCarryOver:
    """What passes a RESET, from states along streams of ``process``."""
    length = states.symbols.shape[1]
    T = process.task_length
    if math.isinf(T) or length <= T:
        none = Estimate(None, None, None)
        return StateCarryOver({space: none for space in states.spaces}, none)
    T = int(T)
    spread: dict[str, Float64[np.ndarray, " streams"]] = {}
    for space in states.spaces:
        values = states.space(space)
        for name, around in (("before", values[:, T - 1 : -1 : T]), ("after", values[:, T::T])):
            spread[f"{name} {space}"] = ((around - around.mean(0)) ** 2).sum(-1).mean(-1)
    spread["kl"] = kl(states.log_q[:, :1], states.log_q[:, T::T]).mean(-1)
    ratios = estimates(
        spread,
        {space: quotient(f"after {space}", f"before {space}") for space in states.spaces}
        | {"kl": itemgetter("kl")},
    )
    return StateCarryOver({space: ratios[space] for space in states.spaces}, ratios["kl"])
