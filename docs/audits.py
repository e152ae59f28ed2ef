"""The audit of M1 to M4 on one page, from the audits of ``meta-learn audit``.

    for m in M1 M2 M3 M4; do meta-learn audit --experiment $m --out audits/$m; done
    python docs/audits.py audits

keeps the numbers that the page shows in docs/results/audits.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.report import markdown
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Panel, Table
from analysis.report.style import BLACK, BLUE, ORANGE, SKY, STYLE

MODELS = ("M1", "M2", "M3", "M4")
KEPT = Path(__file__).parent / "results" / "audits.json"
_PARTS = {
    "counts": ("wrong function of the counts", BLUE, ""),
    "order": ("dependence on the order", SKY, "////"),
    "leak": ("leak to RESET", ORANGE, "...."),
}


def collect(folder: Path) -> dict[str, Any]:
    """The audits under ``folder``, one of each model, without what the page does not show."""
    out: dict[str, Any] = {"command": "meta-learn audit --experiment MODEL"}
    for name in MODELS:
        document = json.loads((folder / name / "audit.json").read_text())
        run = json.loads((folder / name / "manifest.json").read_text())
        hidden = document.pop("hidden_state")
        del document["worst_histories"]["by_weight"]
        for row in document["off_prior"]["rows"]:
            for field in [f for f in row if f.startswith(("loss", "regret", "gap_closed"))]:
                del row[field]
        document["hidden_state"] = {
            "for_99_percent": {k: v["for_99_percent"] for k, v in hidden["spectrum"].items()},
            "probes": {
                target: {
                    n: hidden["probes"][target][n]["hc" if "hc" in hidden["spectrum"] else "h"]
                    for n in ("trained", "untrained")
                }
                for target in ("counts", "posterior_mean")
            },
            "carried_through_reset": hidden["carried_through_reset"],
            "swaps": hidden["swaps"]["kl"],
            "jacobian": {j["symbol"]: j["spectral_radius"] for j in hidden["jacobian"]},
        }
        document["manifest"] = {
            k: run[k] for k in ("versions", "device", "seeds", "network_digest")
        }
        out[name] = document
    return out


def as_markdown(found: dict[str, Any], folder: Path, link: str) -> str:
    """The page's tables and figure; the figure goes to ``folder``, which the page calls ``link``."""
    audits = [found[name] for name in MODELS]

    head = ["", *(f"{m}: {_prior(a)}, T={a['T']}" for m, a in zip(MODELS, audits, strict=True))]

    def table(title: str, *rows: tuple[str, list[str]]) -> str:
        shown = Table(title, head, [[name, *map(_below, cells)] for name, cells in rows])
        # Four columns of intervals leave no room for both on one line.
        return markdown.table(shown, "audits").replace(":class: numbers", ":class: four")

    def row(name: str, value: Any) -> tuple[str, list[str]]:
        return name, [value(a) for a in audits]

    def part(a: dict[str, Any], name: str) -> str:
        mean = a["budget"][name]["mean"]
        return f"{nats(mean)} ({percent(mean / a['gap']['mean'])})"

    gap = table(
        "Over all histories",
        row("histories", lambda a: f"{a['histories']:,}"),
        row("exact gap, nats", lambda a: nats(a["gap"]["mean"])),
        row("share of memoryless's gap closed", lambda a: percent(a["gap_closed"])),
        *(row(label, lambda a, n=n: part(a, n)) for n, (label, *_) in _PARTS.items()),
        row("carried over RESET (sampled)", lambda a: _both(a["carry_over"])),
        row("worst history", lambda a: _worst(a)),
    )
    off = table(
        "Network's gap, 95% intervals over streams",
        *(row(name, lambda a, n=name: _off(a, n)) for name in _kinds(audits)),
    )
    future = table(
        "p of the ranks, and what tells the counts from their exact law",
        *(
            row(f"p, {who}", lambda a, w=who: f"{a['calibration']['predictors'][w]['p_value']:.2g}")
            for who in ("network", "bayes", "memoryless")
        ),
        row("counts of a whole task, nats", lambda a: _counts(a, "network")),
        row("the same, Bayes", lambda a: _counts(a, "bayes")),
    )
    state = table(
        "Directions, probes, swaps, RESET, eigenvalues",
        row("directions of h, 99% of variance", lambda a: _needed(a, "h", "variance")),
        row("directions of c, 99% of variance", lambda a: _needed(a, "c", "variance")),
        row("directions of h, 99% of prediction", lambda a: _needed(a, "h", "ranked_prediction")),
        *(
            row(f"R² of {what}, {who}", lambda a, t=target, w=who: _r2(a, t, w))
            for target, what in (("counts", "counts"), ("posterior_mean", "posterior mean"))
            for who in ("trained", "untrained")
        ),
        row(
            "swapped, same counts, nats", lambda a: _both(a["hidden_state"]["swaps"]["same_counts"])
        ),
        row(
            "swapped, other counts, nats",
            lambda a: _both(a["hidden_state"]["swaps"]["other_counts"]),
        ),
        row("variance of c after RESET / before", lambda a: _variance(a, "c")),
        row("variance of h after RESET / before", lambda a: _variance(a, "h")),
        row(
            "spectral radius at the state after RESET, input 0",
            lambda a: f"{a['hidden_state']['jacobian']['0']:.4f}",
        ),
        row("the same, input RESET", lambda a: f"{a['hidden_state']['jacobian']['3']:.4f}"),
    )
    return (
        "\n\n".join(
            [
                "## The exact gap and its parts",
                gap,
                markdown.figure(_panel(found), folder, link),
                "## Off the training prior: KL(Bayes with the training alpha || network), nats",
                off,
                "## Is the implied future calibrated?",
                future,
                "## The hidden state",
                state,
            ]
        )
        + "\n"
    )


