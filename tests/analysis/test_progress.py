"""How long work takes: what is said, when, and that it is said once."""

from __future__ import annotations

import io
import re
import sys
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TRAIN
from running import refused, run

from analysis import forecast, progress
from analysis.comparison.learners import compare_learners, score_ahead
from analysis.progress import TimeLeft, duration, meter
from analysis.training_progress import train_with_progress
from autoregressive import pace, training
from autoregressive.training import Trainer, fit
from meta_learning import learner
from meta_learning.processes import DirichletCategorical, Process
from meta_learning.recipes import make_recipe


def told(reports, what="training", unit="iterations"):
    """What is said on reports of (seconds, done, total)."""
    lines, times = [], []
    left = TimeLeft(what, unit, lines.append, clock=lambda: times[-1])
    for now, done, total in reports:
        times.append(now)
        left.reached(done, total)
    return lines


def test_long_work_says_once_how_long_it_takes():
    steady = [(t, 40 * t, 16_000) for t in range(401)]
    assert told(steady) == ["training: about 7 min for 16,000 iterations"]
    # Half a minute more is not long, whatever is asked how often.
    assert told([(t, t, 50) for t in range(51)]) == []
    assert told([]) == told([(0, 0, 10)]) == []


def test_nothing_is_said_before_the_first_seconds():
    assert told([(0, 0, 1000), (1.9, 1, 1000)]) == []
    assert told([(0, 0, 1000), (2.0, 1, 1000)]) == ["training: about 33 min for 1,000 iterations"]


def test_what_came_before_the_first_report_is_not_measured():
    # Compiling took a minute; a run that goes on has half of it behind.
    reports = [(0, 500, 1000), (60, 500, 1000), (62, 501, 1000), (64, 502, 1000)]
    assert told(reports) == ["training: about 17 min for 500 iterations"]


def test_work_that_slows_down_is_told_when_it_is_seen():
    assert told([(0, 0, 100), (3, 50, 100), (80, 52, 100), (90, 53, 100)]) == [
        "training: about 3 min for 100 iterations"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"),
        (59, "59 s"),
        (61, "1 min"),
        (7 * 60 + 10, "7 min"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (3 * 86400, "3 days"),
    ],
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_has_the_bar_and_no_line(monkeypatch, quiet):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "_MEASURE_S", 0.0)
    monkeypatch.setattr(progress, "LONG_S", 0.0)
    with meter("training", "iterations", quiet) as show:
        show(0, 1000)
        show(1, 1000)
        assert show.animated is not quiet
    assert ("training" in screen.getvalue()) is not quiet
    assert "about" not in screen.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_every_training_off_a_terminal_has_the_line(monkeypatch, cache, quiet):
    monkeypatch.setattr(progress, "_MEASURE_S", 0.0)
    monkeypatch.setattr(progress, "LONG_S", 0.0)
    result = run(*TRAIN, "--json", *(["--quiet"] if quiet else []))
    assert result.exit_code == 0, result.stderr
    lines = [x for x in result.stderr.splitlines() if ": about " in x]
    if quiet:
        assert result.stderr == ""
        return
    assert re.fullmatch(r"training lstm-4: about \d+ s for 6 iterations", lines[0])
    assert [x for x in lines if x.startswith("training")] == lines[:1]
    assert "about" not in result.stdout


def test_work_beside_a_training_is_done_once_and_only_beside_one(cache):
    called = Event()

    def beside():
        assert not called.is_set()
        called.set()
        raise RuntimeError("which nobody hears")

    recipe = make_recipe("coursework", iterations=6, batch_size=2, unroll=4)
    process = DirichletCategorical((1, 1), 4)
    (made,) = train_with_progress(process, recipe, "lstm", 2, (0,), True, beside)
    assert called.wait(10)
    called.clear()
    (found,) = train_with_progress(process, recipe, "lstm", 2, (0,), True, beside)
    assert not called.wait(0.2)
    assert jax.tree.all(jax.tree.map(np.array_equal, made.params, found.params))


