"""Predictions for all histories in a file: the exact gap of an audit, without the network."""

from __future__ import annotations

import json
import math
import re
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from enumeration import by_hand, enumerated
from networks import learner, naive_log_predictive
from running import refused, run
from words import PROBABILITY

from analysis.all_histories.file import (
    MOST_NUMBERS,
    all_histories,
    draws_of,
    limits,
    next_step,
    numbers,
    read_histories,
    write_histories,
)
from analysis.all_histories.gap import exact_gap_of, score, weights, worst_of
from analysis.all_histories.states import examine_states
from analysis.audit import exact_gap
from analysis.audit.page import lead
from analysis.audit.worst_histories import worst_histories
from meta_learning.processes import (
    ChangePoints,
    DirichletCategorical,
    Even,
    GoldenMean,
    MarkovChain,
    Mess3,
    Mixture,
)

# Counts, classes, no beliefs that are shared, and symbols that cannot come.
CASES = [
    (DirichletCategorical((0.5, 2.0), 7), None),
    (ChangePoints((1.3, 1.0, 0.5), 0.25), 4),
    (MarkovChain(((1.25, 0.5), (2, 5)), math.inf), 6),
    (Mixture(((0.5, 0.5, 0), (0, 0.25, 0.75), (0.5, 0, 0.5)), 5), None),
    (Mess3(0.5, 0.125, math.inf), 4),
    (Even(0.4), 7),
]


def saved(path, symbols, log_q, **more):
    """A predictions file, NPZ or netCDF by its suffix."""
    if path.suffix == ".npz":
        np.savez(path, symbols=symbols, log_probabilities=log_q, **more)
    else:
        own = {"symbols": (("row", "place"), symbols)}
        own["log_probabilities"] = ("row", "place", "outcome"), log_q
        xr.Dataset(own).to_netcdf(path, engine="h5netcdf")
    return path


IDS = [process.name for process, _ in CASES]


@pytest.mark.parametrize(("process", "draws"), CASES, ids=IDS)
def test_it_is_the_gap_of_enumeration_to_rounding_of_float64(process, draws):
    histories = all_histories(process, draws)
    net = learner(process.num_symbols, hidden=3)
    log_q = np.stack(
        [
            [naive_log_predictive(net, row[:t]) for t in range(histories.length)]
            for row in histories.symbols[: histories.rows].tolist()
        ]
    )
    found = exact_gap_of(histories, score(histories, log_q))
    levels = enumerated(process, histories.length, PROBABILITY[type(process)])
    gap, leak, same, rest, reset = by_hand(net, process, levels)
    parts = found.decomposition
    wanted = {"gap": gap, "leak": leak, "rest": rest, "reset": reset}
    if parts.same_belief is not None:
        wanted["same_belief"] = same
    for name, expected in wanted.items():
        np.testing.assert_allclose(getattr(parts, name), expected, rtol=1e-12, atol=1e-12)
    assert found.nodes == sum(map(len, levels)) == histories.prefixes.sum()
    json.dumps(found.document(), allow_nan=False)


@pytest.mark.parametrize(("process", "draws"), CASES[::2], ids=IDS[::2])
def test_a_network_through_a_file_is_audited_as_it_is_itself(process, draws, tmp_path):
    net = learner(process.num_symbols, hidden=3)
    histories = all_histories(process, draws)
    # What the network's own float32 loses, and what a file in float32 loses beside it.
    for dtype, near in ((np.float64, 2e-7), (np.float32, 1e-6)):
        scored = score(histories, net.log_predictive(histories.symbols).astype(dtype))
        found = exact_gap_of(histories, scored)
        direct = exact_gap.exact_gap(net, process, draws=draws)
        assert found.nodes == direct.nodes
        for name, values in direct.parts.items():
            np.testing.assert_allclose(found.parts[name], values, rtol=near, atol=near)
        np.testing.assert_allclose(found.memoryless, direct.memoryless, rtol=1e-12)
    ours = worst_of(histories, scored)
    theirs = worst_histories(net, process, draws=draws)
    assert ours.longest == theirs.longest
    for one, other in zip(ours.by_weight, theirs.by_weight, strict=True):
        assert one.weight == pytest.approx(other.weight, abs=near)
    assert ours.by_gap[0].symbols == theirs.by_gap[0].symbols
    np.testing.assert_allclose(ours.by_gap[0].network, theirs.by_gap[0].network, atol=near)


def test_bayes_in_fractions():
    """Golden mean: 5 draws by hand. Bayes has no gap; a fair coin's is the sum over histories."""
    process = GoldenMean(0.25)
    histories = all_histories(process, 5)
    levels = enumerated(process, 5, PROBABILITY[GoldenMean])
    log_b = process.log_predictive(histories.symbols)
    assert exact_gap_of(histories, score(histories, log_b)).gap == pytest.approx(0, abs=1e-15)
    coin = np.broadcast_to(np.log([0.5, 0.5, 1e-300]), log_b.shape)
    found = exact_gap_of(histories, score(histories, coin))
    total = 0.0
    for level in levels:
        assert sum(p for _, p, _ in level) == Fraction(1)
        total += sum(float(p * v) * math.log(2 * v) for _, p, b in level for v in b if v)
    assert found.gap == pytest.approx(total / 5, rel=1e-13)


