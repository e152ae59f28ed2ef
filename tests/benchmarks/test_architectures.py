"""The board of architectures: who is on it, what is measured, and that it goes on where it was."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from meta_learning.learner import learner_model

FOLDER = Path(__file__).parents[2]


def load(path, monkeypatch):
    """A program of a folder that is no package."""
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def program(monkeypatch):
    return load(FOLDER / "benchmarks" / "architectures.py", monkeypatch)


@pytest.mark.parametrize("cell", ["gru", "mamba", "transformer-rotary"])
def test_cells_have_as_many_parameters_as_the_reference(cell, program):
    wanted = program.parameters(3, "lstm", 32)
    params = learner_model(3, "lstm", 32).init(jax.random.key(0))
    assert wanted == sum(leaf.size for leaf in params.values())
    hidden = program.matched_width(3, cell)
    assert abs(program.parameters(3, cell, hidden) / wanted - 1) <= program.WITHIN
    # No other width is nearer, but for attention that would have a single head.
    for other in (hidden - 1, hidden + 1):
        heads = getattr(learner_model(3, cell, other).cell, "heads", 2)
        off = abs(program.parameters(3, cell, other) / wanted - 1)
        assert heads < 2 or off >= abs(program.parameters(3, cell, hidden) / wanted - 1)


@pytest.fixture
def asked(program, monkeypatch):
    """What is trained, in order: (process, cell, symbols, seeds, rate). Nothing is."""
    calls = []

    def train(board, process, cell, symbols, seeds, rate):
        calls.append((process, cell, symbols, tuple(seeds), rate))
        return calls[-1:]

    def gaps(networks, process, streams):
        (_, _, symbols, seeds, rate) = networks[0]
        # The middle rate is the best.
        return [1e-3 * (1 + abs(rate - 0.01)) / symbols * (1 + seed) for seed in seeds], 0.02

    monkeypatch.setattr(program, "train_networks", train)
    monkeypatch.setattr(program, "_gaps", gaps)
    monkeypatch.setattr(program.jax, "clear_caches", lambda: None)
    return calls


def test_it_goes_on_where_it_was(program, asked, tmp_path):
    out = tmp_path / "board.nc"
    arguments = ["--out", str(out), "--cell", "lstm", "--process", "dirichlet", "--symbols", "400"]

    def run(*more):
        asked.clear()
        program.main([*arguments, *more], standalone_mode=False)
        return list(asked)

    first = run("--seeds", "2", "--rate-symbols", "400")
    tried = [(p, r) for p, *_, r in first[:-1]]
    assert tried == [(p, r) for p in program.RATE_PROCESSES for r in program.RATES]
    assert {seeds for *_, seeds, _ in first[:-1]} == {(program.RATE_SEED,)}
    assert first[-1] == ("dirichlet", "lstm", 400, (0, 1), 0.01)
    kept = program.load(out, [400], [0, 1])
    assert kept["learning_rate"].sel(cell="lstm") == 0.01
    np.testing.assert_allclose(
        kept["gap"].sel(process="dirichlet", cell="lstm", symbols=400), [2.5e-6, 5e-6]
    )
    assert run("--seeds", "2") == []
    # What is asked for besides is added, and what is there stays.
    assert run("--seeds", "2", "--symbols", "800") == [("dirichlet", "lstm", 800, (0, 1), 0.01)]
    grown = program.load(out, [1600], [0, 1])
    assert grown["gap"].sel(process="dirichlet", cell="lstm").notnull().sum() == 4


def test_a_board_that_is_not_done_is_drawn(program, asked, tmp_path, monkeypatch):
    out = tmp_path / "board.nc"
    arguments = ["--cell", "lstm", "--process", "dirichlet", "--symbols", "400", "--seeds", "2"]
    program.main([*arguments, "--out", str(out)], standalone_mode=False)
    pages = load(FOLDER / "docs" / "board.py", monkeypatch)
    monkeypatch.setattr(pages, "KEPT", out)
    text = pages.as_markdown(pages.load(), tmp_path, "here")
    (row,) = [line for line in text.splitlines() if line.startswith("| lstm | 99")]
    cells = [cell.strip() for cell in row.split("|")[2:-1]]
    assert cells[0].startswith("99.98 [")
    assert cells[1:] == [""] * 5
    assert (tmp_path / "architectures.png").exists()
