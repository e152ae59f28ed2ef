"""Which prior does a network behave like, and how does it do on p that it has not seen?"""

from __future__ import annotations

from analysis.coursework import questions_figures as figures
from analysis.coursework.answer_texts import (
    Answer,
    alpha_text,
    bounds,
    effective_texts,
    gap_text,
    interval_text,
    means_text,
    numbers_text,
    price_text,
    share_text,
)
from analysis.report.formats import interval, nats
from analysis.report.report import Document, Panel, Table


def on_prior(document: Document) -> Answer:
    """The prior that each network behaves like."""
    training = [t for t in document["trainings"] if t["T"] == 20 and t["unroll"] == 100]
    rows = [[alpha_text(t), *effective_texts(t), gap_text(t), share_text(t)] for t in training]
    flat = document["exact"]["priors"][-1]
    ours, uniform = document["exact"]["largest_p"]
    text = (
        "Each network predicts as exact Bayes does with a prior close to its own: the table "
        "has the alpha "
        "whose predictions are nearest. Dirichlet"
        f"({numbers_text(flat['alpha'])}) does not concentrate p at 1/3: it is "
        f"{nats(flat['nats_from_uniform'])} nats from the uniform distribution over p, and the largest "
        f"of p has median {ours['quantiles'][1]:.3f} (uniform: {uniform['quantiles'][1]:.3f}), with 90% "
        f"between {ours['quantiles'][0]:.3f} and {ours['quantiles'][2]:.3f} (uniform: "
        f"{uniform['quantiles'][0]:.3f} and {uniform['quantiles'][2]:.3f})."
    )
    table = Table(
        "The prior that each network behaves like, T=20",
        ["trained on", "alpha 0", "alpha 1", "alpha 2", "gap", "closed"],
        rows,
        "Minimises KL(network's symbols || Bayes(alpha)) on the network's own streams. "
        f"{interval_text(document, 'One seed.')} "
        "gap: KL(Bayes || network), nats. closed: share of memoryless's gap.",
    )
    question = "What is learnt with alpha=(10,1,1), and with (1.1,1.1,1.1)?"
    like = "; ".join(
        f"trained on {alpha_text(t)}, like Bayes with {means_text(t)}" for t in training
    )
    return Answer(question, f"Networks predict, {like}.", text, [table], [])


def on_unseen_p(document: Document) -> Answer:
    """The gap on tasks that always have the same p."""
    training = [t for t in document["trainings"] if t["T"] == 20 and t["unroll"] == 100]
    rows = []
    for t in training:
        for r in t["rows"]:
            if r["kind"] in ("own", "alpha", "p"):
                excess = r.get("gap_test.network")
                rows.append(
                    [
                        alpha_text(t),
                        "own streams" if r["kind"] == "own" else r["name"],
                        nats(r["gap.network"]["mean"], "infinite"),
                        interval(r["gap.network"]["ci95"]),
                        nats(excess["mean"], "infinite") if excess else "",
                        nats(r["gap.memoryless"]),
                    ]
                )
    curves = {
        f"trained on alpha={alpha_text(t)}": [
            (r["p"][0], r["gap.network"]["mean"], *bounds(r["gap.network"]))
            for r in t["rows"]
            if r["kind"] == "line"
        ]
        for t in training
    }
    text = (
        "On tasks that always have the same p = (w, (1-w)/2, (1-w)/2) the gap to the network's own "
        "Bayes depends on w. Its largest and its smallest mean with 95% intervals: "
    )
    parts = []
    for label, every in curves.items():
        points = [q for q in every if q[1] is not None]
        if len(points) < len(every):
            parts.append(f"{label}, infinite at {len(every) - len(points)} of {len(every)}")
        if not points:
            continue
        worst, best = max(points, key=lambda q: q[1]), min(points, key=lambda q: q[1])
        parts.append(
            f"{label}, {nats(worst[1])} {interval(list(worst[2:]))} nats at w={worst[0]:.2g} and "
            f"{nats(best[1])} {interval(list(best[2:]))} at w={best[0]:.2g}"
        )
    text += "; ".join(parts) + "."
    short = f"The largest and the smallest mean gap to its own Bayes: {parts[0]}." if parts else ""
    table = Table(
        "Unseen p, T=20: the gap to Bayes with the training alpha",
        ["trained on", "tested on", "gap", "95% interval", "gap (test)", "memoryless"],
        rows,
        "Nats a drawn symbol. gap (test): KL(Bayes with the test alpha || network). "
        f"{price_text(training)} memoryless: its gap. {interval_text(document)}",
    )
    panel = Panel(
        "questions-unseen-p",
        figures.gap_along_p(curves),
        "Gap against the probability of symbol 0 for three training priors, on a log axis.",
        "Tasks that always have p = (w, (1-w)/2, (1-w)/2), T=20: KL(Bayes with the training alpha || "
        "network). Bands: 95% intervals over seeds; one that reaches below a hundredth of the mean is "
        "cut there.",
    )
    return Answer("How well do they generalise to unseen p?", short, text, [table], [panel])
