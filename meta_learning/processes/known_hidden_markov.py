"""Hidden Markov models that the field has names for.

All start from the stationary distribution over their states. With T^(x)_ij = p(symbol x, next state j |
state i):

- Mess3 (Marzen and Crutchfield 2017; the letters are Shai et al.'s, 2024): three states; the one that is
  entered shows its own symbol with probability a; x is the probability of a move to either other one.
- Zero-one-random: 0, 1, then a coin, for ever. Golden mean: no two zeros in a row. Even: runs of 1
  between zeros have even length (Crutchfield and Feldman 2003). Random-random-XOR: two fair bits,
  then their exclusive or.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from meta_learning.processes.base import Process
from meta_learning.processes.hidden_markov import make_noisy
from meta_learning.processes.hidden_states import HiddenStates
from meta_learning.processes.parameters import (
    TASK_LENGTH,
    Parameter,
    probability,
)
from meta_learning.processes.stationary import stationary_distribution
from meta_learning.processes.types import Entry, Matrices


@dataclass(frozen=True)
class Mess3(HiddenStates):
    """Three states, all alike.

    a: probability, 0 to 1, that a state shows its own symbol when it is entered. x: probability of a
    move to either other state, 0 to 1/2. T as for DirichletCategorical. Errors: ValueError for anything
    else. Latent and belief: ``HiddenStates``.
    """

    a: float = 0.85
    x: float = 0.05
    T: float = math.inf

    name = "mess3"
    parameters: ClassVar[dict[str, Parameter]] = {
        "a": probability("probability that a state shows its own symbol", "0.85"),
        "x": probability("probability of a move to either other state", "0.05", 0.5),
        "T": TASK_LENGTH,
    }

    def edges_as(self, number: Entry) -> Matrices:
        a, x = number(self.a), number(self.x)
        b, y = (1 - a) / 2, 1 - 2 * x
        three = range(3)
        return [
            [[(y if i == j else x) * (a if j == k else b) for j in three] for i in three]
            for k in three
        ]

    def first_state(self) -> tuple[float, ...]:
        return (1 / 3,) * 3

    def wrong_model(self) -> Process:
        """Other a and x."""
        other = (0.6, 0.15) if (self.a, self.x) != (0.6, 0.15) else (0.85, 0.05)
        return Mess3(*other, self.T)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(0.6, 0.15, 5),)


@dataclass(frozen=True)
class _OneProbability(HiddenStates):
    """A process with one probability p, 0 to 1."""

    p: float = 0.5
    T: float = math.inf

    def first_state(self) -> tuple[float, ...]:
        return stationary_distribution(self.matrices.sum(0), "give another p")

    def wrong_model(self) -> Process:
        """Another p, which rules nothing out."""
        return type(self)(0.75 if self.p < 0.5 else 0.25, self.T)


@dataclass(frozen=True)
class ZeroOneRandom(_OneProbability):
    """0, then 1, then a coin that shows 0 with probability p. T as for DirichletCategorical. Errors:
    ValueError for anything else. Latent and belief: ``HiddenStates``."""

    name = "z1r"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": probability("probability that the coin shows 0", "0.5"),
        "T": TASK_LENGTH,
    }

    def edges_as(self, number: Entry) -> Matrices:
        p, zero, one = number(self.p), number(0), number(1)
        return [
            [[zero, one, zero], [zero, zero, zero], [p, zero, zero]],
            [[zero, zero, zero], [zero, zero, one], [1 - p, zero, zero]],
        ]

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(0.3),)


@dataclass(frozen=True)
class GoldenMean(_OneProbability):
    """1 with probability p, else 0, after which 1 is certain. T as for DirichletCategorical. Errors:
    ValueError for anything else. Latent and belief: ``HiddenStates``."""

    name = "golden-mean"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": probability("probability of 1 in the free state", "0.5"),
        "T": TASK_LENGTH,
    }

    def edges_as(self, number: Entry) -> Matrices:
        p, zero, one = number(self.p), number(0), number(1)
        return [[[zero, 1 - p], [zero, zero]], [[p, zero], [one, zero]]]

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(0.25, 4),)


@dataclass(frozen=True)
class Even(_OneProbability):
    """In the free state 0 with probability p, else the first 1 of a pair. T as for DirichletCategorical.
    Errors: ValueError for anything else. Latent and belief: ``HiddenStates``."""

    name = "even"
    parameters: ClassVar[dict[str, Parameter]] = {
        "p": probability("probability of 0 in the free state", "0.5"),
        "T": TASK_LENGTH,
    }

    def edges_as(self, number: Entry) -> Matrices:
        p, zero, one = number(self.p), number(0), number(1)
        return [[[p, zero], [zero, zero]], [[zero, 1 - p], [one, zero]]]

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(0.4),)


@dataclass(frozen=True)
class RandomRandomXor(HiddenStates):
    """Two fair bits, then their exclusive or. T as for DirichletCategorical. Errors: ValueError for
    anything else. Latent and belief: ``HiddenStates``. States: before the first bit, after a first bit
    0 or 1, before an exclusive or 0 or 1."""

    T: float = math.inf

    name = "rrxor"
    parameters: ClassVar[dict[str, Parameter]] = {"T": TASK_LENGTH}

    def edges_as(self, number: Entry) -> Matrices:
        half, one = number(0.5), number(1)
        # Of each symbol, by (state, next state).
        moves = (
            {(0, 1): half, (1, 3): half, (2, 4): half, (3, 0): one},
            {(0, 2): half, (1, 4): half, (2, 3): half, (4, 0): one},
        )
        return [[[of.get((i, j), number(0)) for j in range(5)] for i in range(5)] for of in moves]

    def first_state(self) -> tuple[float, ...]:
        return (1 / 3, 1 / 6, 1 / 6, 1 / 6, 1 / 6)

    def wrong_model(self) -> Process:
        return make_noisy(self)

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls(),)
