"""The report of the coursework's four models on its three test streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.comparison.tables import infinite, no_share
from analysis.report.formats import interval, nats, percent
from analysis.report.report import Document, Json, Panel, Report, Table
from meta_learning.experiments import EXPERIMENTS, OWN_STREAM, TEST_STREAMS

if TYPE_CHECKING:
    from analysis.comparison.compare import Comparison
    from analysis.coursework.experiments import Experiments
    from meta_learning.learner import Learner


Documents = Mapping[str, Mapping[str, Json]]
Comparisons = Mapping[str, Mapping[str, "Comparison"]]


def make_report(experiments: Experiments, seed: int) -> Report:
    """What there is to say of the four models. seed: of the test streams."""
    learners, comparisons = experiments.learners, experiments.comparisons

    def trees() -> Document:
        from analysis.comparison.results import to_groups

        return {
            f"{name}-stream{key}": to_groups(comparison, learners[name])
            for name, of in comparisons.items()
            for key, comparison in of.items()
        }

    documents = experiments.documents
    own = {name: documents[name][OWN_STREAM[name]] for name in documents}
    shares = ", ".join(
        f"{name} {percent(numbers['gap_closed']['mean'], no_share(numbers))}"
        for name, numbers in own.items()
    )
    return Report(
        "experiments",
        "The coursework's four models and three test streams",
        f"Share of the gap between a memoryless predictor and Bayes that is closed: {shares}.",
        documents,
        tables(documents),
        panels=lambda: panels(comparisons, learners),
        trees=trees,
        networks={
            f"{name}-seed{one.settings['seed']}": one
            for name, group in learners.items()
            for one in group
        },
        seeds=next(iter(comparisons.values()))["1"].seeds,
        run={"test_seed": seed},
        closing="",
    )


def tables(documents: Documents) -> list[Table]:
    """All numbers. documents: model -> test stream -> the document of ``compare``."""
    return [own_table(documents), *stream_tables(documents)]


def own_table(documents: Documents) -> Table:
    """Each model on streams of its own prior."""
    home = []
    for name, streams in documents.items():
        numbers = streams[OWN_STREAM[name]]
        home.append(
            [
                f"{name} {show(numbers['alpha'])} T={numbers['T']}",
                nats(numbers["loss"]["network"], infinite(numbers)),
                nats(numbers["loss"]["bayes"]),
                nats(numbers["gap"]["mean"], infinite(numbers)),
                percent(numbers["gap_closed"]["mean"], no_share(numbers)),
                interval(numbers["gap_closed"]["ci95"], percent),
            ]
        )
    return Table(
        "Each model on streams of its own prior, nats a drawn symbol",
        ["model", "loss", "Bayes", "gap", "closed", "95% interval"],
        home,
        "gap: mean KL(Bayes || network). closed: share of the gap between a memoryless "
        "predictor and Bayes that the network closes.",
    )


_STREAM_NOTE = (
    "Bayes (own): with the model's own alpha; Bayes (test): with the test streams' alpha, the best "
    "predictor there. gap: mean KL(Bayes (own) || network)."
)


def stream_tables(documents: Documents) -> list[Table]:
    """A table a test stream, all models in it; the first says what the columns are."""
    out: list[Table] = []
    for key, stream in TEST_STREAMS.items():
        rows = []
        for name, streams in documents.items():
            numbers = streams[key]
            loss = numbers["loss"]
            rows.append(
                [
                    name,
                    str(numbers["T"]),
                    nats(loss["network"], infinite(numbers)),
                    nats(loss["bayes"]),
                    nats(
                        loss.get("bayes_test", loss["bayes"] if OWN_STREAM[name] == key else None)
                    ),
                    nats(loss["oracle"]),
                    nats(numbers["gap"]["mean"], infinite(numbers)),
                ]
            )
        out.append(
            Table(
                f"Test stream {key}: {stream.title}",
                ["model", "T", "loss", "Bayes (own)", "Bayes (test)", "oracle", "gap"],
                rows,
                _STREAM_NOTE if not out else "",
            )
        )
    return out


def panels(comparisons: Comparisons, learners: Mapping[str, Sequence[Learner]]) -> list[Panel]:
    """All figures. comparisons: model -> test stream -> comparison."""
    return [curves_panel(learners), gap_panel(comparisons), *prediction_panels(comparisons)]


def curves_panel(learners: Mapping[str, Sequence[Learner]]) -> Panel:
    """The learning curves, one line a seed."""
    from analysis.comparison import figures

    return Panel(
        "learning-curves",
        figures.learning_curves(
            {_title(n): [x.history for x in group] for n, group in learners.items()}
        ),
        "Training and held-out loss of the four models against training symbols, each with "
        "the Bayes loss of its own process as a dashed floor.",
        "Learning curves of the four models. Upper row: loss at drawn places. Lower row: "
        "KL(Bayes || network) on held-out streams."
        + figures.points_left_out(x.history for group in learners.values() for x in group),
    )


def gap_panel(comparisons: Comparisons) -> Panel:
    """The gap by position of all models on streams of their own prior."""
    from analysis.comparison import figures
    from analysis.comparison.page import not_drawn

    return Panel(
        "gap-by-position",
        figures.shared_gap({_title(n): of[OWN_STREAM[n]] for n, of in comparisons.items()}),
        "Gap to Bayes by position within the task for all four models on one axis.",
        "The four models on streams of their own prior: KL(Bayes || network) by position "
        "within the task." + not_drawn(of[OWN_STREAM[n]] for n, of in comparisons.items()),
    )


def prediction_panels(comparisons: Comparisons) -> list[Panel]:
    """The probability of symbol 0 along the test streams, M1 beside M3 and M2 beside M4."""
    from analysis.comparison import figures

    return [
        Panel(
            f"predictions-T{T}",
            figures.predictions_shared(
                {
                    f"Test stream {key}, T={T}: {stream.title}": {
                        name: comparisons[name][key] for name in pair
                    }
                    for key, stream in TEST_STREAMS.items()
                },
                places=40 if T == 20 else 30,
            ),
            f"Probability of symbol 0 along the three test streams: networks {pair[0]} and "
            f"{pair[1]} and the exact Bayesian predictor under each one's prior.",
            f"The two models with T={T} on the same streams: what each predicts for symbol 0, "
            "beside exact Bayes under the model's own prior. Marks above show where symbol 0 "
            "came.",
        )
        for T, pair in ((5, ("M1", "M3")), (20, ("M2", "M4")))
    ]


def _title(name: str) -> str:
    process = EXPERIMENTS[name]
    return f"{name}: alpha=({show(process.alpha)}), T={process.T}"


def show(values: Sequence[float]) -> str:
    """ "10,1,1"."""
    return ",".join(f"{v:g}" for v in values)
