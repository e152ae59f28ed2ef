"""NUTS and the conjugate posterior: they agree, and the judge sees where they do not."""

import dataclasses
import json
import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest
from running import refused
from running import run as cli
from scipy import stats

from analysis.arviz_versions import arviz
from analysis.audit import run as audit_run
from analysis.audit.nuts import QUANTILES, _diagnose, judge, judge_posterior, sample_posterior
from analysis.audit.nuts_page import headline, table
from analysis.report.publish import write_netcdf
from meta_learning.processes import DirichletCategorical, MarkovChain

ALPHA = (0.6, 7.5, 2.2)
SYMBOLS = np.random.default_rng(0).choice(3, p=(0.2, 0.5, 0.3), size=(12, 4))


@pytest.fixture(scope="module")
def run():
    """Four posteriors with different counts."""
    process = DirichletCategorical(ALPHA, 13)
    return sample_posterior(process, SYMBOLS, key=jax.random.key(0), warmup=300, samples=600)


def test_nuts_agrees_with_the_conjugate_posterior(run):
    found = judge([run])
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
    found = judge([_diagnose(run.concentration + np.array(wrong), run.draws)])
    assert found.largest_z > found.z_limit
    assert not found.agree


def test_chains_that_differ_are_seen(run):
    apart = run.draws.copy(deep=True)
    apart["posterior"]["p"].values[0] = apart["posterior"]["p"].values[0][:, ::-1]
    found = judge([_diagnose(run.concentration, apart)])
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
    run = sample_posterior(
        process, np.zeros((0, 3), int), key=jax.random.key(1), warmup=150, samples=250
    )
    assert run.concentration.tolist() == [[3, 5]] * 3
    assert judge([run]).largest_z < judge([run]).z_limit


def test_the_page_says_whether_they_agree(run):
    assert "agrees with the exact posterior" in headline(run)
    wrong = _diagnose(run.concentration + np.array((0.5, 0, 0)), run.draws)
    assert "differs from the exact posterior" in headline(wrong)
    limit = judge([run]).z_limit
    doubtful = dataclasses.replace(run, z_mean=np.full_like(run.z_mean, 0.3))
    doubtful.z_mean[0, 1] = limit + 0.1
    assert "stays in doubt" in headline(doubtful)
    assert "has not converged" in headline(dataclasses.replace(run, rhat=run.rhat + 0.1))
    rows = table(run).rows
    assert len(rows) == 4 and {len(row) for row in rows} == {len(table(run).head)}
    document = json.loads(json.dumps(run.document(), allow_nan=False))
    assert document["agree"] and document["numbers"] == 72
    assert (document["chains"], document["samples"]) == (4, 600)
    assert len(document["by_posterior"][3]["z_quantiles"]) == len(QUANTILES)


def test_the_command_judges_the_exact_posterior(network_file, tmp_path, monkeypatch):
    few = partial(judge_posterior, posteriors=2, warmup=60, samples=50)
    monkeypatch.setattr(audit_run, "judge_posterior", few)
    out = tmp_path / "out"
    audit = ("audit", "--checkpoint", network_file, "--tasks", 50, "--only-gap", "--quiet")
    result = cli(*audit, "--nuts", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "NUTS" in result.stdout
    document = json.loads((out / "audit.json").read_text())["nuts"]
    data = arviz().from_netcdf(out / "nuts.nc")
    assert data["posterior"]["p"].shape == (4, 50, 2, 1, 3)
    # What was drawn is conditioned on: three draws at T=4, and the prior's 10, 1, 1.
    drawn = data["observed_data"]["x"].values[..., 0]
    assert drawn.shape == (3, 2)
    counts = np.stack([np.bincount(column, minlength=3) for column in drawn.T])
    shown = [each["concentration"] for each in document["by_posterior"]]
    np.testing.assert_allclose(shown, counts + np.array([10, 1, 1]))
    data.close()


def test_a_process_without_a_posterior_in_closed_form_is_refused():
    with pytest.raises(ValueError, match="closed form, which markov-chain does not have"):
        judge_posterior(MarkovChain(), key=jax.random.key(0), draws=3)
    says = refused("audit", "--process", "markov-chain", "--param", "T=4", "--nuts")
    assert "closed form" in says
    with pytest.raises(ValueError, match="1 or more posteriors"):
        judge_posterior(
            DirichletCategorical(ALPHA, 4), key=jax.random.key(0), draws=3, posteriors=0
        )


def test_it_says_what_it_needs():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="12 draws"):
        sample_posterior(DirichletCategorical(ALPHA, 13), SYMBOLS[:4], key=key)
    with pytest.raises(ValueError, match=r"0\.\.2"):
        sample_posterior(DirichletCategorical(ALPHA, 13), SYMBOLS + 1, key=key)
    with pytest.raises(ValueError, match="one or more runs"):
        judge([])


def test_limits_are_bonferronis(run):
    found = judge([run, run])
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
