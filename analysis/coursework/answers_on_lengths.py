"""T of 1 and infinity, longer T, unrolls, and whether a longer T makes prediction harder."""

from __future__ import annotations

import math

import numpy as np

from analysis.coursework import questions_figures as figures
from analysis.coursework.answer_texts import (
    Answer,
    alpha_text,
    gap_text,
    has_several_unrolls,
    interval_text,
    length_text,
    numbers_text,
    own_row,
    share_text,
    unique,
    value_of,
    with_text,
)
from analysis.report.formats import interval, nats
from analysis.report.report import Document, Panel, Table


def on_edges(document: Document) -> Answer:
    """Tasks of RESET only, and tasks without an end."""
    (one,) = (t for t in document["trainings"] if t["T"] == 1)
    endless = [t for t in document["trainings"] if t["T"] is None]
    endless.sort(key=lambda t: (t["alpha"][0] < 2, t["unroll"]))
    long = [t for t in endless if t["unroll"] == 100]
    miss = one["rows"][0]["miss"]
    rows = [
        [
            alpha_text(t),
            str(t["unroll"]),
            f"{s['from']} to {s['to']}",
            nats(s["mean"], "infinite"),
            interval(s["ci95"]),
        ]
        for t in endless
        for s in t["first"]
    ]
    text = (
        "T=1: every symbol is RESET, there is nothing to learn about p; the network leaves "
        f"{nats(miss['mean'])} {interval(miss['ci95'])} of probability to other symbols. "
        "T=inf: counts grow "
        "for ever, but the network was trained up to its unroll only. "
    )
    along = []
    for t in long:
        first, second = t["first"][:2]
        along.append(
            f"alpha={alpha_text(t)} its gap is {nats(first['mean'], 'infinite')} nats over the "
            f"first {first['to']} symbols and {nats(second['mean'], 'infinite')} over the next"
        )
    text += " ".join(f"With {clause}." for clause in along)
    short = f"T=1: all but {nats(miss['mean'])} of probability for RESET. T=inf: with {along[0]}."
    table = Table(
        "T=inf: the gap within and beyond the training unroll, nats a symbol",
        *with_text(["alpha", "unroll", "symbols", "gap", "95% interval"], rows),
        interval_text(document, "One seed."),
    )
    panel = Panel(
        "questions-endless",
        figures.gap_along(
            {
                f"alpha={alpha_text(t)}": {
                    f"unroll {u['unroll']}": u["gap_by_position"]
                    for u in endless
                    if u["alpha"] == t["alpha"]
                }
                for t in long
            },
            marks=(5, 20, 100),
        ),
        "Gap by position on endless streams for networks trained with unrolls 5, 20 and 100: each curve "
        "turns up where its unroll ends.",
        "T=inf: KL(Bayes || network) by position, to four times the training unroll. Dotted: "
        "where the unrolls end.",
    )
    question = "What happens at T=1 (RESET at once) and at T=inf (never)?"
    return Answer(question, short, text, [table], [panel])


def on_task_length(document: Document) -> Answer:
    """Networks at other task lengths than their own."""
    long = [t for t in document["trainings"] if t["unroll"] == 100 and t["T"] != 1]
    by_alpha = {
        a: [t for t in long if alpha_text(t) == a] for a in unique(alpha_text(t) for t in long)
    }
    by_alpha = {a: group for a, group in by_alpha.items() if len(group) > 1}
    tested = unique(r["T"] for group in by_alpha.values() for r in group[0]["rows"])
    tested = sorted(tested, key=lambda T: math.inf if T is None else T)
    rows, maps, maps_symbols = [], {}, {}
    for alpha, group in by_alpha.items():
        rows += [
            [
                alpha,
                length_text(t["T"]),
                gap_text(t),
                interval(own_row(t)["gap.network"]["ci95"]),
                nats(own_row(t)["gap.memoryless"]),
                share_text(t),
            ]
            for t in group
        ]
        by_length = [{r["T"]: r for r in t["rows"] if r["kind"] in ("own", "T")} for t in group]
        whole = [[value_of(f.get(T), "gap.network") for T in tested] for f in by_length]
        symbols = [
            [figures.drawable(f[T]["gap_over_symbols"] if T in f else None) for T in tested]
            for f in by_length
        ]
        maps[f"alpha={alpha}: whole gap"] = np.array(whole)
        maps_symbols[f"alpha={alpha}: symbols"] = np.array(symbols)
    shares = [
        f"with alpha={alpha} "
        + ", ".join(f"{share_text(t)} at T={length_text(t['T'])}" for t in group)
        for alpha, group in by_alpha.items()
    ]
    closed = "Trained and tested at the same T, the share of the gap closed is "
    text = (
        f"{closed}{'; '.join(shares)}. At another T the network waits for its own "
        "RESET: tasks that go on past it cost many nats, nearly all of them for a RESET that does not "
        "come; its probabilities of the symbols are further from Bayes too."
    )
    training = [f"T={length_text(t['T'])}" for t in next(iter(by_alpha.values()))]
    columns = [length_text(T) for T in tested]
    labels = ("trained at", "tested at T")
    panels = [
        Panel(
            "questions-task-length",
            figures.heat_maps(maps, training, columns, labels),
            "Two heat maps of the gap for training T against test T: small on the diagonal, "
            "many nats where tasks go on past the RESET that was learnt.",
            "KL(Bayes || network) for every training T and test T, RESET included.",
        ),
        Panel(
            "questions-task-length-symbols",
            figures.heat_maps(maps_symbols, training, columns, labels),
            "The same two heat maps over the symbols only: smallest on the diagonal.",
            "The same without the cost of a RESET expected too early: KL over the symbols.",
        ),
    ]
    table = Table(
        "Tested as trained, unroll 100",
        ["alpha", "T", "gap", "95% interval", "memoryless", "closed"],
        rows,
        f"Nats a drawn symbol. {interval_text(document)}",
    )
    question = "How do learning and generalisation depend on T?"
    return Answer(question, f"{closed}{shares[0]}.", text, [table], panels)


