"""NUTS on a process's NumPyro model, against the conjugate posterior: two answers to one question.

The model is conditioned on drawn symbols and sampled by NUTS (Hoffman and Gelman 2014), four chains at
once, in float64. Each p_k has the exact marginal Beta(a_k, sum(a) - a_k), a = alpha + counts. R-hat,
effective sample sizes and Monte Carlo standard errors are ArviZ's (Vehtari et al. 2021). Differences in
units of these errors are close to standard normal where both are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpyro.infer import MCMC, NUTS

from analysis.arviz_versions import arviz, from_numpyro
from autoregressive.precision import float64
from meta_learning.processes import DirichletCategorical

if TYPE_CHECKING:
    import xarray

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Sampled:
    """NUTS for the posteriors of some streams of one task each.

    concentration: alpha + counts of the exact posterior, (streams, K). rhat, ess_bulk, ess_tail:
    (streams, K). z_mean: (streams, K), sampled less exact mean in Monte Carlo standard errors.
    z_quantiles: (5, streams, K), the same for the share of draws up to the exact 5, 25, 50, 75 and 95%
    quantiles: shares have errors that are closer to normal than those of the quantiles themselves.
    divergences: their number.
    draws: groups posterior, sample_stats and observed_data, with dims chain, draw, stream, symbol.
    """

    concentration: np.ndarray
    rhat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    z_mean: np.ndarray
    z_quantiles: np.ndarray
    divergences: int
    draws: xarray.DataTree

    def to_datatree(self) -> xarray.DataTree:
        """The draws with the groups exact_posterior and diagnostics beside them, as ArviZ opens them."""
        import xarray as xr

        posterior = self.draws["posterior"]
        coords = {name: posterior[name].values for name in ("stream", "symbol")}
        dims = ("stream", "symbol")
        diagnostics: dict[str, Any] = {
            name: (dims, getattr(self, name)) for name in ("rhat", "ess_bulk", "ess_tail", "z_mean")
        }
        diagnostics["z_quantile"] = (("quantile", *dims), self.z_quantiles)
        return xr.DataTree.from_dict(
            {
                **{name: group.to_dataset() for name, group in self.draws.children.items()},
                "exact_posterior": xr.Dataset(
                    {"concentration": (dims, self.concentration)}, coords
                ),
                "diagnostics": xr.Dataset(diagnostics, coords | {"quantile": list(QUANTILES)}),
            }
        )


def nuts(
    process: DirichletCategorical,
    symbols: Any,
    *,
    key: jax.Array,
    warmup: int = 500,
    samples: int = 1_000,
    chains: int = 4,
) -> Sampled:
    """Samples the posterior over p of every stream by NUTS on ``process.model``.

    symbols: int (draws, streams), the draws of one task in each stream; 0 draws leave the prior. All
    streams are one model and one run. Errors: ValueError where the draws are not the process's T - 1,
    or a symbol is outside 0..K-1.
    """
    symbols = np.asarray(symbols)
    n, streams = symbols.shape
    K = process.num_symbols
    if symbols.size and not (symbols.min() >= 0 and symbols.max() < K):
        raise ValueError(f"draws must lie in 0..{K - 1}; got {symbols.min()}..{symbols.max()}")
    counts = (symbols[..., None] == np.arange(K)).sum(0)
    model = partial(process.model, streams=streams, draws=n)
    with float64():
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
        exact = process.posterior(counts)
    return _diagnosed(np.asarray(exact.concentration, np.float64), draws)


def _diagnosed(concentration: np.ndarray, draws: xarray.DataTree) -> Sampled:
    import xarray as xr
    from scipy.stats import beta

    az = arviz()
    posterior = draws["posterior"].to_dataset()[["p"]].isel(task=0, drop=True)
    total = concentration.sum(-1, keepdims=True)
    sampled = posterior["p"]

    def of(function: Any, **how: Any) -> np.ndarray:
        return function(posterior, **how)["p"].transpose("stream", "symbol").values

    z_mean = (sampled.mean(("chain", "draw")).values - concentration / total) / of(az.mcse)
    z_quantiles = []
    for q in QUANTILES:
        exact = beta.ppf(q, concentration, total - concentration)
        below = (posterior <= xr.DataArray(exact, dims=("stream", "symbol"))).astype(float)
        error = az.mcse(below)["p"].transpose("stream", "symbol").values
        missed = below["p"].mean(("chain", "draw")).values - q
        # All draws on one side of a quantile: no error can be told, and none explains it.
        z_quantiles.append(
            np.divide(missed, error, out=np.full_like(error, np.inf), where=error > 0)
        )
    return Sampled(
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
    """Whether NUTS and the conjugate posterior agree, over all of some runs.

    posteriors: their number. largest_rhat, least_ess_bulk, least_ess_tail, divergences: over all.
    largest_z: of means and quantiles of all p_k, in absolute value. z_limit: what it exceeds with
    probability 0.05 at most where they agree (Bonferroni over ``numbers`` of them). chi_square: sum of
    z^2 of the mean of p_0, one a posterior, and p_value: of a sum as far out to either side.
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
    def agree(self) -> bool:
        """R-hat below 1.01, ESS of 400 and more (Vehtari et al. 2021), z within its limit, p > 0.01."""
        return (
            self.largest_rhat < 1.01
            and min(self.least_ess_bulk, self.least_ess_tail) >= 400
            and self.largest_z < self.z_limit
            and self.p_value > 0.01
        )


def verdict(runs: Sequence[Sampled]) -> Verdict:
    """All runs together. Errors: ValueError for none."""
    from scipy.stats import chi2, norm

    if not runs:
        raise ValueError("expected one or more runs of NUTS")

    def joined(name: str) -> np.ndarray:
        return np.concatenate([np.ravel(getattr(run, name)) for run in runs])

    z = np.abs(np.concatenate([joined("z_mean"), joined("z_quantiles")]))
    of_first = np.concatenate([run.z_mean[:, 0] for run in runs])
    total = float((of_first**2).sum())
    tail = min(chi2.cdf(total, len(of_first)), chi2.sf(total, len(of_first)))
    return Verdict(
        posteriors=len(of_first),
        largest_rhat=float(joined("rhat").max()),
        least_ess_bulk=float(joined("ess_bulk").min()),
        least_ess_tail=float(joined("ess_tail").min()),
        divergences=sum(run.divergences for run in runs),
        largest_z=float(z.max()),
        z_limit=float(norm.isf(0.025 / z.size)),
        numbers=z.size,
        chi_square=total,
        p_value=float(2 * tail),
    )
