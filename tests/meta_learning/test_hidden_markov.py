"""Hidden Markov models: numbers of others, edge emission, beliefs that are few, entropy rates."""

from __future__ import annotations

import json
import math
import os
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import numpyro.handlers
import pytest
from conftest import QUICK
from running import refused, run

from meta_learning.processes import (
    DirichletCategorical,
    Even,
    GoldenMean,
    HiddenMarkov,
    Machine,
    Mess3,
    RandomRandomXor,
    Streams,
    ZeroOneRandom,
    entropy_rate,
)

OF_OTHERS = {
    "mess3": Mess3(0.6, 0.15),
    "rrxor": RandomRandomXor(),
    "zero-one-random": ZeroOneRandom(),
}


def word_probability(process, word):
    rows = Machine.log_predictive(process, np.array(word))
    return math.exp(rows[np.arange(len(word)), word].sum())


@pytest.mark.parametrize("name", OF_OTHERS)
def test_words_are_as_likely_as_another_program_says(name):
    """And their belief predicts the same next symbol: theirs is b, ours the row after the word."""
    path = Path(os.environ.get("META_LEARN_DATA", "")) / "golden" / f"{name}.json"
    if not path.exists():
        pytest.skip("META_LEARN_DATA has no golden/: word probabilities of another program")
    process, rows = OF_OTHERS[name], json.loads(path.read_text())["rows"]
    theirs = {tuple(row["word"]): row["probability"] for row in rows}
    for word, probability in theirs.items():
        if word:
            assert word_probability(process, word) == pytest.approx(probability, abs=1e-6)
        following = [theirs.get((*word, k)) for k in range(process.num_symbols)]
        if not probability or None in following:
            continue
        ours = process.log_predictive(np.array([*word, int(np.argmax(following))]))[-1, :-1]
        np.testing.assert_allclose(np.exp(ours), np.array(following) / probability, atol=1e-6)


@pytest.mark.parametrize(
    ("process", "word", "probability"),
    [
        # From (1/3, 1/3, 1/3) every symbol is as likely; a second like the first by enumeration:
        # 1/3 sum over i, j, k of the products of a, b = 1/5, x, y.
        (Mess3(0.6, 0.15), [0], Fraction(1, 3)),
        (Mess3(0.6, 0.15), [0, 0], Fraction(98, 750)),
        (Mess3(0.6, 0.15), [0, 1], Fraction(76, 750)),
        # 0 1 ? 0 1 ?: in phase at once, or as a coin and the pattern.
        (ZeroOneRandom(), [0], Fraction(1, 2)),
        (ZeroOneRandom(), [0, 0], Fraction(1, 6)),
        (ZeroOneRandom(), [0, 1], Fraction(1, 3)),
        (ZeroOneRandom(), [0, 0, 0], Fraction(0)),
        # One of three phases: (bit, bit), (bit, xor), (xor, bit) are all fair.
        (RandomRandomXor(), [0, 1, 1], Fraction(1, 3) * Fraction(1, 4) + Fraction(2, 3) / 8),
        (RandomRandomXor(), [1, 1, 1], Fraction(2, 3) / 8),
        (GoldenMean(), [0, 1], Fraction(1, 3)),
        (GoldenMean(), [0, 0], Fraction(0)),
        (Even(), [0, 1, 0], Fraction(0)),
        (Even(), [0, 1, 1, 0], Fraction(1, 3) / 4),
    ],
)
def test_words_are_as_likely_as_counted_by_hand(process, word, probability):
    assert word_probability(process, word) == pytest.approx(float(probability), abs=1e-14)


def test_the_state_form_is_an_edge_form():
    states = HiddenMarkov(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 5)
    edges = HiddenMarkov(edges=states.matrices.tolist(), T=5)
    assert edges.start == pytest.approx(states.start)
    symbols = states.sample(jax.random.key(0), 50, 15)
    np.testing.assert_allclose(
        edges.log_predictive(symbols), states.log_predictive(symbols), rtol=1e-12, atol=1e-12
    )


