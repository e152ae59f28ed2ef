"""Chains of particle Gibbs of several images at once, until they have converged or were long enough:
for images whose independent runs scatter too widely to be averaged (``run_marginals``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float64, Int8, Key

from analysis.arviz_versions import arviz
from autoregressive.pixels.lookahead import Lookahead
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.particle_gibbs import sweep
from autoregressive.pixels.pilots import slots_for

if TYPE_CHECKING:
    import xarray

CHAINS = 4
# Even pixels: of a probability this near to one half.
EVEN = 0.4
# Of shares to draws, the least ratio of variances that is believed: that of independent particles.
_LEAST_RATIO = 1 / 8
MOST_RHAT, LEAST_ESS = 1.01, 400
# Sweeps at the start that are not counted: chains start from draws that are nearly right.
WARMUP = 20
# Particles of a chain's sweeps: twice as many move a chain as far as twice as many sweeps do.
CHAIN_PARTICLES = 8
# Particles that advance together.
_ROWS_CPU, _ROWS_GPU = 2**8, 2**14


@dataclass(frozen=True)
class Chains:
    """What the chains say of one image's m missing pixels.

    marginals: p(x_k = 1 | observed); errors: Monte Carlo standard errors; ess: bulk; rhat:
    rank-normalised, all by ArviZ from the shares of ones in each sweep (of runs: see
    ``run_marginals``). drawn: completions. best, log_prob_best: as ``Evidence``. sweeps: of each chain;
    runs: independent ones; 0 where there were none.
    """

    marginals: Float64[np.ndarray, " m"]
    errors: Float64[np.ndarray, " m"]
    ess: Float64[np.ndarray, " m"]
    rhat: Float64[np.ndarray, " m"]
    drawn: Int8[np.ndarray, "C K m"]
    best: Int8[np.ndarray, " m"]
    log_prob_best: float
    sweeps: int = 0
    runs: int = 0

    @property
    def converged(self) -> Bool[np.ndarray, " m"]:
        """Which marginals are to be given."""
        return (self.rhat <= MOST_RHAT) & (self.ess >= LEAST_ESS)


def run_chains(
    network: PixelNetwork,
    images: np.ndarray,
    keys: Key[jax.Array, " n"],
    starts: Sequence[np.ndarray],
    lookaheads: Sequence[Lookahead | None],
    sweeps: int,
) -> list[Chains]:
    """Chains of every image, half of ``sweeps`` long or, where that is not enough, all of them; to be
    called inside ``float64``.

    images: (n, P). starts: completions (CHAINS, m) of each.
    """
    makers = [_Maker(images[n], keys[n], starts[n], lookaheads[n]) for n in range(len(images))]
    found: dict[int, Chains] = {}
    half = -(-(sweeps + WARMUP) // 2)
    for _ in range(2):
        for group in _groups([n for n in range(len(makers)) if n not in found], makers):
            _extend(network, [makers[n] for n in group], half)
        last = all(len(maker.marginals) == 2 for n, maker in enumerate(makers) if n not in found)
        for n, maker in enumerate(makers):
            if n not in found:
                made = maker.chains()
                if last or made.converged.all():
                    found[n] = made
        if len(found) == len(makers):
            break
    return [found[n] for n in range(len(makers))]


class _Maker:
    """One image's chains while they grow."""

    def __init__(
        self,
        image: np.ndarray,
        key: Key[jax.Array, ""],
        start: np.ndarray,
        lookahead: Lookahead | None,
    ) -> None:
        self.image, self.lookahead = image, lookahead
        self.m = int((image < 0).sum())
        self.slots = slots_for(self.m)
        self.keys = jax.random.split(key, CHAINS)
        self.held = np.pad(start, ((0, 0), (0, self.slots - self.m)))
        self.marginals: list[np.ndarray] = []
        self.drawn: list[np.ndarray] = []
        self.best, self.log_prob_best = start[0], -np.inf

    def chains(self) -> Chains:
        """The chains so far."""
        rows = np.concatenate(self.marginals)[WARMUP:].swapaxes(0, 1)
        drawn = np.concatenate(self.drawn)[WARMUP:].swapaxes(0, 1)
        return Chains(*diagnose(rows), drawn, self.best, self.log_prob_best, sweeps=drawn.shape[1])


