"""The exact predictors of every process, against enumeration in exact fractions; parameters "
"and names."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from conftest import QUICK
from laws import (
    every_short_history_agrees_with_exact_fractions,
    the_oracle_is_no_worse_and_references_no_better_than_bayes,
)
from running import refused, run
from scipy.stats import chisquare
from words import (
    PROBABILITY,
    STARTS_AND_EDGES,
    fractions,
    paths,
    segmentations,
    start_and_edges,
    urn,
)

from meta_learning.processes import (
    PROCESSES,
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
    StationaryChain,
    TaskPool,
    ZeroOneRandom,
    process_kind,
)

EXAMPLES = [example for kind in PROCESSES.values() for example in kind.examples()]
NEW = [e for e in EXAMPLES if type(e) in PROBABILITY] + [
    ChangePoints((2.0, 0.5), 0.0),
    ChangePoints((2.0, 0.5), 1.0),
    LiveAndDie((0.5, 0.5)),
    PartitionTree((0.5, 0.5), 3),
    PartitionTree((2.0, 0.5, 1.0), 1),
    MarkovChain((0.5, 3.0), 4),
    Mixture(((0.9, 0.1),), 3),
    GoldenMean(0.0),
    GoldenMean(1.0),
    ZeroOneRandom(1.0, 4),
    Mess3(1 / 3, 0.5, 4),
    Mess3(1.0, 0.25),
    HiddenMarkov(((1, 0), (0, 1)), ((0.9, 0.1), (0.2, 0.8)), 4, (0.5, 0.5)),
    HiddenMarkov(((0, 1), (1, 0)), ((1, 0), (0, 1)), 5, (1, 0)),
    *(
        kind.from_parameters({"T": T})
        for kind in (MarkovChain, StationaryChain, Mixture, HiddenMarkov, Even, TaskPool)
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


def shares(weights):
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}


def of_mixture(process, draws):
    rows, weights = fractions(process.p), fractions(process.weights)
    of = shares(
        {
            c: w * math.prod(p[x] for x in draws)
            for c, (w, p) in enumerate(zip(weights, rows, strict=True))
        }
    )
    return {"component_weights": list(of.values())}


def of_task_pool(process, draws):
    rows = fractions(tuple(map(tuple, process.components.tolist())))
    of = shares({c: math.prod(p[x] for x in draws) for c, p in enumerate(rows)})
    alpha = fractions(process.alpha)
    return {
        "component_weights": list(of.values()),
        "prior_mean": [urn(alpha, draws, k) for k in range(process.num_symbols)],
    }


def of_markov(process, draws):
    K = process.num_symbols
    pairs = list(itertools.pairwise(draws))
    return {
        "transition_counts": [pairs.count((j, k)) for j in range(K) for k in range(K)],
        "last_symbol": [int(list(draws[-1:]) == [k]) for k in range(K)],
    }


def of_stretches(process, draws):
    """Over every segmentation of the draws so far and the place after them."""
    joint = {}
    for weight, starts in segmentations(process, len(draws) + 1):
        alpha = fractions(process.alpha)
        for start, end in itertools.pairwise([*starts, len(draws) + 1]):
            of = draws[start:end]
            weight *= math.prod(
                (urn(alpha, of[:t], x) for t, x in enumerate(of)), start=Fraction(1)
            )
        joint[starts[-1]] = joint.get(starts[-1], 0) + weight
    of = shares(joint)
    return {
        "run_length": [sum(w * (len(draws) - s) for s, w in of.items())],
        "counts": [
            sum(w * list(draws[s:]).count(k) for s, w in of.items())
            for k in range(process.num_symbols)
        ],
    }


def of_hidden_markov(process, draws):
    """p(state | draws): the sum over the paths up to it."""
    weight = dict.fromkeys(range(len(start_and_edges(process)[0])), Fraction(0))
    for z, p in paths(process, draws):
        weight[z] += p
    return {"state_probabilities": list(shares(weight).values())}


def of_stationary(process, draws):
    first = [float(draws[:1] == [k]) for k in range(process.num_symbols)]
    return {**of_markov(process, draws), "first_symbol": first}


COORDINATES = {
    DirichletCategorical: lambda process, draws: {
        "log_concentration": [math.log(sum(process.alpha) + len(draws))]
    },
    FixedCategorical: lambda process, draws: {},
    **dict.fromkeys((ChangePoints, LiveAndDie, PartitionTree), of_stretches),
    MarkovChain: of_markov,
    StationaryChain: of_stationary,
    Mixture: of_mixture,
    TaskPool: of_task_pool,
    **dict.fromkeys(STARTS_AND_EDGES, of_hidden_markov),
}


@pytest.mark.parametrize("process", EXAMPLES, ids=repr)
def test_coordinates_equal_their_definitions(process):
    """After every history that can come, against enumeration in exact fractions."""
    K, T = process.num_symbols, process.task_length
    length = 4 if math.isinf(T) else min(4, int(T) - 1)
    probability = PROBABILITY[type(process)]
    every = [list(draws) for draws in itertools.product(range(K), repeat=length)]
    every = [draws for draws in every if draws and probability(process, draws) > 0]
    together = process.coordinates_along(np.array(every)) if every else {}
    for row, draws in enumerate(every):
        found = {name: values[row] for name, values in together.items()}
        for n in range(length):
            history = draws[:n]
            expected = COORDINATES[type(process)](process, history)
            if "counts" in found and "counts" not in expected:
                expected["counts"] = [history.count(k) for k in range(K)]
            if "posterior_mean" in found:
                after = [probability(process, [*history, k]) for k in range(K)]
                expected["posterior_mean"] = [p / sum(after) for p in after]
            assert found.keys() == expected.keys()
            for name, values in expected.items():
                wanted = np.array([float(v) for v in values])
                np.testing.assert_allclose(found[name][n], wanted, rtol=1e-11, atol=1e-12)


def test_states_that_looked_impossible_come_back():
    """Two states that never mix: after as many of either symbol both are as likely as at first."""
    process = HiddenMarkov(((1, 0), (0, 1)), ((0.9, 0.1), (0.1, 0.9)), math.inf, (0.5, 0.5))
    rows = process.log_predictive(np.repeat([0, 1], [3_000, 3_001]))
    np.testing.assert_allclose(np.exp(rows[6_000, :2]), [0.5, 0.5], atol=1e-8)


def test_long_nearly_deterministic_streams_stay_finite():
    sure, rare = 1 - 1e-9, 1e-9
    process = HiddenMarkov(
        ((rare, sure, 0), (0, rare, sure), (sure, 0, rare)),
        ((1, 0, 0), (0, 1, 0), (0, rare, sure)),
        math.inf,
        (1, 0, 0),
    )
    stream = np.tile([0, 1, 2], 33_334)[:100_000]
    rows = process.log_predictive(stream)
    came = rows[np.arange(len(stream)), stream]
    assert np.isfinite(came).all()
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1, atol=1e-12)
    # Each step is sure to 1e-9, the third's symbol too.
    assert -4e-9 < came.mean() < 0
    with pytest.raises(ValueError, match="symbol 2 at place 1 "):
        process.log_predictive([0, 2])


def test_beliefs_hold_as_many_draws_as_was_said():
    process = ChangePoints()
    belief = process.initial_belief(2)
    for _ in range(2):
        belief = process.update(belief, 1)
    wanted = process.log_predictive([1, 1, 0])[2, :3]
    np.testing.assert_allclose(process.log_predictive_of(belief), wanted, rtol=1e-5)
    assert np.isnan(process.log_predictive_of(process.update(belief, 1))).all()


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
        ("mixture", {"p": "0.5,0.5/0.2,0.3,0.5"}, "equal lengths"),
        ("mixture", {"weights": "0.5,0.5"}, "weights needs 3"),
        ("hidden-markov", {"transition": "1,0/0,1", "emission": "0.5,0.5/0.5,0.5"}, "give start"),
        ("hidden-markov", {"transition": "0.5,0.5/0.5,0.5"}, "one row a hidden state"),
        ("hidden-markov", {"edges": "0.5,0.5/0.5,0.5"}, "two or more matrices.* got 1 of 2 x 2"),
        ("hidden-markov", {"edges": "0.5,0/0.5//0,0/0,0"}, "a row and a column"),
        ("hidden-markov", {"edges": "0.5,0/0,1//0,0.4/0,0"}, "row 0 of all edges must sum to 1"),
        ("hidden-markov", {"edges": "1//0", "emission": "1,0"}, "but not both"),
        ("mess3", {"x": "0.6"}, "x must be between 0 and 0.5"),
        ("even", {"p": "nan"}, "p must be between 0 and 1; got nan"),
        ("task-pool", {"pool": "2.5"}, "pool must be a whole number from 1 to 100000"),
        ("task-pool", {"pool_seed": "-1"}, "pool_seed must be a whole number from 0"),
        ("z1r", {"q": "1"}, "no parameter 'q'; it has p, T"),
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
    tiny = (*QUICK, "--iterations", "3", "--hidden", "4", "--streams", "40")
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
    assert DirichletCategorical.name in PROCESSES