def test_edges_are_read_and_written_as_text():
    made = HiddenMarkov.from_parameters({"edges": "0,0.5/0,0//0.5,0/1,0", "T": "4"})
    assert made.edges == (((0, 0.5), (0, 0)), ((0.5, 0), (1, 0)))
    assert made == HiddenMarkov(edges=GoldenMean().matrices.tolist(), T=4)
    assert made.settings().keys() == {"edges", "T", "start"}
    symbols = GoldenMean(0.5, 4).sample(jax.random.key(0), 20, 12)
    np.testing.assert_allclose(
        made.log_predictive(symbols), GoldenMean(0.5, 4).log_predictive(symbols), atol=1e-12
    )


def test_settings_from_before_edges_are_read():
    """What checkpoints hold."""
    settings = {
        "transition": [[0.9, 0.1], [0.2, 0.8]],
        "emission": [[0.7, 0.3], [0.4, 0.6]],
        "T": None,
        "start": [0.5, 0.5],
    }
    process = HiddenMarkov.from_settings(settings)
    assert process.settings() == settings
    with pytest.raises(ValueError, match="unknown or missing: emission, transition"):
        HiddenMarkov.from_settings({"T": None, "start": [0.5, 0.5]})


@pytest.mark.parametrize(
    "process", [Mess3(0.6, 0.15, 4), RandomRandomXor(), Even(0.4, 3)], ids=repr
)
def test_the_oracle_knows_the_state_before_each_symbol(process):
    """Draws of its streams follow T^(x)_ij from one latent state to the next."""
    streams = Streams(*map(np.asarray, process.sample_with_latent(jax.random.key(2), 3_000, 12)))
    rows = np.exp(process.log_predictive_given_latent(streams))
    n = streams.latent.shape[-1]
    tasks = rows.reshape(3_000, -1, n + (process.task_length < math.inf), process.num_symbols + 1)
    symbols = streams.symbols.reshape(tasks.shape[:-1])
    shown = process.matrices.sum(-1)
    np.testing.assert_allclose(
        tasks[:, :, :n, :-1], np.moveaxis(shown[:, streams.latent], 0, -1), atol=1e-12
    )
    seen = np.zeros_like(process.matrices)
    z, x = streams.latent, symbols[..., :n]
    np.add.at(seen, (x[..., :-1], z[..., :-1], z[..., 1:]), 1)
    assert not seen[process.matrices == 0].any()
    left = seen.sum((0, 2), keepdims=True)
    error = np.sqrt(process.matrices * (1 - process.matrices) / left)
    assert (np.abs(seen / left - process.matrices) <= 5 * error).all()


def test_the_model_can_be_conditioned_on_draws():
    process = GoldenMean(0.25, 4)
    draws = np.array([0, 1, 1]).reshape(3, 1, 1)
    model = numpyro.handlers.seed(process.model, jax.random.key(0))
    sites = numpyro.handlers.trace(model).get_trace(draws)
    assert sites["x"]["value"].ravel().tolist() == [0, 1, 1]
    assert sites["z"]["value"].ravel().tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("process", "beliefs"),
    [
        (GoldenMean(), 3),
        (ZeroOneRandom(0.3), 7),
        (RandomRandomXor(), 36),
        (Mess3(), None),
        (Even(0.3), 4),
    ],
    ids=repr,
)
def test_beliefs_are_told_apart_where_they_are_few(process, beliefs):
    """Against the beliefs themselves, of many long streams."""
    symbols = np.asarray(process.sample(jax.random.key(0), 200, 30))
    if beliefs is None:
        assert process.statistic(symbols) is None
        return
    found = np.concatenate([process.statistic(symbols[:, :n])[:, 0] for n in range(30)])
    held = process.coordinates_along(symbols)["state_probabilities"].swapaxes(0, 1)
    held = held.reshape(len(found), -1).round(9)
    pairs = {(number, tuple(belief)) for number, belief in zip(found, held, strict=True)}
    assert len(pairs) == len(set(found)) == len({tuple(belief) for belief in held})
    assert len(pairs) == beliefs


