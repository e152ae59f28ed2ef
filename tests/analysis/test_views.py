"""What a notebook shows of a result: one line of text, and tables."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from rich.console import Console

from analysis import progress
from analysis.audit.exact_gap import exact_gap
from analysis.comparison.compare import compare
from analysis.hidden.examine import examine
from autoregressive.pixels.packaged import packaged_pixels
from meta_learning import DirichletCategorical
from meta_learning.learner import Learner, learner_model

PROCESS = DirichletCategorical((2, 1), 4)


@pytest.fixture(scope="module")
def learner():
    model = learner_model(2, "gru", 3)
    settings = {"cell": "gru", "hidden": 3, "seed": 5, "process": PROCESS.settings()}
    return Learner(model, model.init(jax.random.key(0)), 2, settings)


def test_a_network_says_what_it_is(learner):
    weights = sum(np.size(value) for value in learner.params.values())
    assert repr(learner) == f"<Learner: cell=gru, hidden=3, {weights} weights, seed 5>"
    assert repr(packaged_pixels("lstm-32")).startswith("<PixelNetwork: cell=lstm, hidden=32, ")


def test_a_comparison_shows_its_tables(learner):
    predict = learner.log_predictive
    found = compare([predict], PROCESS, PROCESS, key=jax.random.key(0), streams=4, length=8)
    gap = found.networks[0].gap.mean()
    assert f"mean gap {gap:.3g} nats" in repr(found)
    assert len(repr(found)) < 300
    html = found._repr_html_()
    assert "share of the gap closed" in html and "KL(Bayes || network)" in html
    assert f"{found.references['oracle'].loss.mean():.5f}" in html


def test_an_exact_gap_shows_its_parts(learner):
    exact = exact_gap(learner, PROCESS)
    assert repr(exact).startswith(f"<ExactGap {exact.gap:.4g} nats a symbol over {exact.nodes} ")
    assert "leak" in exact._repr_html_()


def test_a_hidden_state_shows_its_tables(learner):
    found = examine(learner, PROCESS, key=jax.random.key(0), streams=8)
    assert "8 streams" in repr(found) and len(repr(found)) < 300
    assert found._repr_html_().count("<table>") > 2


@pytest.mark.parametrize(("jupyter", "widgets", "bar"), [(True, True, True), (True, False, False)])
def test_a_bar_moves_in_a_notebook_that_can_show_it(jupyter, widgets, bar, monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if widgets else None)
    console = Console(force_jupyter=jupyter, width=80)
    assert progress._in_notebook(console) == bar
    assert not progress._in_notebook(Console(force_jupyter=False))
