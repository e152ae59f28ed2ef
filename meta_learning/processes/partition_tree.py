"""Probabilities that change at the borders of a random binary tree: partition tree weighting.

Places 0..2^d - 1 are the root. A node of more than one place is split into its halves with
probability 1/2, and they likewise; what is not split is a stretch with one p. The next 2^d places are
a tree of their own, and so on. The exact predictor (Veness et al. 2013, "Partition
Tree Weighting") mixes over all such trees in O(d) work a place. Genewein et al. (2023) train on it, with
alpha = 1/2 and d = 8.

Before place t let node j be the one of level j = 0..d that holds t, n_j the counts in it so far, and
o_j the logarithm of p(node j is split | x_<t, all above it are) / p(it is not | the same). Then

    m_d(k) = (alpha_k + n_d,k) / sum(alpha + n_d)
    m_j(k) = (1 - g_j) (alpha_k + n_j,k) / sum(alpha + n_j) + g_j m_{j+1}(k),  g_j = 1/(1 + exp(-o_j))
    p(x_t = k | x_<t) = m_0(k)
    o_j <- o_j + log m_{j+1}(x_t) - log (alpha + n_j)_{x_t} / sum(alpha + n_j)

and a node that begins has o_j = 0 and n_j = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jaxtyping import Float, Int, Num

from meta_learning.processes.base import Process
from meta_learning.processes.dirichlet_categorical import DirichletCategorical
from meta_learning.processes.machine import HORIZON, Machine
from meta_learning.processes.parameters import (
    ALPHA,
    Parameter,
    check_whole,
    format_numbers,
    read_number,
)
from meta_learning.processes.stretches import Stretches
from meta_learning.processes.types import Coordinates, Symbol

# g is an estimate where it was read off a network's state: its odds stay finite.
_SURE = 1e-6


class Tree(NamedTuple):
    """Belief over which nodes that hold the next place are split.

    place: draws of this tree that came before, int scalar. log_odds: o (d,). counts: of each symbol in
    each node so far (d + 1, K).
    """

    place: Int[Array, ""]
    log_odds: Float[Array, " depth"]
    counts: Float[Array, "levels symbols"]


@dataclass(frozen=True)
class PartitionTree(Stretches):
    """p ~ Dirichlet(alpha) for each stretch, stretches being the leaves of a random binary tree over
    2^depth places, then of another. No RESET, and nothing tells where p changed.

    alpha: K >= 2 numbers from 1e-6 to 1e6. depth: from 1 to 16. Errors: ValueError for anything else.
    Latent: p at every place (batch, length, K). Belief: ``Tree``.
    """

    # 128 places: the least tree that holds a test stream of 100.
    depth: int = 7

    name = "partition-tree"
    parameters: ClassVar[dict[str, Parameter]] = {
        "alpha": ALPHA,
        "depth": Parameter(
            read_number,
            "levels of the tree, which has 2^depth places",
            "7",
            lambda value, name: check_whole(value, name, 1, 16),
        ),
    }

    @property
    def title(self) -> str:
        alpha = format_numbers(self.alpha, ", ")
        return f"partition tree of depth {self.depth}, p from Dirichlet({alpha})"

    @property
    def sizes(self) -> Int[Array, " levels"]:
        """Places in a node of each level, from the root on (d + 1,)."""
        return 2 ** (self.depth - jnp.arange(self.depth + 1))

    def draw_changes(self, places: Int[Array, " n"]) -> Num[Array, "n streams tasks"]:
        # Of each level's node that begins at a place, whether it is split; elsewhere unused.
        coin = dist.Bernoulli(probs=jnp.full(self.depth, 0.5)).to_event(1)
        split = numpyro.sample("split", coin)
        into = places[:, None] % self.sizes[None]  # places in each node before this one
        starts = places[:, None] - into[:, :-1]
        split = split[starts, :, :, jnp.arange(self.depth)[None]]  # (n, depth, streams, tasks)
        # p changes in the middle of a node where it and all above it are split.
        first = jnp.argmax(into[:, 1:] == 0, axis=-1)  # level of the node whose middle this is
        above = jnp.cumprod(split, axis=1)
        changed = jnp.take_along_axis(above, first[:, None, None, None], axis=1)[:, 0]
        changed = jnp.where((into[:, 0] == 0)[:, None, None], 1, changed)
        return numpyro.deterministic("changed", changed)

    def initial_belief(self, draws: int = HORIZON) -> Tree:
        return Tree(
            jnp.zeros((), int),
            jnp.zeros(self.depth),
            jnp.zeros((self.depth + 1, self.num_symbols)),
        )

    def update(self, belief: Tree, symbol: Symbol) -> Tree:
        place, odds, counts = belief
        came = jax.nn.one_hot(symbol, self.num_symbols, dtype=counts.dtype)
        p = (self._predictives(counts) * came[None]).sum(-1)  # of what came, if a node is not split
        g = jax.nn.sigmoid(odds)
        mean, means = p[-1], []
        for level in reversed(range(self.depth)):
            means.append(mean)
            mean = (1 - g[level]) * p[level] + g[level] * mean
        odds = odds + jnp.log(jnp.stack(means[::-1])) - jnp.log(p[:-1])
        place = (place + 1) % self.sizes[0]
        begins = place % self.sizes == 0
        return Tree(
            place,
            jnp.where(begins[:-1], 0.0, odds),
            jnp.where(begins[:, None], 0.0, counts + came[None]),
        )

    def log_predictive_of(self, belief: Tree) -> Float[Array, " {self.num_symbols}"]:
        p = jnp.log(self._level_probabilities(belief.log_odds) @ self._predictives(belief.counts))
        return p - jax.nn.logsumexp(p)

    def _predictives(
        self, counts: Float[Array, "levels symbols"]
    ) -> Float[Array, "levels symbols"]:
        weights = jnp.asarray(self.alpha)[None] + counts
        return weights / weights.sum(-1, keepdims=True)

    def _level_probabilities(self, odds: Float[Array, " depth"]) -> Float[Array, " levels"]:
        """p(the next place's stretch is its node of level j | x_<t)."""
        g = jax.nn.sigmoid(odds)
        one = jnp.ones_like(g, shape=(1,))
        return jnp.concatenate([one, jnp.cumprod(g)]) * jnp.concatenate([1 - g, one])

    def coordinates(self, belief: Tree) -> Coordinates:
        """run_length (1,): expected draws since p last changed. counts (K,): expected counts of the
        symbols since then. posterior_mean (K,): the predictive."""
        w = self._level_probabilities(belief.log_odds)
        return {
            "run_length": (w * (belief.place % self.sizes)).sum(keepdims=True),
            "counts": w @ belief.counts,
            "posterior_mean": jnp.exp(self.log_predictive_of(belief)),
        }

    def to_numbers(self, belief: Tree) -> Tree:
        """The probabilities g in place of their log odds."""
        return belief._replace(log_odds=jax.nn.sigmoid(belief.log_odds))

    def from_numbers(self, numbers: Tree) -> Tree:
        g = jnp.clip(numbers.log_odds, _SURE, 1 - _SURE)
        return Tree(numbers.place, jnp.log(g) - jnp.log1p(-g), jnp.maximum(numbers.counts, 0.0))

    def ladder(self) -> dict[str, Machine]:
        """Bayes that believes in no change points."""
        return {"no_change_points": DirichletCategorical(self.alpha, math.inf)}

    @classmethod
    def examples(cls) -> tuple[Process, ...]:
        return (cls((1.3, 0.5), 2),)