def test_what_memoryless_predicts_is_as_far_as_memoryless():
    """To rounding of float32."""
    process = GoldenMean(0.5)
    histories = all_histories(process, 5)
    row = np.append(np.exp(process.log_first()), 0.0).astype(np.float32)
    with np.errstate(divide="ignore"):
        log_q = np.broadcast_to(np.log(row), (*histories.symbols.shape, 3))
    found = exact_gap_of(histories, score(histories, log_q))
    text = lead(found, endless=True)
    assert "nats a symbol, as memoryless's." in text and "more than" not in text


def test_a_model_that_is_certain_of_the_wrong_symbol_has_an_infinite_gap():
    histories = all_histories(GoldenMean(0.25), 4)
    with np.errstate(divide="ignore"):
        log_q = np.broadcast_to(np.log([1.0, 0, 0]), (len(histories.symbols), 4, 3))
    found = exact_gap_of(histories, score(histories, log_q))
    assert math.isinf(found.gap)
    assert found.document()["gap"]["mean"] is None


@pytest.mark.parametrize("suffix", [".npz", ".nc"])
def test_the_commands(suffix, tmp_path):
    file, predictions = tmp_path / f"all{suffix}", tmp_path / f"q{suffix}"
    made = run("streams", "--all-histories", "--process", "mess3", "--draws", 4, "--out", file)
    assert made.exit_code == 0, made.stderr
    assert "at most 40 histories of up to 3 draws" in made.stderr
    assert "all 40 histories" in made.stdout
    histories = read_histories(file)
    assert histories.process == Mess3()
    process = histories.process
    # A state that is Bayes's belief, turned, and a number that says nothing.
    belief = process.coordinates_along(histories.symbols)["state_probabilities"]
    states = np.concatenate([belief @ np.array([[1, 2], [0, 1], [3, 1.0]]), 0 * belief], axis=-1)
    log_q = process.log_predictive(histories.symbols)
    soft = np.log(0.9 * np.exp(log_q) + 0.1 / 4)
    saved(predictions, histories.symbols, soft, **({"states": states} if suffix == ".npz" else {}))
    out = tmp_path / "out"
    asked = ("compare", "--predictions", predictions, "--streams-file", file)
    result = run(*asked, "--json", "--out", out)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["gap"]["mean"] > 0
    assert found["histories"] == 40
    assert sum(part["mean"] for part in found["budget"].values() if part) == pytest.approx(
        found["gap"]["mean"], rel=1e-12
    )
    assert found["worst_histories"]["longest"] == 3
    assert {"report.html", "audit.nc", "audit.json", "error-budget.png"} <= {
        path.name for path in out.iterdir()
    }
    if suffix == ".nc":
        assert found["hidden_state"] is None
        return
    held = found["hidden_state"]
    assert held["probes"]["state_probabilities"]["r2"] == pytest.approx(1, abs=1e-9)
    assert held["for_99_percent"] <= 2
    assert (out / "belief.png").exists()
    said = run(*asked).stdout
    assert "Linear probes of the state" in said


def test_probes_are_weighted_least_squares():
    """Against drawing each history as often as its probability says."""
    process = DirichletCategorical((0.5, 2.0), 5)
    histories = all_histories(process)
    scored = score(histories, process.log_predictive(histories.symbols))
    weight = weights(histories, scored)
    assert weight.sum() == pytest.approx(1, rel=1e-12)
    rng = np.random.default_rng(0)
    states = rng.normal(size=(len(weight), 2))
    target = states @ [1.0, 2.0] + rng.normal(size=len(weight))
    held = examine_states(states, {"a": target[:, None]}, scored.place, weight)
    X = np.column_stack([np.ones(len(weight)), states]) * np.sqrt(weight)[:, None]
    normal = np.linalg.solve(X.T @ X, X.T @ (target * np.sqrt(weight)))
    left = weight @ (target - np.column_stack([np.ones(len(weight)), states]) @ normal) ** 2
    spread = weight @ (target - weight @ target) ** 2
    assert held.probes["a"].r2 == pytest.approx(1 - left / spread, rel=1e-10)
    assert held.eigenvalues.sum() == pytest.approx(
        weight @ ((states - weight @ states) ** 2).sum(1), rel=1e-10
    )


