"""Networks off their prior: judged by predictors whose gap is known exactly."""

import itertools
import json
import math
from fractions import Fraction

import jax
import numpy as np
import pytest

from analysis.comparison.off_prior import default_sources, off_prior
from meta_learning.processes import DirichletCategorical, FixedCategorical, with_reset

PRIOR = DirichletCategorical((2, 1, 1), 3)


def leaky(symbols, r=0.25):
    """Bayes of PRIOR's alpha at T=3, with probability r on RESET at every drawn place."""
    log_p = PRIOR.log_predictive(symbols)
    drawn = log_p[..., -1] == -np.inf
    log_p[drawn] += math.log1p(-r)
    log_p[drawn, -1] = math.log(r)
    return log_p


def exact_excess(alpha, prior, draws):
    """E KL(Bayes(alpha) || Bayes(prior)) a drawn place, all histories in exact probabilities."""
    total = 0.0
    K = len(alpha)
    for n in range(draws):
        for history in itertools.product(range(K), repeat=n):
            weight, counts = Fraction(1), [0] * K
            for t, x in enumerate(history):
                weight *= (alpha[x] + counts[x]) / (sum(alpha) + t)
                counts[x] += 1
            p, q = (
                [float((a[k] + counts[k]) / (sum(a) + n)) for k in range(K)] for a in (alpha, prior)
            )
            total += float(weight) * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return total / draws


def test_bayes_is_bayes_and_pays_its_prior_elsewhere():
    other = DirichletCategorical((1, 1, 3), 3)
    found = off_prior(
        [PRIOR.log_predictive],
        PRIOR,
        key=jax.random.key(0),
        streams=4_000,
        sources=[("own", PRIOR), ("alpha", other)],
    )
    own, off = (row.estimates for row in found.rows)
    assert own["gap.network"].mean == 0
    assert off["gap.network"].mean == 0
    alphas = [tuple(Fraction(int(a)) for a in p.alpha) for p in (other, PRIOR)]
    exact = exact_excess(*alphas, draws=2)
    estimate = off["gap_test.network"]
    width = estimate.high - estimate.low
    assert width < 0.1 * exact
    assert abs(estimate.mean - exact) < width  # two half-widths: about 4 standard errors
    assert estimate.mean == off["gap_test.bayes"].mean


def test_the_cost_of_reset_is_apart_from_the_symbols():
    found = off_prior(
        [leaky],
        PRIOR,
        key=jax.random.key(0),
        streams=50,
        sources=[("own", PRIOR), ("p", FixedCategorical((1, 0, 0), 3))],
    )
    for row in found.rows:
        assert row.estimates["gap.network"].mean == pytest.approx(-math.log(0.75), abs=1e-12)
        assert row.estimates["reset_cost"].mean == pytest.approx(-math.log(0.75), abs=1e-12)
        assert row.symbols_gap == pytest.approx(0, abs=1e-12)


def test_a_predictor_with_another_T_has_no_finite_gap_and_the_document_stays_json():
    def sure_of_T3(symbols):
        log_p = np.full((*symbols.shape, 3), -math.log(3))
        return with_reset(log_p, 3)

    found = off_prior(
        [sure_of_T3],
        PRIOR,
        key=jax.random.key(0),
        streams=20,
        sources=[
            ("own", PRIOR),
            ("T", DirichletCategorical((2, 1, 1), 5)),
            ("T", DirichletCategorical((2, 1, 1), 1)),
        ],
    )
    text = json.dumps(found.document(), allow_nan=False)
    rows = json.loads(text)["rows"]
    assert rows[0]["gap.network"]["mean"] > 0
    assert rows[1]["gap.network"]["mean"] is None
    assert rows[2]["gap.network"]["mean"] is None
    assert rows[2]["miss"]["mean"] == pytest.approx(67 / 100)  # of 100 places


def test_default_sources_keep_K_and_never_repeat_training():
    for process in (
        PRIOR,
        DirichletCategorical((10, 1), 5),
        DirichletCategorical((1, 1), math.inf),
    ):
        (kind, own), *others = default_sources(process)
        assert (kind, own) == ("own", process)
        assert all(source != process for _, source in others)
        assert {source.num_symbols for _, source in others} == {process.num_symbols}
        assert {kind for kind, _ in others} == {"alpha", "p", "T"}
