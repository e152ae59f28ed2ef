"""Probabilities of a task's first draws in exact fractions, by other means than the code's."""

from __future__ import annotations

import itertools
import math
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

from meta_learning.processes import (
    ChangePoints,
    DirichletCategorical,
    Even,
    FixedCategorical,
    GoldenMean,
    HiddenMarkov,
    LiveAndDie,
    MarkovChain,
    Mess3,
    Mixture,
    PartitionTree,
    RandomRandomXor,
    StationaryChain,
    TaskPool,
    ZeroOneRandom,
)


def fractions(values):
    """Floats or rows of them as the exact fractions they are."""
    if isinstance(values, tuple | list):
        return [fractions(v) for v in values]
    return Fraction(values)


def urn(alpha, counts, symbol):
    """The rule of succession."""
    return (alpha[symbol] + counts.count(symbol)) / (sum(alpha) + len(counts))


def segmentations(process, length):
    """(weight, starts of the stretches) of every segmentation of the first ``length`` places that the
    process can make, by its definition. Some come more than once."""
    if isinstance(process, PartitionTree):
        size = 2**process.depth
        blocks = [
            [(w, [s + at for s in starts]) for w, starts in trees(size)]
            for at in range(0, length, size)
        ]
        for chosen in itertools.product(*blocks):
            weight = math.prod((w for w, _ in chosen), start=Fraction(1))
            yield weight, [s for _, starts in chosen for s in starts if s < length]
        return
    for changes in itertools.product((False, True), repeat=max(length - 1, 0)):
        weight, starts = Fraction(1), [0]
        for t, change in enumerate(changes, 1):
            hazard = (
                Fraction(process.hazard)
                if isinstance(process, ChangePoints)
                else Fraction(1, 2 * (t - starts[-1]))
            )
            weight *= hazard if change else 1 - hazard
            starts = [*starts, t] if change else starts
        yield weight, starts