def _panel(found: dict[str, Any]) -> Panel:
    return Panel(
        "audits",
        _budgets(found),
        "Stacked bars of the exact gap by position for the four models, in three parts.",
        "The exact gap after a RESET by position within the task and its three parts.",
    )


def _budgets(found: dict[str, Any]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.8))
        figure.get_layout_engine().set(hspace=0.08)
        axes = figure.subplots(2, 2).T.ravel()
        for axis, name in zip(axes, ("M1", "M3", "M2", "M4"), strict=True):
            audit = found[name]
            bottom = np.zeros(len(audit["gap"]["by_position"]))
            places = np.arange(1, len(bottom) + 1)
            for part, (label, colour, hatch) in _PARTS.items():
                values = np.array(audit["budget"][part]["by_position"])
                axis.bar(
                    places,
                    values,
                    bottom=bottom,
                    color=colour,
                    hatch=hatch,
                    label=label,
                    edgecolor=BLACK,
                    linewidth=0.4,
                )
                bottom += values
            axis.set_title(f"{name}: alpha={_prior(audit)}, T={audit['T']}", pad=14)
            axis.ticklabel_format(axis="y", style="sci", scilimits=(0, 0), useMathText=True)
            axis.set_xticks(places[:: max(1, len(places) // 5)])
            axis.set_ylabel("gap, nats")
        for axis in axes[1::2]:
            axis.set_xlabel("draw in the task")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _prior(audit: dict[str, Any]) -> str:
    return ",".join(f"{v:g}" for v in audit["alpha"])


def _both(estimate: dict[str, Any]) -> str:
    return f"{nats(estimate['mean'])} {interval(estimate['ci95'])}"


def _worst(audit: dict[str, Any]) -> str:
    worst = audit["worst_histories"]["by_gap"][0]
    symbols = "".join(map(str, worst["symbols"])) or "(none)"
    longest = audit["worst_histories"]["longest"]
    return (
        f"{symbols}: {nats(worst['gap'])}, probability {worst['probability']:.1e} "
        f"(of up to {longest} draws)"
    )


def _off(audit: dict[str, Any], name: str) -> str:
    for row in audit["off_prior"]["rows"]:
        if name == ("as trained" if row["kind"] == "own" else row["name"]):
            return _both(row["gap.network"])
    return ""


def _kinds(audits: list[dict[str, Any]]) -> list[str]:
    """The test streams' names: as trained, then other priors, p, and T from short to long."""
    rows = [row for audit in audits for row in audit["off_prior"]["rows"]]
    by_kind = {
        kind: list(dict.fromkeys(row["name"] for row in rows if row["kind"] == kind))
        for kind in ("alpha", "p", "T")
    }
    by_kind["T"].sort(key=lambda name: float(name.removeprefix("T=")))
    return ["as trained", *(name for names in by_kind.values() for name in names)]


def _below(cell: str) -> str:
    """What stands beside a value, its interval or share or probability, below it."""
    for sign in (" [", " (", ", probability"):
        cell = cell.replace(sign, sign.replace(" ", "<br>", 1))
    return cell


def _counts(audit: dict[str, Any], who: str) -> str:
    return _both(audit["calibration"]["predictors"][who]["by_history"][0]["counts"]["distance"])


def _needed(audit: dict[str, Any], space: str, what: str) -> str:
    found = audit["hidden_state"]["for_99_percent"][space][what]
    low, high = found["ci95"]
    return f"{found['mean']:.0f} [{low:.0f}, {high:.0f}]"


def _r2(audit: dict[str, Any], target: str, who: str) -> str:
    found = audit["hidden_state"]["probes"][target][who]
    return f"{found['mean']:.4f} {interval(found['ci95'], lambda v: f'{v:.4f}')}"


def _variance(audit: dict[str, Any], part: str) -> str:
    found = audit["hidden_state"]["carried_through_reset"]["variance"][part]
    return f"{percent(found['mean'])} {interval(found['ci95'], percent)}"


if __name__ == "__main__":
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps(collect(Path(sys.argv[1])), allow_nan=False) + "\n")
