"""Posteriors over any number of missing pixels, estimated: each number with its error.

log p(observed past the first missing pixel) by independent runs of sequential Monte Carlo
(``autoregressive.pixels.evidence``), marginals from the same runs and more of them, or by particle Gibbs
where they scatter too widely, with ArviZ's diagnostics. What has not converged is marked and not given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Key

from analysis.images.chains import CHAIN_PARTICLES, CHAINS, Chains, run_chains
from analysis.images.run_marginals import LEAST_RUNS, grow
from analysis.workers import each_result
from autoregressive.images.masked import MaskedImages
from autoregressive.matrices import one_lapack_thread
from autoregressive.pixels.evidence import RUNS, Evidence, estimate_evidence, set_of_runs
from autoregressive.pixels.inpainting import past_only
from autoregressive.pixels.lookahead import Lookahead
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.pilots import look_ahead
from autoregressive.precision import float64
from autoregressive.threads import each_in_order

SAMPLES = 5
# Images of one task: chains of several go together.
_TASK_IMAGES = 8
# A larger standard error of log Z than this is none: the runs have not found the same completions.
MOST_ERROR = 0.5


@dataclass(frozen=True)
class Effort:
    """particles: of a run, to begin with. sweeps: of each of four chains, at most, or further runs with
    no more particles in all. target_error: of log p(observed), nats."""

    particles: int = 128
    sweeps: int = 500
    target_error: float = 0.05

    def __post_init__(self) -> None:
        if self.particles < 2 or self.sweeps < 50 or not self.target_error > 0:
            raise ValueError(
                "expected 2 or more particles, 50 or more sweeps and a target error above 0; got "
                f"{self.particles}, {self.sweeps} and {self.target_error:g}"
            )


@dataclass(frozen=True)
class Estimated:
    """One image's posterior. evidence: log p(observed from f on | before f) as independent runs, their
    estimates alone. chains: marginals with diagnostics, without what was drawn. samples: completions
    (5, m). best: the most probable one met; from_truth: whether that is the truth, which no run met.
    Nats: log_prob_best, log_prob_truth of all pixels from f on given those before; nll_best, nll_truth
    of the whole image; past_only of the true missing pixels given the true past."""

    missing: np.ndarray
    evidence: Evidence
    chains: Chains
    samples: np.ndarray
    best: np.ndarray
    log_prob_best: float
    nll_best: float
    from_truth: bool = False
    truth: np.ndarray | None = None
    log_prob_truth: float | None = None
    nll_truth: float | None = None
    past_only: float | None = None

    @property
    def usable(self) -> bool:
        """Whether log p(observed) is given at all."""
        return self.evidence.standard_error <= MOST_ERROR

    @property
    def log_posterior_truth(self) -> float | None:
        """log p(truth | observed), with the error of the evidence; None where it is not known."""
        if self.log_prob_truth is None or not self.usable:
            return None
        return self.log_prob_truth - self.evidence.mean


@dataclass(frozen=True)
class EstimationTask:
    """Some images as a task for a worker; the network's parameters as NumPy arrays."""

    network: PixelNetwork
    rows: np.ndarray
    masked: np.ndarray
    truth: np.ndarray | None
    effort: Effort
    seed: int


def estimate(
    network: PixelNetwork,
    images: MaskedImages,
    effort: Effort,
    seed: int,
    on_images: Callable[[int], None] = lambda done: None,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
) -> list[Estimated]:
    """The estimated posterior of every image that misses a pixel or more.

    on_images: called with the number of images done. scheduler, workers: where else images are
    computed (``analysis.workers``), to the same bits. Errors: ValueError where an image misses nothing;
    those of ``analysis.workers.run_tasks``.
    """
    check_estimable(images)
    tasks = list(_tasks(network, images, effort, seed))
    found: dict[int, Estimated] = {}
    with closing(_results(tasks, scheduler, workers)) as results:
        for index, done in results:
            found |= zip(tasks[index].rows.tolist(), done, strict=True)
            on_images(len(found))
    return [found[row] for row in range(len(found))]


def check_estimable(images: MaskedImages) -> None:
    """Errors: ValueError where an image misses nothing."""
    whole = ~(images.masked < 0).any(1)
    if whole.any():
        raise ValueError(
            f"image {int(whole.argmax())} has no missing pixel: leave out whole images to estimate "
            "the others"
        )


def _results(
    tasks: list[EstimationTask], scheduler: str | None, workers: int | None
) -> Generator[tuple[int, list[Estimated]], None, None]:
    """(index, results) of every task: elsewhere, or one after the other on all cores of this one."""
    if scheduler is not None or workers is not None:
        yield from each_result(estimate_task, tasks, scheduler=scheduler, workers=workers)
        return
    with closing(each_in_order(estimate_task, tasks, ahead=1)) as found:
        yield from enumerate(found)