@cache
def trees(size):
    """(probability, starts of the leaves) of every binary tree over ``size`` places."""
    if size == 1:
        return [(Fraction(1), [0])]
    half = trees(size // 2)
    both = [
        (left * right / 2, [*here, *(s + size // 2 for s in there)])
        for left, here in half
        for right, there in half
    ]
    return [(Fraction(1, 2), [0]), *both]


def stretches(process, draws):
    """p(draws): the sum over every segmentation of the stretches' probabilities."""
    alpha, total = fractions(process.alpha), Fraction(0)
    for weight, starts in segmentations(process, len(draws)):
        for start, end in itertools.pairwise([*starts, len(draws)]):
            of = draws[start:end]
            weight *= math.prod(
                (urn(alpha, of[:t], x) for t, x in enumerate(of)), start=Fraction(1)
            )
        total += weight
    return total


def markov_chain(process, draws):
    """p(draws): first symbols by the known law, then an urn for every symbol before."""
    alpha, weight = fractions(process.alpha), Fraction(1)
    urns = [[] for _ in alpha]
    for before, x in itertools.pairwise([None, *draws]):
        if before is None:
            weight *= Fraction(process.start[x])
        else:
            weight *= urn(alpha[before], urns[before], x)
            urns[before].append(x)
    return weight


LOG_2 = Fraction(Decimal(2).ln(Context(prec=120)))


@cache
def over_one_plus(n):
    """The integral of q^n / (1 + q) over [0, 1]."""
    return LOG_2 if n == 0 else Fraction(1, n) - over_one_plus(n - 1)


@cache
def over_sum(m, n):
    """The integral of p^m q^n / (p + q) over the unit square."""
    if m:
        return Fraction(1, m * (n + 1)) - over_sum(m - 1, n + 1)
    return (LOG_2 - over_one_plus(n + 1)) / (n + 1) + Fraction(1, (n + 1) ** 2)


@cache
def mean_first(alpha, first):
    """E[pi_first] for two rows that are Dirichlet with whole numbers: (1 - p)^a and (1 - q)^b are
    written out, p = P(0 -> 1) and q = P(1 -> 0)."""
    (a00, a01), (a10, a11) = alpha
    total = sum(
        (-1) ** (i + j)
        * math.comb(a00 - 1, i)
        * math.comb(a11 - 1, j)
        * over_sum(a01 - 1 + i + (first == 1), a10 - 1 + j + (first == 0))
        for i in range(a00)
        for j in range(a11)
    )
    beta = [
        Fraction(math.factorial(a + b - 1), math.factorial(a - 1) * math.factorial(b - 1))
        for a, b in alpha
    ]
    return total * math.prod(beta)


def stationary_chain(process, draws):
    """p(draws): an urn for every symbol before, and the mean of the first symbol's probability over
    the rows that they leave."""
    alpha, weight = [[int(a) for a in row] for row in process.alpha], Fraction(1)
    for before, x in itertools.pairwise(draws):
        weight *= Fraction(alpha[before][x], sum(alpha[before]))
        alpha[before][x] += 1
    return weight * mean_first(tuple(map(tuple, alpha)), draws[0])


def mixture(process, draws):
    """p(draws): the sum over components."""
    rows, weights = fractions(process.p), fractions(process.weights)
    return sum(w * math.prod(p[x] for x in draws) for w, p in zip(weights, rows, strict=True))


def task_pool(process, draws):
    """p(draws): the mean over the pool."""
    rows = fractions(tuple(map(tuple, process.components.tolist())))
    return sum(math.prod(p[x] for x in draws) for p in rows) / Fraction(len(rows))


def emitted_by_states(process):
    """A state shows a symbol and is then left."""
    if process.edges is not None:
        return fractions(process.start), {
            (i, x, j): Fraction(v)
            for x, matrix in enumerate(process.edges)
            for i, row in enumerate(matrix)
            for j, v in enumerate(row)
        }
    A, B = fractions(process.transition), fractions(process.emission)
    states = range(len(A))
    return fractions(process.start), {
        (i, x, j): B[i][x] * A[i][j] for i in states for x in range(len(B[i])) for j in states
    }


def of_mess3(process):
    """A move, then the symbol of the state that is entered, or another one."""
    a, x = fractions((process.a, process.x))
    three = range(3)
    return [Fraction(1, 3)] * 3, {
        (i, k, j): (1 - 2 * x if i == j else x) * (a if k == j else (1 - a) / 2)
        for i in three
        for k in three
        for j in three
    }


def of_z1r(process):
    p = Fraction(process.p)
    edges = {(0, 0, 1): 1, (1, 1, 2): 1, (2, 0, 0): p, (2, 1, 0): 1 - p}
    return [Fraction(1, 3)] * 3, edges


def of_golden_mean(process):
    """The other state is left at once: the free one has share 1 / (1 + (1 - p))."""
    p = Fraction(process.p)
    return [1 / (2 - p), (1 - p) / (2 - p)], {(0, 1, 0): p, (0, 0, 1): 1 - p, (1, 1, 0): 1}


def of_even(process):
    p = Fraction(process.p)
    return [1 / (2 - p), (1 - p) / (2 - p)], {(0, 0, 0): p, (0, 1, 1): 1 - p, (1, 1, 0): 1}


def of_rrxor(process):
    """States: what is known of the bits of this round."""
    names = {(): 0, (0,): 1, (1,): 2, ("xor", 0): 3, ("xor", 1): 4}
    half, edges = Fraction(1, 2), {}
    for bit in (0, 1):
        edges[0, bit, names[bit,]] = half
        edges[names["xor", bit], bit, 0] = 1
        for second in (0, 1):
            edges[names[bit,], second, names["xor", bit ^ second]] = half
    return [Fraction(1, 3), *[Fraction(1, 6)] * 4], edges


STARTS_AND_EDGES = {
    HiddenMarkov: emitted_by_states,
    Mess3: of_mess3,
    ZeroOneRandom: of_z1r,
    GoldenMean: of_golden_mean,
    Even: of_even,
    RandomRandomXor: of_rrxor,
}


@cache
def start_and_edges(process):
    start, edges = STARTS_AND_EDGES[type(process)](process)
    return start, {edge: p for edge, p in edges.items() if p}


def paths(process, draws):
    """The last state and the probability of every hidden path that shows the draws."""
    start, edges = start_and_edges(process)
    found = [(z, p) for z, p in enumerate(start) if p]
    for x in draws:
        found = [(j, p * q) for z, p in found for (i, k, j), q in edges.items() if (i, k) == (z, x)]
    return found


def hidden_markov(process, draws):
    """p(draws): the sum over every hidden path."""
    return sum((p for _, p in paths(process, draws)), start=Fraction(0))


def dirichlet(process, draws):
    """p(draws): an urn."""
    alpha = fractions(process.alpha)
    return math.prod((urn(alpha, draws[:t], x) for t, x in enumerate(draws)), start=Fraction(1))


def fixed(process, draws):
    """p(draws): a product."""
    return math.prod((Fraction(process.p[x]) for x in draws), start=Fraction(1))


PROBABILITY = {
    DirichletCategorical: dirichlet,
    FixedCategorical: fixed,
    **dict.fromkeys((ChangePoints, LiveAndDie, PartitionTree), stretches),
    MarkovChain: markov_chain,
    StationaryChain: stationary_chain,
    Mixture: mixture,
    TaskPool: task_pool,
    **dict.fromkeys(STARTS_AND_EDGES, hidden_markov),
}
