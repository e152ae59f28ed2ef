"""Carry-over through RESET, the worst histories and the figure of the budget."""

import itertools

import jax
import matplotlib.pyplot as plt
import numpy as np
import pytest
from networks import learner

from analysis.audit import worst_histories as module
from analysis.audit.carry_over import carry_over
from analysis.audit.exact_gap import exact_gap
from analysis.audit.figures import PARTS, decomposition_figure, labels
from analysis.audit.gap import TERMS
from analysis.audit.tree import belief_classes
from analysis.audit.worst_histories import worst_histories
from autoregressive.scores import kl
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical

PROCESS = DirichletCategorical((10, 1, 1), 5)


def test_carry_over_is_the_paired_difference():
    net = learner()
    found = carry_over(net, PROCESS, key=jax.random.key(2), tasks=40, past_tasks=3)
    streams = np.asarray(PROCESS.sample(jax.random.fold_in(jax.random.key(2), 0), 40, 20))
    log_b = PROCESS.log_predictive(streams)[:, 15:19]
    after = kl(log_b, net.log_predictive(streams)[:, 15:19])
    fresh = kl(log_b, net.log_predictive(streams[:, 15:])[:, :4])
    assert found.fresh.mean == pytest.approx(fresh.mean(), rel=1e-6)
    np.testing.assert_allclose(
        [e.mean for e in found.by_position], (after - fresh).mean(0), rtol=1e-5, atol=1e-8
    )
    assert found.mean.low < found.mean.mean < found.mean.high
    assert found.mean.mean == pytest.approx((after - fresh).mean(), rel=1e-5)


def test_nothing_is_carried_over_by_a_network_without_memory():
    net = learner()
    params = {k: 0 * v if "readout.0.w" in k else v for k, v in net.params.items()}
    found = carry_over(
        Learner(net.model, params, 3, {}), PROCESS, key=jax.random.key(0), tasks=10, past_tasks=2
    )
    assert found.mean.mean == found.mean.low == found.mean.high == 0
    assert found.fresh.mean > 0


def test_its_fresh_gap_is_the_exact_one_within_its_interval():
    net = learner()
    found = carry_over(net, PROCESS, key=jax.random.key(1), tasks=4_000, past_tasks=1)
    wide = (found.fresh.high - found.fresh.low) / 2
    assert abs(found.fresh.mean - exact_gap(net, PROCESS).gap) < 2 * wide


@pytest.mark.parametrize(
    "T, more, message",
    [
        (float("inf"), {}, "finite"),
        (1, {}, "2 or more"),
        (5, {"tasks": 1}, "2 or more tasks"),
        (5, {"past_tasks": 0}, "past ones"),
    ],
)
def test_carry_over_says_what_it_needs(T, more, message):
    with pytest.raises(ValueError, match=message):
        carry_over(learner(), DirichletCategorical((10, 1, 1), T), key=jax.random.key(0), **more)


def test_worst_histories_are_those_of_enumeration():
    net = learner()
    found = worst_histories(net, PROCESS, top=5)
    every = []
    for n in range(4):
        past = np.array(list(itertools.product(range(3), repeat=n)), int).reshape(3**n, n)
        streams = np.pad(past, ((0, 0), (0, 4 - n)))
        streams = np.concatenate([streams, np.full((len(past), 1), 3)], axis=1)
        log_b, log_q = PROCESS.log_predictive(streams), net.log_predictive(streams)
        gaps = kl(log_b[:, n], log_q[:, n])
        steps = np.take_along_axis(log_b, streams[..., None], -1)[:, :n, 0]
        for h, gap, log_p in zip(past.tolist(), gaps, steps.sum(1), strict=True):
            every.append((tuple(h), gap, np.exp(log_p)))
    by_gap = sorted(every, key=lambda e: -e[1])[:5]
    by_weight = sorted(every, key=lambda e: -e[1] * e[2])[:5]
    assert [h.symbols for h in found.by_gap] == [e[0] for e in by_gap]
    assert [h.symbols for h in found.by_weight] == [e[0] for e in by_weight]
    for h, (_, gap, probability) in zip(found.by_gap, by_gap, strict=True):
        assert (h.gap, h.probability) == pytest.approx((gap, probability), rel=1e-5)
        assert h.network.sum() == pytest.approx(1, abs=1e-12)
        assert h.bayes.sum() == pytest.approx(1, abs=1e-12)
    assert found.longest == 3


def test_worst_histories_of_long_tasks_are_those_of_their_first_draws(monkeypatch):
    monkeypatch.setattr(module, "MOST_NODES", 40)
    monkeypatch.setattr(belief_classes, "MOST_CLASSES", 1_000)
    found = worst_histories(learner(), DirichletCategorical((10, 1, 1), 1_000), top=3)
    assert found.longest == 3
    assert max(len(h.symbols) for h in found.by_gap + found.by_weight) <= 3
    with pytest.raises(ValueError, match="1 or more histories"):
        worst_histories(learner(), PROCESS, top=0)


@pytest.mark.parametrize("carried", [False, True])
def test_the_figure_stacks_the_terms_to_the_gap(carried):
    net = learner()
    found = exact_gap(net, PROCESS)
    over = carry_over(net, PROCESS, key=jax.random.key(0), tasks=10, past_tasks=2)
    figure = decomposition_figure(found, over if carried else None)
    assert len(figure.axes) == 1 + carried
    tops = np.zeros(4)
    for container in figure.axes[0].containers:
        tops += [bar.get_height() for bar in container]
    np.testing.assert_allclose(tops, found.by_position, rtol=1e-9)
    assert all("nats" in axis.get_ylabel() for axis in figure.axes)
    texts = " ".join(t.get_text() for t in figure.legends[0].get_texts())
    assert set(PARTS) == set(TERMS)
    assert all(label in texts for label in labels(found).values())
    assert len({hatch for _, hatch in PARTS.values()}) == 3
    assert not plt.get_fignums()
