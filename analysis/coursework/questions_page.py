"""The answers to the thought questions: sentences, tables and panels, all from the document."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from analysis.coursework import questions_figures as figures
from analysis.report import markdown
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Document, Panel, Report, Table

Member = TypeVar("Member")


class Answer(NamedTuple):
    """One question with what was measured."""

    question: str
    text: str
    tables: list[Table]
    panels: list[Panel]


def make_report(document: Document) -> Report:
    """What there is to say of a study. document: as ``meta-learn questions --json`` prints it."""
    said = answers(document)
    return Report(
        "questions",
        "The thought questions, measured",
        " ".join(f"{answer.question} {answer.text}" for answer in said),
        document,
        [table for answer in said for table in answer.tables],
        panels=lambda: [panel for answer in said for panel in answer.panels],
        seeds=document["seeds"],
        run={"test_seed": document["seeds"][0]},
    )


def answers(document: Document) -> list[Answer]:
    """All answers. document: as ``meta-learn questions --json`` prints it."""
    return [
        _prior(document),
        _edges(document),
        _task_length(document),
        _unroll(document),
        _unseen(document),
        _harder(document),
    ]


def as_markdown(document: Document, folder: Path, link: str) -> str:
    """All answers as a Markdown page; figures go to ``folder``, which the page calls ``link``."""
    out = []
    for answer in answers(document):
        out += [f"## {answer.question}", answer.text]
        out += [markdown.figure(panel, folder, link) for panel in answer.panels]
        out += [markdown.table(table, "questions") for table in answer.tables]
    return "\n\n".join(out) + "\n"


def _prior(document: Document) -> Answer:
    training = [t for t in document["trainings"] if t["T"] == 20 and t["unroll"] == 100]
    rows = [[_alpha(t), *_effective(t), _gap(t), _share(t)] for t in training]
    flat = document["exact"]["priors"][-1]
    ours, uniform = document["exact"]["largest_p"]
    text = (
        "Each network predicts as exact Bayes does with a prior close to its own: the table "
        "has the alpha "
        "whose predictions are nearest. Dirichlet"
        f"({_numbers(flat['alpha'])}) does not concentrate p at 1/3: it is "
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
        f"{_over(document)} "
        "gap: KL(Bayes || network), nats. closed: share of memoryless's gap.",
    )
    return Answer("What is learnt with alpha=(10,1,1), and with (1.1,1.1,1.1)?", text, [table], [])


def _edges(document: Document) -> Answer:
    (one,) = (t for t in document["trainings"] if t["T"] == 1)
    endless = [t for t in document["trainings"] if t["T"] is None]
    endless.sort(key=lambda t: (t["alpha"][0] < 2, t["unroll"]))
    long = [t for t in endless if t["unroll"] == 100]
    miss = one["rows"][0]["miss"]
    rows = [
        [
            _alpha(t),
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
    for t in long:
        first, second = t["first"][:2]
        text += (
            f"With alpha={_alpha(t)} its gap is {nats(first['mean'], 'infinite')} nats over the first "
            f"{first['to']} symbols and {nats(second['mean'], 'infinite')} over the next. "
        )
    table = Table(
        "T=inf: the gap within and beyond the training unroll, nats a symbol",
        ["alpha", "unroll", "symbols", "gap", "95% interval"],
        rows,
        _over(document),
    )
    panel = Panel(
        "questions-endless",
        figures.gap_along(
            {
                f"alpha={_alpha(t)}": {
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
    return Answer(question, text.strip(), [table], [panel])


def _task_length(document: Document) -> Answer:
    long = [t for t in document["trainings"] if t["unroll"] == 100 and t["T"] != 1]
    by_alpha = {a: [t for t in long if _alpha(t) == a] for a in _unique(_alpha(t) for t in long)}
    by_alpha = {a: group for a, group in by_alpha.items() if len(group) > 1}
    tested = _unique(r["T"] for group in by_alpha.values() for r in group[0]["rows"])
    tested = sorted(tested, key=lambda T: math.inf if T is None else T)
    rows, maps, maps_symbols = [], {}, {}
    for alpha, group in by_alpha.items():
        rows += [
            [
                alpha,
                _T(t["T"]),
                _gap(t),
                interval(_own(t)["gap.network"]["ci95"]),
                nats(_own(t)["gap.memoryless"]),
                _share(t),
            ]
            for t in group
        ]
        by_length = [{r["T"]: r for r in t["rows"] if r["kind"] in ("own", "T")} for t in group]
        whole = [[_value(f.get(T), "gap.network") for T in tested] for f in by_length]
        symbols = [
            [figures.drawable(f[T]["gap_over_symbols"] if T in f else None) for T in tested]
            for f in by_length
        ]
        maps[f"alpha={alpha}: whole gap"] = np.array(whole)
        maps_symbols[f"alpha={alpha}: symbols"] = np.array(symbols)
    text = "Trained and tested at the same T, the share of the gap closed is "
    text += "; ".join(
        f"with alpha={alpha} " + ", ".join(f"{_share(t)} at T={_T(t['T'])}" for t in group)
        for alpha, group in by_alpha.items()
    )
    text += (
        ". At another T the network waits for its own RESET: tasks that go on past it cost "
        "many nats, nearly all of them for a RESET that does not come; its probabilities of the symbols "
        "are further from Bayes too."
    )
    training = [f"T={_T(t['T'])}" for t in next(iter(by_alpha.values()))]
    columns = [_T(T) for T in tested]
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
        f"Nats a drawn symbol. {_over(document)}",
    )
    question = "How do learning and generalisation depend on T?"
    return Answer(question, text, [table], panels)


def _unroll(document: Document) -> Answer:
    training = [
        t for t in document["trainings"] if t["T"] in (5, 20, None) and _varied(document, t)
    ]
    groups = {
        g: [t for t in training if (_alpha(t), t["T"]) == g]
        for g in _unique((_alpha(t), t["T"]) for t in training)
    }
    rows = []
    for (alpha, T), group in groups.items():
        group.sort(key=lambda t: t["unroll"])
        rows += [
            [
                alpha,
                _T(T),
                str(t["unroll"]),
                _gap(t),
                interval(_own(t)["gap.network"]["ci95"]),
                _share(t),
            ]
            for t in group
        ]
    text = (
        "At equal numbers of training symbols, tested on streams of whole tasks, about 100 symbols. A "
        "network whose unroll is shorter than a task reads RESET first and never has to predict it; one "
        "whose unroll is one task predicts it as the last symbol, and never what follows. "
    )
    for alpha in _unique(g[0] for g in groups):
        shares = ", ".join(f"{_share(t)} with {t['unroll']}" for t in groups[(alpha, 20)])
        text += f"With alpha={alpha} and T=20 it closes {shares}. "
    table = Table(
        "Unroll 5, 20 and 100",
        ["alpha", "T", "unroll", "gap", "95% interval", "closed"],
        rows,
        f"Nats a drawn symbol. A share below 0: worse than memoryless. {_over(document)}",
    )
    panel = Panel(
        "questions-unroll",
        figures.gap_along(
            {
                f"alpha={alpha}, T=20": {
                    f"unroll {t['unroll']}": t["gap_by_position"] for t in groups[(alpha, 20)]
                }
                | {"memoryless": groups[(alpha, 20)][0]["memoryless_by_position"]}
                for alpha in _unique(g[0] for g in groups)
            }
        ),
        "Gap by position within tasks of T=20 for training unrolls of 5, 20 and 100, beside memoryless.",
        "T=20: KL(Bayes || network) by position within the task, for three training unrolls.",
    )
    return Answer("How do they depend on the unroll?", text.strip(), [table], [panel])


def _unseen(document: Document) -> Answer:
    training = [t for t in document["trainings"] if t["T"] == 20 and t["unroll"] == 100]
    rows = []
    for t in training:
        for r in t["rows"]:
            if r["kind"] in ("own", "alpha", "p"):
                excess = r.get("gap_test.network")
                rows.append(
                    [
                        _alpha(t),
                        "own streams" if r["kind"] == "own" else r["name"],
                        nats(r["gap.network"]["mean"], "infinite"),
                        interval(r["gap.network"]["ci95"]),
                        nats(excess["mean"], "infinite") if excess else "",
                        nats(r["gap.memoryless"]),
                    ]
                )
    curves = {
        f"trained on alpha={_alpha(t)}": [
            (r["p"][0], r["gap.network"]["mean"], *_bounds(r["gap.network"]))
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
    table = Table(
        "Unseen p, T=20: the gap to Bayes with the training alpha",
        ["trained on", "tested on", "gap", "95% interval", "gap (test)", "memoryless"],
        rows,
        "Nats a drawn symbol. gap (test): KL(Bayes with the test alpha || network). "
        f"{_price(training)} memoryless: its gap. {_over(document)}",
    )
    panel = Panel(
        "questions-unseen-p",
        figures.gap_along_p(curves),
        "Gap against the probability of symbol 0 for three training priors, on a log axis.",
        "Tasks that always have p = (w, (1-w)/2, (1-w)/2), T=20: KL(Bayes with the training alpha || "
        "network). Bands: 95% intervals over seeds; one that reaches zero is cut at a hundredth of the "
        "mean.",
    )
    return Answer("How well do they generalise to unseen p?", text, [table], [panel])


def _price(training: Iterable[Document]) -> str:
    """How much of the gap to Bayes with the test alpha the training prior alone costs."""
    shares = [
        r["gap_test.bayes"]["mean"] / r["gap_test.network"]["mean"]
        for t in training
        for r in t["rows"]
        if r.get("gap_test.network", {}).get("mean")
    ]
    if not shares:
        return ""
    return (
        "The price of the training prior, the same for Bayes with the training alpha, is "
        f"{100 * min(shares):.0f}% to {100 * max(shares):.0f}% of it."
    )


def _harder(document: Document) -> Answer:
    priors = document["exact"]["priors"][:2]
    networks = {(tuple(t["alpha"]), t["T"]): t for t in document["trainings"] if t["unroll"] == 100}
    rows, curves = [], {}
    for prior in priors:
        alpha = _numbers(prior["alpha"])
        for entry in prior["bayes_by_T"]:
            training = networks.get((tuple(prior["alpha"]), entry["T"]))
            rows.append(
                [
                    alpha,
                    str(entry["T"]),
                    nats(entry["loss"]),
                    nats(entry["loss"] - prior["oracle"]),
                    nats(prior["bayes_by_draw"][entry["T"] - 2]),
                    _gap(training) if training else "",
                ]
            )
        curves[f"alpha={alpha}"] = (prior["bayes_by_draw"], prior["oracle"])
    first, last = priors[0]["bayes_by_T"][0], priors[0]["bayes_by_T"][-1]
    text = (
        "Each further draw can only help: Bayes's expected loss falls with every draw of a task, so a "
        f"longer T makes the average symbol easier to predict, from {nats(first['loss'])} nats at "
        f"T={first['T']} to {nats(last['loss'])} at T={last['T']} with alpha="
        f"{_numbers(priors[0]['alpha'])} (exact). The gaps of "
        "networks trained at each T stand beside it."
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
    return Answer("Does a longer T make prediction harder?", text, [table], [panel])


def _own(training: Document) -> Document:
    return training["rows"][0]


def _closed(training: Document) -> Document:
    return _own(training)["gap_closed"]


def _share(training: Document) -> str:
    """Of memoryless's gap, closed. Far below 0 the number says no more than that."""
    share = _closed(training)["mean"]
    if share is None and _own(training)["gap.network"]["mean"] is None and training["T"] != 1:
        return "-infinite"
    return "below -100%" if share is not None and share < -1 else percent(share)


