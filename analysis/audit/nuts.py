"""NUTS on a process's NumPyro model, to judge the conjugate posterior.

The model is conditioned on drawn symbols and sampled by NUTS (Hoffman and Gelman 2014), four chains at
once, in float64. Each p_k has the exact marginal Beta(a_k, sum(a) - a_k), a = alpha + counts. R-hat,
effective sample sizes and Monte Carlo standard errors are ArviZ's (Vehtari et al. 2021). Where both
posteriors are right, their differences in units of these errors are close to standard normal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np
import numpyro.distributions as dist
from jaxtyping import Float64, Integer, PRNGKeyArray
from numpyro.infer import MCMC, NUTS

from analysis.arviz_versions import arviz, from_numpyro
from analysis.report.formats import finite
from autoregressive.precision import float64
from meta_learning.processes import DirichletCategorical, Process, count_symbols

if TYPE_CHECKING:
    import xarray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Posteriors of an audit, and chains of a run.
POSTERIORS, CHAINS = 5, 4
# One number for each p_k of each posterior.
OfEach = Float64[np.ndarray, "streams symbols"]
# From counts, one row a stream.
Posterior = Callable[[Integer[np.ndarray, "streams symbols"]], dist.Dirichlet]


@dataclass(frozen=True)
class PosteriorSample:
    """NUTS for the posteriors of some streams of one task each.

    concentration: alpha + counts of the exact posterior, (streams, K). rhat, ess_bulk, ess_tail:
    (streams, K). z_mean: sampled less exact mean, in Monte Carlo standard errors, (streams, K).
    z_quantiles: the same of the share of draws below the exact 5, 25, 50, 75 and 95% quantiles, (5,
    streams, K); the errors of shares are closer to normal than those of sampled quantiles.
    divergences: their number. draws: groups posterior, sample_stats and observed_data, with dims chain,
    draw, stream, symbol.
    """

    concentration: OfEach
    rhat: OfEach
    ess_bulk: OfEach
    ess_tail: OfEach
    z_mean: OfEach
    z_quantiles: Float64[np.ndarray, "quantiles streams symbols"]
    divergences: int
    draws: xarray.DataTree

    def document(self) -> dict[str, object]:
        """Plain JSON values: the verdict, and each posterior; None for what is not finite."""
        verdict = judge([self])
        sizes = self.draws["posterior"].sizes
        return {
            "agree": verdict.agree,
            **{k: v if isinstance(v, int) else finite(v) for k, v in asdict(verdict).items()},
            "chains": sizes["chain"],
            "samples": sizes["draw"],
            "by_posterior": [
                {
                    "concentration": self.concentration[n].tolist(),
                    "rhat": [finite(v) for v in self.rhat[n]],
                    "ess_bulk": [finite(v) for v in self.ess_bulk[n]],
                    "ess_tail": [finite(v) for v in self.ess_tail[n]],
                    "z_mean": [finite(v) for v in self.z_mean[n]],
                    "z_quantiles": [[finite(v) for v in z] for z in self.z_quantiles[:, n]],
                }
                for n in range(len(self.concentration))
            ],
        }

    def to_datatree(self) -> xarray.DataTree:
        """The draws with the groups exact_posterior and diagnostics beside them, as ArviZ opens them."""
        import xarray as xr

        posterior = self.draws["posterior"]
        coords = {name: posterior[name].values for name in ("stream", "symbol")}
        dims = ("stream", "symbol")
        diagnostics = {
            name: (dims, getattr(self, name)) for name in ("rhat", "ess_bulk", "ess_tail", "z_mean")
        }
        quantiles = {"z_quantile": (("quantile", *dims), self.z_quantiles)}
        return xr.DataTree.from_dict(
            {
                **{name: group.to_dataset() for name, group in self.draws.children.items()},
                "exact_posterior": xr.Dataset(
                    {"concentration": (dims, self.concentration)}, coords
                ),
                "diagnostics": xr.Dataset(
                    diagnostics | quantiles, coords | {"quantile": list(QUANTILES)}
                ),
            }
        )


def posterior_of(process: Process) -> Posterior:
    """A process's conjugate posterior, as a function of counts (streams, K). Errors: ValueError where it
    has none."""
    posterior = getattr(process, "posterior", None)
    if not callable(posterior):
        raise ValueError(
            f"NUTS judges a posterior in closed form, which {process.name} does not have (a method "
            f"posterior, as {DirichletCategorical.name} has); leave out --nuts"
        )
    return posterior


def judge_posterior(
    process: Process,
    *,
    key: PRNGKeyArray,
    draws: int,
    posteriors: int = POSTERIORS,
    warmup: int = 500,
    samples: int = 1_000,
) -> PosteriorSample:
    """NUTS for the posteriors after ``draws`` draws of the first task of ``posteriors`` sampled streams.

    draws: T - 1 unless T is infinite. warmup, samples: of each of four chains. Errors: ValueError as
    ``sample_posterior``, or posteriors < 1.
    """
    posterior_of(process)
    if posteriors < 1:
        raise ValueError(f"expected 1 or more posteriors; got {posteriors}")
    key_streams, key_chains = jax.random.split(key)
    symbols = np.asarray(process.sample(key_streams, posteriors, max(draws, 1)))[:, :draws]
    return sample_posterior(process, symbols.T, key=key_chains, warmup=warmup, samples=samples)


def sample_posterior(
    process: Process,
    symbols: Integer[np.ndarray, "draws streams"],
    *,
    key: PRNGKeyArray,
    warmup: int = 500,
    samples: int = 1_000,
    chains: int = CHAINS,
) -> PosteriorSample:
    """Samples the posterior over p of every stream by NUTS on ``process.model``.

    symbols: int (draws, streams), the draws of one task in each stream; 0 draws leave the prior. All
    streams are one model and one run. Errors: ValueError as ``posterior_of``, where the draws are not
    the process's T - 1, or a symbol is outside 0..K-1.
    """
    posterior = posterior_of(process)
    symbols = np.asarray(symbols)
    n, streams = symbols.shape
    K = process.num_symbols
    if symbols.size and not (symbols.min() >= 0 and symbols.max() < K):
        raise ValueError(f"draws must lie in 0..{K - 1}; got {symbols.min()}..{symbols.max()}")
    counts = count_symbols(symbols.T, K)
    model = partial(process.model, streams=streams, draws=n)
    with float64(), jax.numpy_rank_promotion("allow"):  # NumPyro adds axes in silence
        mcmc = MCMC(
            NUTS(model),
            num_warmup=warmup,
            num_samples=samples,
            num_chains=chains,
            chain_method="vectorized",
            progress_bar=False,
        )
        mcmc.run(key, symbols[..., None] if n else None)
        draws = from_numpyro(
            mcmc,
            {"stream": np.arange(streams), "symbol": [*map(str, range(K))]},
            {"p": ["stream", "task", "symbol"], "x": ["place", "stream", "task"]},
        )
        exact = posterior(counts)
    return _diagnose(np.asarray(exact.concentration, np.float64), draws)


def _diagnose(concentration: OfEach, draws: xarray.DataTree) -> PosteriorSample:
    import xarray as xr
    from scipy.stats import beta

    az = arviz()
    posterior = draws["posterior"].to_dataset()[["p"]].isel(task=0, drop=True)
    marginal = beta(concentration, concentration.sum(-1, keepdims=True) - concentration)

    def of(function: Callable[..., xarray.Dataset], **how: str) -> OfEach:
        return function(posterior, **how)["p"].transpose("stream", "symbol").values

    z_mean = (posterior["p"].mean(("chain", "draw")).values - marginal.mean()) / of(az.mcse)
    z_quantiles = []
    for q in QUANTILES:
        below = (posterior <= xr.DataArray(marginal.ppf(q), dims=("stream", "symbol"))).astype(
            float
        )
        error = az.mcse(below)["p"].transpose("stream", "symbol").values
        missed = below["p"].mean(("chain", "draw")).values - q
        # All draws are on one side of the quantile: there is no error to divide by.
        z_quantiles.append(
            np.divide(missed, error, out=np.full_like(error, np.inf), where=error > 0)
        )
    return PosteriorSample(
        concentration=concentration,
        rhat=of(az.rhat),
        ess_bulk=of(az.ess, method="bulk"),
        ess_tail=of(az.ess, method="tail"),
        z_mean=z_mean,
        z_quantiles=np.stack(z_quantiles),
        divergences=int(draws["sample_stats"]["diverging"].sum()),
        draws=draws,
    )


@dataclass(frozen=True)
class Verdict:
    """Whether NUTS and the conjugate posterior agree, over all posteriors of some runs.

    posteriors: their number. largest_rhat, least_ess_bulk, least_ess_tail, divergences: over all.
    largest_z: the largest ``|z|`` of means and quantiles of all p_k. z_limit: it exceeds this with
    probability 0.05 at most where both agree (Bonferroni over ``numbers`` of z). chi_square: the sum of
    z^2 of the mean of p_0, one a posterior. p_value: of chi_square, two-sided.
    """

    posteriors: int
    largest_rhat: float
    least_ess_bulk: float
    least_ess_tail: float
    divergences: int
    largest_z: float
    z_limit: float
    numbers: int
    chi_square: float
    p_value: float

    @property
    def converged(self) -> bool:
        """R-hat below 1.01, ESS of 400 and more (Vehtari et al. 2021)."""
        least = min(self.least_ess_bulk, self.least_ess_tail)
        return self.largest_rhat < 1.01 and least >= 400

    @property
    def p_value_of_agreement(self) -> float:
        """The smaller of the p-values of the largest z (Bonferroni) and of the sum of squares."""
        from scipy.stats import norm

        return min(1.0, 2 * float(norm.sf(self.largest_z)) * self.numbers, self.p_value)

    @property
    def agree(self) -> bool:
        """Converged, z within its limit, p > 0.01."""
        return self.converged and self.largest_z < self.z_limit and self.p_value > 0.01


def judge(runs: Sequence[PosteriorSample]) -> Verdict:
    """All runs together. Errors: ValueError for none."""
    from scipy.stats import chi2, norm

    if not runs:
        raise ValueError("expected one or more runs of NUTS")

    def join(name: str) -> Float64[np.ndarray, " numbers"]:
        return np.concatenate([np.ravel(getattr(run, name)) for run in runs])

    z = np.abs(np.concatenate([join("z_mean"), join("z_quantiles")]))
    of_first = np.concatenate([run.z_mean[:, 0] for run in runs])
    total = float((of_first**2).sum())
    tail = min(chi2.cdf(total, len(of_first)), chi2.sf(total, len(of_first)))
    return Verdict(
        posteriors=len(of_first),
        largest_rhat=float(join("rhat").max()),
        least_ess_bulk=float(join("ess_bulk").min()),
        least_ess_tail=float(join("ess_tail").min()),
        divergences=sum(run.divergences for run in runs),
        largest_z=float(z.max()),
        z_limit=float(norm.isf(0.025 / z.size)),
        numbers=z.size,
        chi_square=total,
        p_value=float(2 * tail),
    )
