"""What an audit says of NUTS beside the exact posterior: a sentence, a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analysis.report.report import Table

if TYPE_CHECKING:
    from analysis.audit.nuts import PosteriorSample


def headline(sample: PosteriorSample) -> str:
    """The answer in a sentence."""
    from analysis.audit.nuts import judge

    verdict = judge([sample])
    if not verdict.converged:
        least = min(verdict.least_ess_bulk, verdict.least_ess_tail)
        return (
            "NUTS has not converged and says nothing of the exact posterior: R-hat goes up to "
            f"{verdict.largest_rhat:.3f}, effective sample sizes begin at {least:,.0f}."
        )
    if verdict.agree:
        text = "NUTS on the process's NumPyro model agrees with the exact posterior"
    elif verdict.p_value_of_agreement >= 0.001:
        text = "Whether NUTS agrees with the exact posterior stays in doubt (try another --seed)"
    else:
        text = "NUTS on the process's NumPyro model differs from the exact posterior"
    return (
        f"{text}: over {verdict.posteriors} posteriors the largest "
        f"of {verdict.numbers} differences is {verdict.largest_z:.2f} Monte Carlo standard errors "
        f"(limit {verdict.z_limit:.2f}), and the sum of squares of those of the mean of p_0 has "
        f"p = {verdict.p_value:.2g}."
    )


def table(sample: PosteriorSample) -> Table:
    """Every posterior."""
    sizes = sample.draws["posterior"].sizes
    rows = [
        [
            ", ".join(f"{a:g}" for a in concentration.round(4)),
            f"{sample.rhat[n].max():.4f}",
            f"{min(sample.ess_bulk[n].min(), sample.ess_tail[n].min()):,.0f}",
            f"{np.abs(sample.z_mean[n]).max():.2f}",
            f"{np.abs(sample.z_quantiles[:, n]).max():.2f}",
        ]
        for n, concentration in enumerate(sample.concentration)
    ]
    return Table(
        "Does NUTS agree with the exact posterior?",
        ["Dirichlet of the posterior", "R-hat", "least ESS", "z, means", "z, quantiles"],
        rows,
        f"Posteriors over p after the draws of a task, by NUTS: {sizes['chain']} chains of "
        f"{sizes['draw']:,} samples in float64, {sample.divergences} divergences. R-hat and the "
        "effective sample size (bulk or tail) are the worst of all p_k. z: sampled less exact in Monte "
        "Carlo standard errors, the largest in absolute value, of the means and of the shares below the "
        "5, 25, 50, 75 and 95% quantiles of the exact Beta marginals.",
    )
