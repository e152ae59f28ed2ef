"""What known mistakes do to the numbers: each beside the right way, on the same data.

The mistakes are those of published solutions of the coursework: completions scored against the masked
image, a second sigmoid, a softmax over the whole image, rounding in place of sampling, continuation with
teacher forcing left on, Laplace's and KT's rules called Bayes, a first symbol that is never scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Float32, Shaped
from scipy.special import expit, logsumexp

from analysis.coursework.exact_losses import bayes_losses, excess
from analysis.report.report import Document
from autoregressive.cells.base import Params, State
from autoregressive.images.masked import MaskedImages
from autoregressive.model import Model
from autoregressive.pixels.continuation import Continuation
from autoregressive.pixels.network import PixelNetwork, inputs, nats
from autoregressive.pixels.posterior import completions
from meta_learning.processes import DirichletCategorical

# Pixels and their logits: of whole continuations, and at one place.
Pair = tuple[Float32[Array, "n horizon"], Float[Array, "n horizon"]]
PairHere = tuple[Float32[Array, " n"], Float[Array, " n"]]


@dataclass(frozen=True)
class Effect:
    """One mistake's effect on one figure. unit: "nats a pixel" and the like, or "share"."""

    mistake: str
    figure: str
    right: float
    wrong: float
    unit: str

    def document(self) -> Document:
        """Plain JSON values."""
        return asdict(self)


def masked_targets(network: PixelNetwork, images: MaskedImages) -> list[Effect]:
    """Completions of missing pixels scored as targets of -1 instead of their own values.

    images: with their truth, each with the same number of missing pixels, few enough to enumerate.
    Completions are fed in either way; the targets differ, and so the completion that is preferred.
    Errors: ValueError where the truth is not known or the numbers of missing pixels differ.
    """
    if images.truth is None:
        raise ValueError("the effect on in-painting needs images whose truth is known")
    counts = (images.masked < 0).sum(1)
    if (counts != counts[0]).any():
        raise ValueError("every image should miss equally many pixels")
    n, m = len(images.masked), int(counts[0])
    values = completions(m)
    filled = np.repeat(images.masked[:, None], len(values), axis=1)
    filled[np.broadcast_to((images.masked < 0)[:, None], filled.shape)] = np.tile(
        values, (n, 1)
    ).ravel()
    logits = network.logits(filled.reshape(n * len(values), -1)).reshape(n, len(values), -1)
    truth = images.truth[images.masked < 0].reshape(n, m)
    target = truth.astype(np.int64) @ (1 << np.arange(m)[::-1])
    means = {}
    for name, targets in (("right", filled), ("wrong", images.masked[:, None])):
        scores = -nats(logits, targets[..., 1:].astype(np.float64)).sum(-1)
        log_p = scores - logsumexp(scores, axis=1, keepdims=True)
        means[name] = (log_p[np.arange(n), target].mean(), (log_p.argmax(1) == target).mean())
    mistake = "targets of -1, the masked image's"
    return [
        Effect(mistake, figure, float(means["right"][i]), float(means["wrong"][i]), unit)
        for i, (figure, unit) in enumerate(
            (
                ("log p(truth | observed)", "nats an image"),
                ("most probable = truth", "share"),
            )
        )
    ]