def _gap(training: Document) -> str:
    return nats(_own(training)["gap.network"]["mean"], _none(training))


def _none(training: Document) -> str:
    """What None says of a gap: it is infinite, but for tasks without a draw."""
    return "-" if training["T"] == 1 else "infinite"


def _value(row: Document | None, name: str) -> float:
    return figures.drawable(row[name]["mean"] if row else None)


def _bounds(estimate: Document) -> tuple[float, float]:
    low, high = estimate["ci95"]
    return (estimate["mean"], estimate["mean"]) if low is None else (low, high)


def _effective(training: Document) -> list[str]:
    """A column an entry; dashes for networks that are certain of RESET somewhere."""
    if training["effective_alpha"] is None:
        return ["-"] * len(training["alpha"])
    return [_alpha_of(entry) for entry in training["effective_alpha"]]


def _alpha_of(estimate: Document) -> str:
    return f"{_figures(estimate['mean'])} {interval(estimate['ci95'], _figures)}".strip()


def _figures(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _varied(document: Document, training: Document) -> bool:
    """Whether this prior and T were trained with several unrolls."""
    same = [
        t
        for t in document["trainings"]
        if (t["alpha"], t["T"]) == (training["alpha"], training["T"])
    ]
    return len(same) > 1


def _over(document: Document) -> str:
    seeds = len(document["seeds"])
    if seeds > 1:
        return f"95% intervals over {seeds} seeds (Student t on the logarithm)."
    return "One seed; 95% intervals over streams."


def _alpha(training: Document) -> str:
    return _numbers(training["alpha"])


def _numbers(values: Iterable[float]) -> str:
    return ",".join(f"{v:g}" for v in values)


def _T(T: int | None) -> str:
    return "inf" if T is None else str(T)


def _unique(values: Iterable[Member]) -> list[Member]:
    return list(dict.fromkeys(values))
