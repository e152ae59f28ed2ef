"""The exact predictors of every process, against enumeration in exact fractions; parameters "
"and names."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from laws import (
    every_short_history_agrees_with_exact_fractions,
    the_oracle_is_no_worse_and_references_no_better_than_bayes,
)
from running import refused, run
from scipy.stats import chisquare

from meta_learning.processes import (
    PROCESSES,
    ChangePoints,
    DirichletCategorical,
    HiddenMarkov,
    MarkovChain,
    Mixture,
    process_kind,
)

EXAMPLES = [example for kind in PROCESSES.values() for example in kind.examples()]


def fractions(values):
    """Floats or rows of them as the exact fractions they are."""
    if isinstance(values, tuple | list):
        return [fractions(v) for v in values]
    return Fraction(values)


def urn(alpha, counts, symbol):
    """The rule of succession."""
    return (alpha[symbol] + counts.count(symbol)) / (sum(alpha) + len(counts))


def change_points(process, draws):
    """p(draws): the sum over every set of change points of the stretches' probabilities."""
    alpha, hazard = fractions(process.alpha), Fraction(process.hazard)
    total = Fraction(0)
    for changes in itertools.product((False, True), repeat=max(len(draws) - 1, 0)):
        weight, stretch = Fraction(1), []
        for t, x in enumerate(draws):
            if t:
                weight *= hazard if changes[t - 1] else 1 - hazard
                stretch = [] if changes[t - 1] else stretch
            weight *= urn(alpha, stretch, x)
            stretch = [*stretch, x]
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


def mixture(process, draws):
    """p(draws): the sum over components."""
    rows, weights = fractions(process.p), fractions(process.weights)
    return sum(w * math.prod(p[x] for x in draws) for w, p in zip(weights, rows, strict=True))


def hidden_markov(process, draws):
    """p(draws): the sum over every hidden path."""
    A, B, start = (fractions(v) for v in (process.transition, process.emission, process.start))
    total = Fraction(0)
    for path in itertools.product(range(len(A)), repeat=len(draws)):
        weight = Fraction(1)
        for t, (z, x) in enumerate(zip(path, draws, strict=True)):
            weight *= (A[path[t - 1]][z] if t else start[z]) * B[z][x]
        total += weight
    return total


PROBABILITY = {
    ChangePoints: change_points,
    MarkovChain: markov_chain,
    Mixture: mixture,
    HiddenMarkov: hidden_markov,
}
NEW = [e for e in EXAMPLES if type(e) in PROBABILITY] + [
    ChangePoints((2.0, 0.5), 0.0),
    ChangePoints((2.0, 0.5), 1.0),
    MarkovChain((0.5, 3.0), 4),
    Mixture(((0.9, 0.1),), 3),
    HiddenMarkov(((1, 0), (0, 1)), ((0.9, 0.1), (0.2, 0.8)), 4, (0.5, 0.5)),
    *(
        kind.from_parameters({"T": T})
        for kind in (MarkovChain, Mixture, HiddenMarkov)
        for T in (1, 2)
    ),
]


@pytest.mark.parametrize("process", NEW, ids=repr)
def test_every_short_history_agrees_with_exact_fractions(process):
    every_short_history_agrees_with_exact_fractions(process, PROBABILITY[type(process)])


@pytest.mark.parametrize("process", [p for p in NEW if p not in EXAMPLES], ids=repr)
def test_the_oracle_is_no_worse_and_references_no_better_than_bayes(process):
    the_oracle_is_no_worse_and_references_no_better_than_bayes(process)


def test_change_points_over_a_long_stream_stay_normalised():
    process = ChangePoints((1.0, 1.0), 0.01)
    symbols = np.repeat([[0, 1, 0]], 300, axis=1)
    rows = process.log_predictive(symbols)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1, atol=1e-12)
    # After 300 equal symbols the next is expected; after the change both come back.
    assert np.exp(rows[0, 299, 0]) > 0.98
    assert np.exp(rows[0, 310, 1]) > 0.8


def test_parameters_are_read_from_text():
    made = HiddenMarkov.from_parameters(
        {"transition": "0.9,0.1/0.2,0.8", "emission": "0.7,0.3/0.4,0.6", "T": "7"}
    )
    assert made.transition == ((0.9, 0.1), (0.2, 0.8))
    assert made.T == 7
    assert made.start == pytest.approx((2 / 3, 1 / 3))
    assert MarkovChain.from_parameters({"alpha": "2,1"}).alpha == ((2, 1), (2, 1))


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("change-points", {"hazard": "2"}, "hazard must be between"),
        ("change-points", {"hazard": "x"}, "expected a number"),
        ("change-points", {"T": "5"}, "no parameter 'T'; it has alpha, hazard"),
        ("dirichlet-categorical", {"alpha": "1,1"}, "T is missing"),
        ("markov-chain", {"alpha": "1,1/1,1/1,1"}, "K rows of K"),
        ("mixture", {"p": "1,0/0.5,0.5"}, "positive"),
        ("mixture", {"p": "0.5,0.5/0.2,0.3,0.5"}, "equal lengths"),
        ("mixture", {"weights": "0.5,0.5"}, "weights needs 3"),
        ("hidden-markov", {"transition": "1,0/0,1", "emission": "0.5,0.5/0.5,0.5"}, "give start"),
        ("hidden-markov", {"transition": "0.5,0.5/0.5,0.5"}, "one row a hidden state"),
    ],
)
def test_parameters_are_checked(name, given, message):
    with pytest.raises(ValueError, match=message):
        process_kind(name).from_parameters(given)


def test_latent_changes_come_at_the_hazard():
    """Changes of the latent p come as often as the hazard says."""
    import jax

    process = ChangePoints((1.0, 1.0), 0.3)
    p = np.asarray(process.sample_with_latent(jax.random.key(1), 2_000, 6).latent)
    changed = (p[:, 1:] != p[:, :-1]).any(-1).sum()
    places = 2_000 * 5
    assert chisquare([changed, places - changed], [0.3 * places, 0.7 * places]).pvalue > 1e-7


@pytest.mark.parametrize("name", ["change-points", "markov-chain"])
def test_compare_takes_every_process(name, tmp_path):
    tiny = ("--recipe", "coursework", "--iterations", "3", "--batch-size", "4", "--unroll", "8",
            "--hidden", "4", "--streams", "40")  # fmt: skip
    out = tmp_path / "out"
    result = run("compare", "--process", name, *tiny, "--out", out)
    assert result.exit_code == 0, result.stderr
    found = json.loads((out / "comparison.json").read_text())
    assert found["process"] == name
    assert found["gap"]["mean"] > 0
    assert found["loss"]["oracle"] < found["loss"]["memoryless"]
    assert (out / "predictions.png").exists()
    again = run(
        "compare", "--checkpoint", out / "network-seed0.safetensors", "--streams", 40, "--json"
    )
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["gap"]["mean"] == found["gap"]["mean"]


def test_wrong_use_is_one_line(tmp_path):
    assert "unknown process" in refused("compare", "--process", "no")
    assert "KEY=VALUE" in refused("compare", "--process", "mixture", "--param", "T")
    assert "given twice" in refused("compare", "--T", 5, "--process", "mixture", "--param", "T=5")
    assert "hazard" in refused("compare", "--process", "change-points", "--param", "hazard=2")
    assert "no parameter 'T'" in refused("compare", "--process", "change-points", "--T", 5)
    assert "needs dirichlet-categorical" in refused("audit", "--process", "mixture")
    assert "needs dirichlet-categorical" in refused("hidden", "--process", "mixture")
    assert DirichletCategorical.name in PROCESSES
