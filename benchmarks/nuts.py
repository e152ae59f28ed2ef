"""NUTS on the NumPyro model against the conjugate posterior, over random alphas and counts.

    python benchmarks/nuts.py --out benchmarks/results/nuts.json

Each run draws K in 2..5, every alpha_k log-uniform in 0.5..20 and the draws in 0..50, then samples the
posteriors of some streams of the process with four chains. R-hat, effective sample sizes and z of means
and quantiles are judged together. --netcdf also keeps the first run's draws.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import jax
import numpy as np
from document import write

from analysis.audit.nuts import QUANTILES, PosteriorSample, judge, sample_posterior
from analysis.report.publish import write_netcdf
from meta_learning.processes import DirichletCategorical


def random_run(
    key: jax.Array, streams: int, warmup: int, samples: int
) -> tuple[dict, PosteriorSample]:
    """One random process and number of draws; its settings, and NUTS on streams drawn from it."""
    key_case, key_streams, key_nuts = jax.random.split(key, 3)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key_case)))
    K, draws = int(rng.integers(2, 6)), int(rng.integers(0, 51))
    alpha = np.exp(rng.uniform(np.log(0.5), np.log(20), K)).round(3)
    process = DirichletCategorical(alpha, draws + 1)
    symbols = np.asarray(process.sample(key_streams, streams, draws + 1))[:, :draws].T
    run = sample_posterior(process, symbols, key=key_nuts, warmup=warmup, samples=samples)
    return {"alpha": " ".join(map(str, process.alpha)), "draws": draws}, run


def described(run: PosteriorSample, alpha: np.ndarray) -> dict[str, Any]:
    return {
        "counts": [" ".join(map(str, c)) for c in np.rint(run.concentration - alpha).astype(int)],
        "largest_rhat": float(run.rhat.max()),
        "least_ess_bulk": float(run.ess_bulk.min()),
        "least_ess_tail": float(run.ess_tail.min()),
        "largest_z_mean": float(np.abs(run.z_mean).max()),
        "largest_z_quantile": float(np.abs(run.z_quantiles).max()),
        "divergences": run.divergences,
    }


@click.command()
@click.option("--runs", default=40, show_default=True, help="Random alphas and numbers of draws.")
@click.option("--streams", default=5, show_default=True, help="Posteriors a run.")
@click.option("--warmup", default=500, show_default=True)
@click.option("--samples", default=4_000, show_default=True, help="Of each of four chains.")
@click.option("--seed", default=0, show_default=True)
@click.option("--netcdf", type=click.Path(path_type=Path), help="The first run's draws.")
@click.option("--out", type=click.Path(path_type=Path), help="The file that the JSON goes to.")
def main(
    runs: int,
    streams: int,
    warmup: int,
    samples: int,
    seed: int,
    netcdf: Path | None,
    out: Path | None,
) -> None:
    began = time.perf_counter()
    cases, sampled = [], []
    for index in range(runs):
        key = jax.random.fold_in(jax.random.key(seed), index)
        case, run = random_run(key, streams, warmup, samples)
        cases.append(case | described(run, np.array(case["alpha"].split(), float)))
        sampled.append(run)
        click.echo(f"{index + 1} of {runs}: {cases[-1]}", err=True)
    if netcdf is not None:
        write_netcdf(netcdf, sampled[0].to_datatree())
    verdict = judge(sampled)
    z = np.concatenate([np.ravel(run.z_mean) for run in sampled])
    z_quantiles = np.concatenate([run.z_quantiles.reshape(5, -1) for run in sampled], axis=1)
    results = {
        "runs": runs,
        "chains": 4,
        "warmup": warmup,
        "samples": samples,
        "verdict": asdict(verdict) | {"agree": verdict.agree},
        "standard_deviation_of_z": {
            "mean": float(z.std()),
            **{f"{q:.0%}": float(v.std()) for q, v in zip(QUANTILES, z_quantiles, strict=True)},
        },
        "seconds": time.perf_counter() - began,
        "cases": cases,
    }
    write(results, out)


if __name__ == "__main__":
    main()
