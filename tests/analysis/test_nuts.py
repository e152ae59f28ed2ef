"""NUTS and the conjugate posterior: they agree, and the judge sees where they do not."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest
from scipy import stats

from analysis.arviz_versions import arviz
from analysis.audit.nuts import QUANTILES, _diagnosed, nuts, verdict
from analysis.report.publish import write_netcdf
from meta_learning.processes import DirichletCategorical

ALPHA = (0.6, 7.5, 2.2)
SYMBOLS = np.random.default_rng(0).choice(3, p=(0.2, 0.5, 0.3), size=(12, 4))


@pytest.fixture(scope="module")
def run():
    """Four posteriors with different counts."""
    process = DirichletCategorical(ALPHA, 13)
    return nuts(process, SYMBOLS, key=jax.random.key(0), warmup=300, samples=600)


def test_nuts_agrees_with_the_conjugate_posterior(run):
    found = verdict([run])
    assert found.posteriors == 4 and found.numbers == 4 * 3 * 6
    assert found.largest_rhat < 1.01
    assert min(found.least_ess_bulk, found.least_ess_tail) > 400
    assert found.divergences == 0
    assert found.largest_z < found.z_limit
    assert found.agree
    counts = np.stack([np.bincount(column, minlength=3) for column in SYMBOLS.T])
    np.testing.assert_allclose(run.concentration, counts + ALPHA)


def test_its_z_are_those_of_the_draws(run):
    p = run.draws["posterior"]["p"].values[:, :, 2, 0, 1]
    a = run.concentration[2]
    exact = stats.beta(a[1], a.sum() - a[1])
    # The errors are ArviZ's; signs and sizes of what they divide are not.
    assert np.sign(run.z_mean[2, 1]) == np.sign(p.mean() - exact.mean())
    for q, z in zip(QUANTILES, run.z_quantiles[:, 2, 1], strict=True):
        missed = (p <= exact.ppf(q)).mean() - q
        assert np.sign(z) == np.sign(missed)
        independent = missed / np.sqrt(q * (1 - q) / p.size)
        assert 0.3 < z / independent < 3


@pytest.mark.parametrize("wrong", [(0.5, 0, 0), (0, 0, 3), (200, 200, 1)])
def test_another_posterior_is_told_from_it(run, wrong):
    found = verdict([_diagnosed(run.concentration + np.array(wrong), run.draws)])
    assert found.largest_z > found.z_limit
    assert not found.agree


def test_chains_that_differ_are_seen(run):
    apart = run.draws.copy(deep=True)
    apart["posterior"]["p"].values[0] = apart["posterior"]["p"].values[0][:, ::-1]
    found = verdict([_diagnosed(run.concentration, apart)])
    assert found.largest_rhat > 1.01 and not found.agree


def test_the_draws_open_in_arviz(run, tmp_path):
    write_netcdf(tmp_path / "nuts.nc", run.to_datatree())
    data = arviz().from_netcdf(tmp_path / "nuts.nc")
    p = data["posterior"]["p"]
    assert p.dims == ("chain", "draw", "stream", "task", "symbol")
    assert p.shape == (4, 600, 4, 1, 3)
    np.testing.assert_array_equal(p.symbol, ["0", "1", "2"])
    np.testing.assert_array_equal(data["observed_data"]["x"].values[..., 0], SYMBOLS)
    np.testing.assert_array_equal(data["diagnostics"]["rhat"].values, run.rhat)
    np.testing.assert_array_equal(data["exact_posterior"]["concentration"], run.concentration)
    assert float(arviz().rhat(data)["p"].max()) == pytest.approx(run.rhat.max())
    data.close()


@pytest.mark.slow
def test_without_draws_it_samples_the_prior():
    process = DirichletCategorical((3.0, 5.0), 1)
    run = nuts(process, np.zeros((0, 3), int), key=jax.random.key(1), warmup=150, samples=250)
    assert run.concentration.tolist() == [[3, 5]] * 3
    assert verdict([run]).largest_z < verdict([run]).z_limit


def test_it_says_what_it_needs():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="12 draws"):
        nuts(DirichletCategorical(ALPHA, 13), SYMBOLS[:4], key=key)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        nuts(DirichletCategorical(ALPHA, 13), SYMBOLS + 1, key=key)
    with pytest.raises(ValueError, match="one or more runs"):
        verdict([])


def test_limits_are_bonferronis(run):
    found = verdict([run, run])
    assert found.numbers == 2 * 72
    assert 2 * stats.norm.sf(found.z_limit) * found.numbers == pytest.approx(0.05)
    assert dataclasses.asdict(found)["posteriors"] == 8


def test_arviz_is_imported_where_nothing_can_be_written(tmp_path):
    """ArviZ 0.23 leaves a stamp in the user's cache: here a file stands where it would be."""
    (tmp_path / "arviz").write_text("")
    code = (
        "import platformdirs, warnings; warnings.simplefilter('error');"
        f"platformdirs.user_cache_dir = lambda *a, **k: {str(tmp_path / 'arviz' / 'x')!r};"
        "from analysis.arviz_versions import arviz; print(arviz().rhat.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "rhat"