def _tasks(
    network: PixelNetwork, images: MaskedImages, effort: Effort, seed: int
) -> Iterator[EstimationTask]:
    """Images whose missing pixels begin near each other go together."""
    bare = replace(network, params=jax.tree.map(np.asarray, network.params), history={})
    order = np.argsort((images.masked < 0).argmax(1), kind="stable")
    for start in range(0, len(order), _TASK_IMAGES):
        rows = order[start : start + _TASK_IMAGES]
        truth = None if images.truth is None else images.truth[rows]
        yield EstimationTask(bare, rows, images.masked[rows], truth, effort, seed)


def estimate_task(task: EstimationTask) -> list[Estimated]:
    """What ``estimate`` keeps of each image of a task."""
    effort = task.effort
    with float64(), one_lapack_thread():
        keys = [jax.random.fold_in(jax.random.key(task.seed), int(row)) for row in task.rows]
        ahead: list[Lookahead | None] = []
        evidence: list[Evidence] = []
        for image, key in zip(task.masked[:, None], keys, strict=True):
            ahead.append(look_ahead(task.network, image, jax.random.fold_in(key, 0)))
            evidence.append(
                estimate_evidence(
                    task.network,
                    image,
                    jax.random.fold_in(key, 1),
                    ahead[-1],
                    particles=effort.particles,
                    target=effort.target_error,
                )
            )
        chains = _marginals(task, keys, ahead, evidence)
    return [_result(task, n, evidence[n], chains[n]) for n in range(len(task.rows))]


def _marginals(
    task: EstimationTask,
    keys: list[Key[jax.Array, ""]],
    ahead: list[Lookahead | None],
    evidence: list[Evidence],
) -> list[Chains]:
    """Of each image, from runs like those of its evidence, or from chains where few runs weigh all."""
    keys = [jax.random.fold_in(key, 2) for key in keys]
    found: dict[int, Chains] = {}
    for n, answer in enumerate(evidence):
        if answer.effective_runs < LEAST_RUNS:
            continue

        def fresh(number: int, n: int = n, size: int = answer.particles) -> Evidence:
            key = jax.random.fold_in(keys[n], number)
            return set_of_runs(task.network, task.masked[n][None], key, ahead[n], size)

        particles = task.effort.sweeps * CHAINS * CHAIN_PARTICLES
        most = max(1, round(particles / (RUNS * answer.particles)))
        found[n] = grow(answer, fresh, most)
    rest = [n for n in range(len(evidence)) if n not in found]
    if rest:
        made = run_chains(
            task.network,
            task.masked[rest],
            jnp.stack([keys[n] for n in rest]),
            [evidence[n].drawn[:CHAINS, 0] for n in rest],
            [ahead[n] for n in rest],
            task.effort.sweeps,
        )
        found |= zip(rest, made, strict=True)
    return [found[n] for n in range(len(evidence))]


def _result(task: EstimationTask, n: int, evidence: Evidence, chains: Chains) -> Estimated:
    """One image: the best completion of all, and the truth's scores."""
    image = task.masked[n]
    missing = np.flatnonzero(image < 0)
    score, best = max(
        ((evidence.log_prob_best, evidence.best), (chains.log_prob_best, chains.best)),
        key=lambda pair: pair[0],
    )
    picked = chains.drawn.reshape(-1, len(missing))
    samples = picked[np.linspace(0, len(picked) - 1, SAMPLES).round().astype(int)]
    found = Estimated(
        missing,
        evidence.bare,
        replace(chains, drawn=chains.drawn[:, :0].copy()),
        samples,
        best,
        score,
        scores(task.network, image, best)[1],
    )
    if task.truth is None:
        return found
    truth = task.truth[n][missing].astype(np.int8)
    log_prob, nll, past = scores(task.network, image, truth)
    if log_prob > score and (truth != best).any():
        found = replace(found, best=truth, log_prob_best=log_prob, nll_best=nll, from_truth=True)
    return replace(found, truth=truth, log_prob_truth=log_prob, nll_truth=nll, past_only=past)


def scores(
    network: PixelNetwork, image: np.ndarray, values: np.ndarray
) -> tuple[float, float, float]:
    """Of one completed image: log p(pixels from f on | before), its NLL, log p(x_M | past)."""
    missing = image < 0
    whole = np.where(missing, 0, image).astype(np.uint8)
    whole[missing] = values
    both = past_only(network, whole[None], np.ones((1, len(image)), bool))
    log_p = both[np.arange(len(image)), whole]
    first = int(missing.argmax())
    return (
        float(log_p[first:].sum()),
        float(-log_p[min(first, 1) :].sum()),
        float(log_p[missing].sum()),
    )