def diagnose(
    rows: Float64[np.ndarray, "C K m"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means, standard errors, bulk ESS and R-hat of shares of ones of m pixels in C chains.

    A share that is the same in every sweep has converged. What is nearly always 0 or 1 does not know
    its own error: chains that met the rare value seldom look as if they had mixed. So no error is below
    that of a share among as many independent draws as the image's even pixels are worth.
    """
    with np.errstate(all="ignore"):
        error = np.asarray(arviz().mcse(_labelled(rows), method="mean")["x"].values, float)
    ess, rhat = ranks(rows)
    error = np.maximum(np.where(is_still(rows), 0.0, error), _least_errors(rows, ess))
    return rows.mean((0, 1)), error, ess, rhat


def ranks(
    rows: Float64[np.ndarray, "C K m"],
) -> tuple[Float64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """ArviZ's bulk ESS and rank-normalised R-hat of m quantities in C chains. One that never changes
    has converged."""
    moves = ~is_still(rows)
    ess = np.full(len(moves), float(rows.shape[0] * rows.shape[1]))
    rhat = np.ones(len(moves))
    if moves.any():
        data = _labelled(rows[..., moves])
        with np.errstate(all="ignore"):
            ess[moves] = np.nan_to_num(arviz().ess(data, method="bulk")["x"].values, nan=0.0)
            rhat[moves] = np.nan_to_num(arviz().rhat(data, method="rank")["x"].values, nan=np.inf)
    return ess, rhat


def is_still(rows: Float64[np.ndarray, "C K m"]) -> Bool[np.ndarray, " m"]:
    """What is the same in every row."""
    return np.ptp(rows, axis=(0, 1)) == 0


def _labelled(rows: Float64[np.ndarray, "C K m"]) -> xarray.Dataset:
    import xarray as xr

    return xr.Dataset({"x": (("chain", "draw", "pixel"), rows)})


def _least_errors(
    rows: Float64[np.ndarray, "C K m"], ess: Float64[np.ndarray, " m"]
) -> Float64[np.ndarray, " m"]:
    """sqrt(r p (1 - p) / n): n and r are medians over the image's even pixels, or all where none is,
    of the ESS and of the variance of shares over that of draws; p is (n mean + 1) / (n + 2)."""
    mean = rows.mean((0, 1))
    even = np.abs(mean - 0.5) <= EVEN
    if not even.any():
        even[:] = True
    n = max(float(np.median(ess[even])), 1.0)
    p = (n * mean + 1) / (n + 2)
    ratio = float(np.median((rows.var((0, 1)) / (p * (1 - p)))[even]))
    return np.sqrt(min(max(ratio, _LEAST_RATIO), 1.0) * p * (1 - p) / n)


def _groups(left: list[int], makers: list[_Maker]) -> list[list[int]]:
    """Images with as many places for missing pixels, as many together as fill the rows."""
    many = max(1, _rows() // (CHAINS * CHAIN_PARTICLES))
    groups: list[list[int]] = []
    for slots in sorted({makers[n].slots for n in left}):
        same = [n for n in left if makers[n].slots == slots]
        groups += [same[start : start + many] for start in range(0, len(same), many)]
    return groups


def _rows() -> int:
    return _ROWS_CPU if jax.default_backend() == "cpu" else _ROWS_GPU


def _extend(network: PixelNetwork, makers: list[_Maker], count: int) -> None:
    """``count`` more sweeps of some images with as many places. The last one fills them up to a power of
    two, so that few programs are compiled."""
    filled = makers + makers[-1:] * (2 ** (len(makers) - 1).bit_length() - len(makers))
    ahead = None
    if makers[0].lookahead is not None:
        ahead = jax.tree.map(
            lambda *leaves: jnp.concatenate(leaves), *(m.lookahead for m in filled)
        )
    found = sweep(
        network.model,
        network.params,
        jnp.float64(network.first_pixel),
        jnp.asarray(np.stack([maker.image for maker in filled])),
        jnp.stack([maker.keys for maker in filled]),
        jnp.asarray(np.stack([maker.held for maker in filled])),
        ahead,
        jnp.int32(count * len(makers[0].marginals)),
        particles=CHAIN_PARTICLES,
        slots=makers[0].slots,
        count=count,
    )
    marginals, drawn = np.asarray(found.marginals), np.asarray(found.drawn)
    for n, maker in enumerate(makers):
        maker.marginals.append(marginals[:, n, :, : maker.m])
        maker.drawn.append(drawn[:, n, :, : maker.m])
        maker.held = drawn[-1, n]
        if float(found.log_prob_best[n]) > maker.log_prob_best:
            maker.best = np.asarray(found.best)[n, : maker.m]
            maker.log_prob_best = float(found.log_prob_best[n])
