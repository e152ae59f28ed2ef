"""Processes: their samples, their exact predictive, and the reference ladder's exact values."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import judges
import numpy as np
import pytest
from laws import LENGTH, OF_PROCESSES, many, sampled
from numpyro.infer.util import log_density

from meta_learning.processes import (
    PROCESSES,
    DirichletCategorical,
    FixedCategorical,
    Streams,
    drawn_places,
    task_counts,
)
from meta_learning.processes.dirichlet_categorical import wrong_alpha
from meta_learning.references import ladder

EXAMPLES = [example for kind in PROCESSES.values() for example in kind.examples()]
# A two-sided normal deviation this large comes by chance less than once in ten million; the seeds are
# fixed, so what passes once passes always.
SIGMAS = 5.5

every_process = pytest.mark.parametrize("process", EXAMPLES, ids=repr)
dirichlets = pytest.mark.parametrize(
    "process", [e for e in EXAMPLES if isinstance(e, DirichletCategorical)], ids=repr
)

OF_ONE_P = [e for e in EXAMPLES if isinstance(e, DirichletCategorical | FixedCategorical)]


@pytest.mark.parametrize("law", OF_PROCESSES, ids=lambda law: law.__name__)
@every_process
def test_laws(process, law):
    law(process)


@pytest.mark.parametrize("T", [1, 2, 3, 5, math.inf])
@pytest.mark.parametrize(
    "alpha",
    [
        (1.0, 1.0),
        (1e-3, 1e3),
        (0.1, 1e-3),
        (10.0, 1.0, 1.0),
        (1e-3, 1e-3, 1e-3),
        (1e3, 1e-3, 0.7),
        *(tuple(np.random.default_rng(K).gamma(1.0, 2.0, K)) for K in (2, 3)),
    ],
    ids=str,
)
def test_every_short_history_agrees_with_exact_fractions(alpha, T):
    streams = judges.all_streams(len(alpha), T, 7)  # histories of 0 to 6 places before 7 rows
    wanted = np.array([judges.log_predictive(alpha, T, stream) for stream in streams])
    got = DirichletCategorical(alpha, T).log_predictive(streams)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("process", OF_ONE_P, ids=repr)
def test_density_over_posterior_is_the_predictive_of_the_whole_stream(process):
    T = process.task_length
    tasks = 1 if math.isinf(T) else LENGTH // int(T)
    length = LENGTH if math.isinf(T) else int(T) * tasks
    symbols = sampled(process, 4).symbols[:, :length]
    drawn = symbols[:, drawn_places(length, T)].reshape(4, tasks, -1)
    counts = (drawn[..., None] == np.arange(process.num_symbols)).sum(-2)
    observed = np.moveaxis(drawn, -1, 0) if drawn.size else None
    given = {"streams": 4, "tasks": tasks, "draws": drawn.shape[-1]}
    p = np.random.default_rng(1).dirichlet(np.ones(process.num_symbols), (4, tasks))

    @jax.jit
    def densities(p):
        if not hasattr(process, "posterior"):  # p is known: nothing to divide by
            return log_density(process.model, (observed,), given, {})[0], 0.0
        joint = log_density(process.model, (observed,), given, {"p": p})[0]
        return joint, process.posterior(counts).log_prob(p).sum()

    # NumPyro's densities add axes in silence.
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        joint, posterior = map(float, densities(p))
    rows = process.log_predictive(symbols)
    scored = np.take_along_axis(rows, symbols[..., None], -1).sum()
    assert joint - posterior == pytest.approx(scored, rel=1e-9, abs=1e-12)


@dirichlets
def test_latent_has_the_first_two_moments_of_its_dirichlet(process):
    p = many(process).latent.astype(np.float64).reshape(-1, process.num_symbols)
    alpha = np.array(process.alpha)
    total = alpha.sum()
    second = (np.outer(alpha, alpha) + np.diag(alpha)) / (total * (total + 1))
    for values, exact in ((p, alpha / total), (p[:, :, None] * p[:, None, :], second)):
        error = np.abs(values.mean(0) - exact)
        assert (error < SIGMAS * values.std(0) / math.sqrt(len(p))).all()


def test_latents_of_tiny_alpha_are_probabilities():
    process = DirichletCategorical((1e-3, 1e-3, 1e-3), 4)
    p = np.asarray(process.sample_with_latent(jax.random.key(0), 300, 12).latent)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(-1), 1.0, atol=1e-6)


def test_jax_keeps_its_float_width():
    for process in EXAMPLES:
        process.log_predictive(sampled(process).symbols)
        process.coordinates_along(sampled(process).symbols)
        process.log_predictive_given_latent(sampled(process))
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(1).dtype == np.float32


class Slow(DirichletCategorical):
    """Leaves other threads the time to begin their own model within its."""

    def latent(self):
        time.sleep(0.2)
        return super().latent()


def test_threads_sample_at_once():
    process = Slow((1.0, 2.0), 4)

    def sampled_of(length):
        return process.sample(jax.random.key(0), 3, length)

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(sampled_of, (4, 8, 12, 16)))
    for symbols in found:
        wanted = DirichletCategorical((1.0, 2.0), 4).sample(jax.random.key(0), *symbols.shape)
        np.testing.assert_array_equal(symbols, wanted)


def test_counts_clear_at_RESET_and_leave_it_out():
    stream = [0, 1, 1, 3, 2, 2, 2, 3]
    counts = task_counts(np.array(stream), 3, 4)
    np.testing.assert_array_equal(
        counts[[0, 3, 4, 7]], [[0, 0, 0], [1, 2, 0], [0, 0, 0], [0, 0, 3]]
    )


@pytest.mark.parametrize(
    "alpha", [(), (1,), (1, 0), (1, -1, 1), (1, math.inf), (1, math.nan)], ids=str
)
def test_alpha_is_checked(alpha):
    with pytest.raises(ValueError, match="alpha"):
        DirichletCategorical(alpha, 5)


@pytest.mark.parametrize("T", [0, -1, 2.5, math.nan, -math.inf])
@pytest.mark.parametrize(
    "make", [lambda T: DirichletCategorical((1, 1), T), lambda T: FixedCategorical((1, 0), T)]
)
def test_T_is_checked(make, T):
    with pytest.raises(ValueError, match="T must be a whole number"):
        make(T)


@pytest.mark.parametrize("p", [(1,), (0.5, 0.6), (-0.5, 1.5), (math.nan, 1), ()], ids=str)
def test_p_is_checked(p):
    with pytest.raises(ValueError, match="p "):
        FixedCategorical(p, 5)


def test_posterior_and_model_check_their_arguments():
    process = DirichletCategorical((1, 1, 1), 5)
    with pytest.raises(ValueError, match="counts must end"):
        process.posterior([1, 2])
    with pytest.raises(ValueError, match="has 4 draws"):
        process.model(draws=5)
    with pytest.raises(ValueError, match="infinite"):
        DirichletCategorical((1, 1), math.inf).model()


# Values of a task of T=20, in nats a draw: the definition's five decimals.
EXACT = {
    (10.0, 1.0, 1.0): {
        "oracle": 0.49574,
        "bayes": 0.54067,
        "memoryless": 0.02542,
        "kt": 0.07324,
        "laplace": 0.10059,
    },
    (1.0, 1.0, 1.0): {"oracle": 0.83333, "bayes": 0.93171, "memoryless": 0.16690, "kt": 0.00923},
}
PSEUDO_COUNTS = {"memoryless": None, "kt": 0.5, "laplace": 1.0}


@pytest.mark.parametrize("alpha", EXACT, ids=str)
def test_enumeration_gives_the_values_of_the_definitions(alpha):
    wanted = EXACT[alpha]
    assert judges.oracle_loss(alpha) == pytest.approx(wanted["oracle"], abs=5e-6)
    for name in wanted.keys() & PSEUDO_COUNTS.keys():
        loss, excess = judges.exact_losses(alpha, 20, PSEUDO_COUNTS[name])
        assert loss == pytest.approx(wanted["bayes"], abs=5e-6)
        assert excess == pytest.approx(wanted[name], abs=5e-6)


@pytest.mark.parametrize("name", PSEUDO_COUNTS)
@pytest.mark.parametrize("alpha", [*EXACT, (0.4, 2.0, 7.0)], ids=str)
def test_ladder_has_the_exact_excess_over_bayes(alpha, name):
    prior = DirichletCategorical(alpha, 20)
    weights, places, symbols = judges.prefixes(alpha, 20)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    rows = {
        who: ladder(prior, prior)[who](Streams(symbols, None))[np.arange(len(symbols)), places]
        for who in ("bayes", name)
    }
    bayes, other = rows["bayes"][:, :-1], rows[name][:, :-1]
    excess = (weights[:, None] * np.exp(bayes) * (bayes - other)).sum()
    loss = -(weights[:, None] * np.exp(bayes) * bayes).sum()
    wanted_loss, wanted_excess = judges.exact_losses(alpha, 20, PSEUDO_COUNTS[name])
    assert loss == pytest.approx(wanted_loss, rel=1e-11)
    assert excess == pytest.approx(wanted_excess, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("alpha", EXACT, ids=str)
def test_oracle_loss_is_the_mean_entropy(alpha):
    process = DirichletCategorical(alpha, 20)
    streams = process.sample_with_latent(jax.random.key(0), 4_000, 20)
    rows = ladder(process, process)["oracle"](streams)[:, 0, :-1]
    entropy = -(np.exp(rows) * np.where(np.isfinite(rows), rows, 0)).sum(-1)
    error = abs(entropy.mean() - judges.oracle_loss(alpha))
    assert error < SIGMAS * entropy.std() / math.sqrt(len(entropy))


def test_wrong_alpha_is_never_the_right_one():
    for alpha in ((10.0, 1.0, 1.0), (1.3, 1.3, 1.3), (1.3, 1.3)):
        assert wrong_alpha(alpha) != alpha
        assert len(wrong_alpha(alpha)) == len(alpha)
    assert wrong_alpha((1.3, 1.3, 1.3)) == (10.0, 1.0, 1.0)