def test_long_streams_stay_finite():
    process = Mess3(1 - 1e-9, 1e-9)
    stream = np.repeat([0, 1], 50_000)
    rows = process.log_predictive(stream)
    came = rows[np.arange(100_000), stream]
    assert np.isfinite(came).all()
    # A move and its symbol, or only another symbol.
    assert came[50_000] == pytest.approx(math.log(1.5e-9), abs=1e-6)
    assert -1e-3 < came.mean() < 0
    sure = RandomRandomXor().log_predictive(np.tile([0, 1, 1, 1, 1, 0], 16_667))
    np.testing.assert_allclose(np.exp(sure[-1]), [1, 0, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("process", "stream", "place"),
    [
        (GoldenMean(), [1, 0, 0], 2),
        (Even(), [0, 1, 1, 1, 0], 4),
        (ZeroOneRandom(), [0, 0, 0], 2),
        (RandomRandomXor(), [0, 0, 1, 1, 1, 1, 1], 6),
        (Mess3(1.0, 0.0), [0, 0, 1], 2),
    ],
)
def test_streams_that_cannot_come_are_refused(process, stream, place):
    with pytest.raises(ValueError, match=f"cannot make stream 0.* at place {place} "):
        process.log_predictive(stream)


def test_entropy_rates_are_those_of_the_books():
    """Once in step, the next symbol's entropy is that of the state: fair bits, at some places."""
    for process, share in (
        (GoldenMean(), 2 / 3),
        (Even(), 2 / 3),
        (ZeroOneRandom(), 1 / 3),
        (RandomRandomXor(), 2 / 3),
    ):
        found = entropy_rate(process, jax.random.key(0), streams=60, horizon=150)
        off = abs(found.mean - share * math.log(2))
        assert off <= 5 * found.standard_error + 1e-12, process
        assert found.standard_error < 0.01


def test_the_entropy_rate_lies_between_its_bounds():
    """H(x_n | x_<n, first state) <= rate <= H(x_n | x_<n), by enumeration (Cover and Thomas, 4.5)."""
    process, n = Mess3(0.6, 0.15), 7

    def block(start, length):
        p = np.array([start])
        for _ in range(length):
            p = np.einsum("hi,kij->hkj", p, process.matrices).reshape(-1, 3)
        p = p.sum(-1)
        return -(p * np.log(p)).sum()

    upper = block(np.full(3, 1 / 3), n) - block(np.full(3, 1 / 3), n - 1)
    lower = np.mean([block(row, n) - block(row, n - 1) for row in np.eye(3)])
    found = entropy_rate(process, jax.random.key(1), streams=200, horizon=100)
    assert lower - 4 * found.standard_error < found.mean < upper + 4 * found.standard_error
    assert upper - lower < 0.01
    with pytest.raises(ValueError, match="give T=inf"):
        entropy_rate(DirichletCategorical((1, 1), 5), jax.random.key(0))
    with pytest.raises(ValueError, match="streams >= 2"):
        entropy_rate(process, jax.random.key(0), streams=1)


def test_compare_takes_edges_and_names(tmp_path):
    tiny = (*QUICK, "--iterations", "3", "--hidden", "4", "--streams", "20")
    out = tmp_path / "out"
    result = run(
        "compare",
        "--process",
        "hidden-markov",
        "--param",
        "edges=0,0.5/0,0//0.5,0/1,0",
        *tiny,
        "--out",
        out,
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads((out / "comparison.json").read_text())
    assert found["edges"] == [[[0, 0.5], [0, 0]], [[0.5, 0], [1, 0]]]
    assert found["loss"]["last_symbol_only"] == pytest.approx(found["loss"]["bayes"], abs=1e-9)
    assert found["loss"]["bayes_wrong_model"] > found["loss"]["bayes"]
    again = run(
        "compare", "--checkpoint", out / "network-seed0.safetensors", "--streams", 20, "--json"
    )
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["gap"]["mean"] == found["gap"]["mean"]
    assert "x must be between 0 and 0.5" in refused(
        "compare", "--process", "mess3", "--param", "x=1"
    )