def test_looking_ahead_is_refused(tmp_path):
    process = DirichletCategorical((1.0, 1.0), 5)
    histories = all_histories(process)
    write_histories(tmp_path / "all.npz", histories)
    log_q = process.log_predictive(histories.symbols)

    def said(rows, symbols=histories.symbols, **more):
        path = saved(tmp_path / "q.npz", symbols, rows, **more)
        return refused("compare", "--predictions", path, "--streams-file", tmp_path / "all.npz")

    for place in range(histories.length):
        rows = log_q.copy()
        # The symbol that comes, a little more probable.
        seen = np.exp(rows[:, place]) * 0.99 + 0.01 * np.eye(3)[histories.symbols[:, place]]
        with np.errstate(divide="ignore"):
            rows[:, place] = np.log(seen)
        line = said(rows)
        assert f"predictions for place {place} should be equal" in line
    assert "sum to" in said(log_q + 0.1)
    assert "predict on all its rows" in said(
        log_q[: histories.rows], histories.symbols[: histories.rows]
    )
    states = np.zeros((len(log_q), histories.length, 2))
    assert "states has the shape" in said(log_q, states=states[:, 1:])
    states[3, 1, 0] = np.nan
    assert "not finite in row 3 at place 1" in said(log_q, states=states)
    assert "states is of type int64" in said(log_q, states=states.astype(bool).astype(int))
    # What has been seen before x_t is allowed, x_t itself is not.
    sums = np.cumsum(np.eye(3)[histories.symbols], axis=1)
    before = np.pad(sums, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    before[:, 1] = sums[:, 1]
    assert "their states at place 1 should be equal" in said(log_q, states=before)
    assert "their states at place 0 should be equal" in said(log_q, states=sums)


def test_limits_are_said_before_anything_is_written(tmp_path):
    out = tmp_path / "all.npz"
    for arguments, says in (
        (("--alpha", "10,1,1", "--T", 20), "more than 1e\\+08 numbers; ask for T of at most 15"),
        (("--process", "mess3", "--draws", 30), "fewer --draws, at most 14"),
        (("--process", "mess3", "--draws", 10**6), "fewer --draws, at most 14"),
        (("--alpha", "1,1", "--T", 5, "--draws", 3), "has 4 draws; got 3"),
        (("--alpha", "1,1", "--T", 1), "T must be 2 or more"),
        (("--alpha", "1,1", "--T", 5, "--streams", 9), "cannot be given with --all-histories"),
    ):
        line = refused("streams", "--all-histories", "--out", out, *arguments)
        assert re.search(says, line), line
    assert "without --all-histories" in refused("streams", "--process", "mess3", "--draws", 3)
    assert not out.exists()
    mess3 = Mess3()
    assert draws_of(mess3, None) == 12
    assert numbers(mess3, 14) <= MOST_NUMBERS < numbers(mess3, 15)


@pytest.mark.parametrize(
    ("T", "limit", "written"),
    [
        (2, "1 history, that of no draw; predictions take up to 24 bytes in", "1 history, that of"),
        (
            3,
            "3 histories of up to 1 draw; predictions take up to 96 bytes in",
            "all 3 histories of",
        ),
        (4, "7 histories of up to 2 draws; predictions take up to 288 bytes", "all 7 histories of"),
        (13, "4,095 histories of up to 11 draws; predictions take up to 0.3 MB", None),
    ],
)
def test_few_histories_are_counted_in_plain_words(T, limit, written, tmp_path):
    process = DirichletCategorical((1, 1), T)
    assert f": at most {limit}" in limits(process, T - 1)
    if written is None:
        return
    rows = 2 ** (T - 2)
    said = next_step(all_histories(process), tmp_path / "all.npz")
    assert said.startswith(f"{tmp_path / 'all.npz'}: {written}")
    shown = "and 1 row that shows looking ahead" if rows == 1 else f"and {rows} rows that show look"
    assert f"in {rows} row{'' if rows == 1 else 's'}, {shown}" in said
    assert not re.search(r"\b1 \w+s\b", said.replace(" shows", ""))


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "all.npz"
    write_histories(path, all_histories(Mess3(), 3))
    whole = dict(np.load(path))
    log_q = Mess3().log_predictive(whole["symbols"].astype(int))
    predictions = saved(tmp_path / "q.npz", whole["symbols"], log_q)
    np.savez(path, **(whole | {"symbols": whole["symbols"][::-1]}))
    line = refused("compare", "--predictions", predictions, "--streams-file", path)
    assert "damaged" in line


def test_the_pytorch_example(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the example needs the bench extra", exc_type=ImportError)
    file, predictions = tmp_path / "all.npz", tmp_path / "q.npz"
    made = run("streams", "--all-histories", "--process", "mess3", "--draws", 4, "--out", file)
    assert made.exit_code == 0, made.stderr
    example = Path(__file__).parents[2] / "docs" / "examples" / "pytorch_transformer.py"
    arguments = [file, predictions, "--iterations", 200, "--batch", 16]
    monkeypatch.setattr(sys, "argv", [example.name, *map(str, arguments)])
    runpy.run_path(str(example), run_name="__main__")
    result = run("compare", "--predictions", predictions, "--streams-file", file, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert 0 < found["gap"]["mean"] < found["gap"]["memoryless"]
    assert found["hidden_state"]["probes"]["state_probabilities"]["r2"] > 0.5