def wrong_links(
    logits: Float[np.ndarray, "n places"], targets: Shaped[np.ndarray, "n places"]
) -> list[Effect]:
    """Logits turned into probabilities by a second sigmoid, or by a softmax over the image.

    logits, targets: (n, places). The loss is -log of the target's probability, nats.
    """
    z = np.asarray(logits, np.float64)
    once = expit(z)
    right = float(nats(z, targets).mean())
    # sigmoid(p) has the logit p.
    twice = float(nats(once, targets).mean())
    log_p = z - logsumexp(z, axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_rest = np.log1p(-np.exp(log_p))
    softmax = float(-np.where(targets == 1, log_p, log_rest).mean())
    figure, unit = "test cross-entropy", "nats a pixel"
    return [
        Effect("a sigmoid applied twice", figure, right, twice, unit),
        Effect("softmax over the image", figure, right, softmax, unit),
    ]


def round_for_sampling(
    network: PixelNetwork,
    pixels: Shaped[np.ndarray, "n places"],
    sampled: Continuation,
    thresholds: Sequence[float] = (0.5, 0.25),
) -> list[Effect]:
    """'Samples' by a threshold on the probability instead of a draw.

    pixels: the true images (n, P). sampled: their right continuation. A is the samples' own
    cross-entropy, C the truth's under their probabilities, over all missing pixels.
    """
    first, out = sampled.first, []
    horizon = sampled.truth.shape[1]
    right = {kind: mean for kind, (mean, _) in sampled.costs(horizon).items()}
    truth = network.check(pixels)
    for threshold in thresholds:
        made, z = _continue_by_threshold(
            network.model,
            network.params,
            jnp.asarray(truth),
            jnp.log(threshold / (1 - threshold)),
            first,
        )
        wrong = {
            "own": float(nats(np.asarray(z), np.asarray(made)).mean()),
            "crossed": float(nats(np.asarray(z), truth[:, first:]).mean()),
        }
        mistake = f"threshold {threshold:g} for sampling"
        out += [
            Effect(mistake, f"{name}, {horizon} pixels", right[kind], wrong[kind], "nats a pixel")
            for name, kind in (("A: samples", "own"), ("C: truth under samples", "crossed"))
        ]
    return out


@partial(jax.jit, static_argnums=(0, 4))
def _continue_by_threshold(
    model: Model,
    params: Params,
    pixels: Shaped[Array, "n places"],
    least_logit: Float[Array, ""],
    first: int,
) -> Pair:
    """Images (n, P) continued from ``first`` on with a 1 where the logit is above ``least_logit``: the
    pixels and their logits, each (n, P - first)."""
    n, places = pixels.shape
    state, _ = model.unroll(params, model.initial_state((n,)), inputs(pixels)[:, : first - 1])

    # The state and the latest pixels.
    Carry = tuple[State, Float32[Array, " n"]]

    def step(carry: Carry, _: None) -> tuple[Carry, PairHere]:
        state, x = carry
        state, logits = model.step(params, state, x[:, None])
        z = logits[..., 0]
        x = (z > least_logit).astype(jnp.float32)
        return (state, x), (x, z)

    start = (state, pixels[:, first - 1].astype(jnp.float32))
    _, (made, z) = lax.scan(step, start, None, length=places - first)
    return made.T, z.T


def leave_teacher_forcing_on(sampled: Continuation) -> list[Effect]:
    """True pixels fed in while 'continuing': B, the truth's cost given its own past, is then reported
    for C, its cost under free-running samples."""
    horizon = sampled.truth.shape[1]
    costs = sampled.costs(horizon)
    return [
        Effect(
            "teacher forcing left on",
            f"C: truth under samples, {horizon} pixels",
            costs["crossed"][0],
            costs["truth"][0],
            "nats a pixel",
        )
    ]


def not_bayes(process: DirichletCategorical) -> list[Effect]:
    """Laplace's and KT's rules reported as 'Bayes': the loss that a network is then measured against,
    nats a draw, exact."""
    right = float(bayes_losses(process, int(process.T) - 1).mean())
    return [
        Effect(
            f"{name} called Bayes",
            f"Bayes's loss, {process.title}",
            right,
            right + excess(process, pseudo_count),
            "nats a symbol",
        )
        for name, pseudo_count in (("KT", 0.5), ("Laplace", 1.0))
    ]


def leave_first_unscored(process: DirichletCategorical) -> list[Effect]:
    """The first symbol of every task, which costs most, left out of Bayes's expected loss, nats a draw,
    exact. T must be 3 or more, so that another draw is left."""
    losses = bayes_losses(process, int(process.T) - 1)
    return [
        Effect(
            "first symbol never scored",
            f"Bayes's loss, {process.title}",
            float(losses.mean()),
            float(losses[1:].mean()),
            "nats a symbol",
        )
    ]