def test_what_is_scored_ahead_is_compiled_once():
    process = DirichletCategorical((1.7, 0.9), 4)
    score_ahead(process, process, 3, 7)
    compiled = Process.sample_with_latent._cache_size()
    model = learner.learner_model(2, "lstm", 2)
    settings = {"cell": "lstm", "hidden": 2}
    net = learner.Learner(model, model.init(jax.random.key(0)), 2, settings)
    compare_learners([net], process, process, process, 3, 7)
    assert Process.sample_with_latent._cache_size() == compiled


def descent():
    """A trainer of one number per seed that draws from iteration numbers alone."""

    def draw(data, key, start, n):
        return jnp.float32(start + jnp.arange(n))

    def loss(params, batch):
        value = (params["w"] - batch) ** 2
        return value.sum(), value.mean()

    return Trainer(loss, optax.adam(0.1), draw)


def trained(monkeypatch, seconds):
    """What is yielded, and what is told, with pieces of so many seconds."""
    monkeypatch.setattr(training, "_PIECE_S", seconds)
    trainer, heard = descent(), []
    state = trainer.init({"w": jnp.arange(2.0)[:, None]})
    with pace.listen(pace.TRAINING, lambda *now: heard.append(now)):
        keys = jax.random.split(jax.random.key(0), 2)
        return [*fit(trainer, state, keys, None, [5, 12])], heard


def test_pieces_tell_of_themselves_and_change_no_bit(monkeypatch):
    single, heard = trained(monkeypatch, 0.0)
    assert heard == [(0, 12), *((n, 12) for n in range(13))]
    longer, heard = trained(monkeypatch, 1e9)
    # One iteration first, so that what is slow is known early.
    assert heard == [(0, 12), (0, 12), (1, 12), (5, 12), (12, 12)]
    for ours, theirs in zip(single, longer, strict=True):
        assert ours.iteration == theirs.iteration
        assert ours.loss.tobytes() == theirs.loss.tobytes()
        assert np.array_equal(ours.state.params["w"], theirs.state.params["w"])


def test_scoring_tells_of_every_network_and_chunk(monkeypatch):
    from analysis.comparison import chunks, compare

    monkeypatch.setattr(chunks, "_CHUNK_SYMBOLS", 12)
    monkeypatch.setattr(learner, "_EVALUATION_WORK", 1)
    process = DirichletCategorical((1, 1), 4)
    model = learner.learner_model(2, "lstm", 2)
    net = learner.Learner(model, model.init(jax.random.key(0)), 2, {})
    heard = []
    with pace.listen(pace.SCORING, lambda *now: heard.append(now)):
        compare.compare(
            [net.log_predictive] * 2, process, process, key=jax.random.key(1), streams=5, length=4
        )
    assert [total for _, total in heard] == [10] * len(heard)
    done = [done for done, _ in heard]
    assert done == sorted(done)
    assert set(done) == set(range(11))


def test_a_forecast_counts_what_a_network_takes(monkeypatch):
    monkeypatch.setattr(forecast, "operations_per_second", lambda: 1e11)
    process = DirichletCategorical((10, 1, 1), 20)
    assert forecast.forecast(process, make_recipe(), "lstm", 32, 1) == ""
    line = forecast.forecast(process, make_recipe(iterations=2), "lstm", 4096, 1)
    assert re.fullmatch(
        r"lstm-4096 has 67,\d{3},\d{3} weights: its training of 2 iterations may take \d+ min, "
        r"in \d+ GB of memory",
        line,
    )


def test_too_large_for_the_machine_is_one_line(monkeypatch, cache):
    monkeypatch.setattr(forecast, "memory", lambda: 2**12)
    line = refused(*TRAIN, "--json")
    assert re.fullmatch(
        r"Error: training one lstm-4 needs about \d+ MB of memory, there are 0 MB; try a smaller "
        r"--hidden, fewer seeds or --recipe coursework",
        line,
    )
    assert not list(cache.rglob("*.safetensors"))