def on_unroll(document: Document) -> Answer:
    """Unrolls shorter and longer than a task."""
    training = [
        t
        for t in document["trainings"]
        if t["T"] in (5, 20, None) and has_several_unrolls(document, t)
    ]
    groups = {
        g: [t for t in training if (alpha_text(t), t["T"]) == g]
        for g in unique((alpha_text(t), t["T"]) for t in training)
    }
    rows = []
    for (alpha, T), group in groups.items():
        group.sort(key=lambda t: t["unroll"])
        rows += [
            [
                alpha,
                length_text(T),
                str(t["unroll"]),
                gap_text(t),
                interval(own_row(t)["gap.network"]["ci95"]),
                share_text(t),
            ]
            for t in group
        ]
    text = (
        "At equal numbers of training symbols, tested on streams of whole tasks, about 100 symbols. A "
        "network whose unroll is shorter than a task reads RESET first and never has to predict it; one "
        "whose unroll is one task predicts it as the last symbol, and never what follows. "
    )
    closed = [
        f"With alpha={alpha} and T=20 the share of the gap closed is "
        + ", ".join(f"{share_text(t)} at unroll {t['unroll']}" for t in groups[(alpha, 20)])
        + "."
        for alpha in unique(g[0] for g in groups)
    ]
    text += " ".join(closed)
    table = Table(
        "Unroll 5, 20 and 100",
        ["alpha", "T", "unroll", "gap", "95% interval", "closed"],
        rows,
        f"Nats a drawn symbol. A share below 0: worse than memoryless. {interval_text(document)}",
    )
    panel = Panel(
        "questions-unroll",
        figures.gap_along(
            {
                f"alpha={alpha}, T=20": {
                    f"unroll {t['unroll']}": t["gap_by_position"] for t in groups[(alpha, 20)]
                }
                | {"memoryless": groups[(alpha, 20)][0]["memoryless_by_position"]}
                for alpha in unique(g[0] for g in groups)
            }
        ),
        "Gap by position within tasks of T=20 for training unrolls of 5, 20 and 100, beside memoryless.",
        "T=20: KL(Bayes || network) by position within the task, for three training unrolls.",
    )
    question = "How do learning and generalisation depend on the unroll?"
    return Answer(question, closed[0], text, [table], [panel])


def on_harder(document: Document) -> Answer:
    """Losses and gaps of longer tasks."""
    priors = document["exact"]["priors"][:2]
    networks = {(tuple(t["alpha"]), t["T"]): t for t in document["trainings"] if t["unroll"] == 100}
    rows, curves = [], {}
    for prior in priors:
        alpha = numbers_text(prior["alpha"])
        for entry in prior["bayes_by_T"]:
            training = networks.get((tuple(prior["alpha"]), entry["T"]))
            rows.append(
                [
                    alpha,
                    str(entry["T"]),
                    nats(entry["loss"]),
                    nats(entry["loss"] - prior["oracle"]),
                    nats(prior["bayes_by_draw"][entry["T"] - 2]),
                    gap_text(training) if training else "",
                ]
            )
        curves[f"alpha={alpha}"] = (prior["bayes_by_draw"], prior["oracle"])
    first, last = priors[0]["bayes_by_T"][0], priors[0]["bayes_by_T"][-1]
    easier = (
        f"a longer T makes the average symbol easier to predict, from {nats(first['loss'])} nats at "
        f"T={first['T']} to {nats(last['loss'])} at T={last['T']} with alpha="
        f"{numbers_text(priors[0]['alpha'])} (exact)."
    )
    text = (
        "Each further draw can only help: Bayes's expected loss falls with every draw of a task, so "
        f"{easier} The gaps of networks trained at each T stand beside it."
    )
    table = Table(
        "Exact expected losses by T, nats a drawn symbol",
        ["alpha", "T", "Bayes", "over oracle", "at the last draw", "network's gap"],
        rows,
        "Bayes and oracle are sums over all counts, without sampling. network's gap: "
        "KL(Bayes || network) "
        "of networks trained and tested at that T, unroll 100.",
    )
    panel = Panel(
        "questions-by-draw",
        figures.losses_by_draw(curves),
        "Bayes's expected loss falling towards the oracle's with every draw, for two priors.",
        "The exact expected loss of Bayes at each draw of a task and of the oracle, which knows p.",
    )
    question = "Does a longer T make prediction harder?"
    return Answer(question, f"No: {easier}", text, [table], [panel])
