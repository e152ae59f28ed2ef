"""What earlier solutions got wrong, measured on this run's images and networks."""

from __future__ import annotations

import dataclasses

from analysis.coursework import mistakes
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import KINDS, Run
from analysis.report.formats import nats, percent
from analysis.report.report import Table
from autoregressive.images.masked import MaskedImages
from meta_learning.experiments import EXPERIMENTS

TITLE = "What earlier solutions got wrong, shown"
ASKED = (
    "Mistakes of published solutions of the coursework, each beside the right way on the same data: "
    "what it does to the reported figure."
)


def effects(run: Run) -> list[mistakes.Effect]:
    """The effects of all mistakes, on the pixel network of rows 5 to 10 and the priors of M2 and M4."""
    network, n = run.pixels.network, run.sizes.mistaken_images
    _, sampled = run.continuation
    test = run.test_images.images(slice(0, n))
    out: list[mistakes.Effect] = []
    for kind in KINDS:
        images, _ = run.masked[kind]
        assert images.truth is not None
        some = MaskedImages(images.masked[:n], images.truth[:n])
        out += [
            dataclasses.replace(e, figure=f"{e.figure}, {kind}")
            for e in mistakes.masked_targets(network, some)
        ]
    out += mistakes.wrong_links(network.logits(test), test[:, 1:])
    out += mistakes.round_for_sampling(network, run.truth, sampled)
    out += mistakes.leave_teacher_forcing_on(sampled)
    for name in ("M2", "M4"):
        out += mistakes.not_bayes(EXPERIMENTS[name])
        out += mistakes.leave_first_unscored(EXPERIMENTS[name])
    return out


def section(run: Run) -> Result:
    """The effects as a table."""
    every = effects(run)
    masked, rounding = every[0], next(e for e in every if e.mistake.startswith("threshold"))
    answer = (
        f"{masked.figure}: {_value(masked, masked.right)} {masked.unit}, and "
        f"{_value(masked, masked.wrong)} when completions are scored against the masked image. "
        f"'Samples' by rounding cost {_value(rounding, rounding.wrong)} nats a pixel of their own, "
        f"drawn ones {_value(rounding, rounding.right)}."
    )
    table = Table(
        "Right and as done there",
        ["mistake", "figure", "right", "as done there"],
        [[e.mistake, _figure(e), _value(e, e.right), _value(e, e.wrong)] for e in every],
        f"In-painting, links: {run.sizes.mistaken_images} images; continuation: {len(run.truth)} "
        "images. KT, Laplace and the first symbol: exact, without sampling.",
    )
    return Result(answer, {"effects": [e.document() for e in every]}, [table], made=run.pixels.made)


def _figure(effect: mistakes.Effect) -> str:
    return effect.figure if effect.unit == "share" else f"{effect.figure}, {effect.unit}"


def _value(effect: mistakes.Effect, value: float) -> str:
    return percent(value) if effect.unit == "share" else nats(value)
