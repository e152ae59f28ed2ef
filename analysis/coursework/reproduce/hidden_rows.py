"""Row 18: the hidden state."""

from __future__ import annotations

import jax

from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import Run
from analysis.hidden import page as pages
from analysis.report.report import Panel, Table
from meta_learning.experiments import EXPERIMENTS
from meta_learning.learner import TEST


def hidden_state(run: Run) -> Result:
    """Row 18."""
    from analysis.hidden.examine import examine
    from analysis.hidden.results import document

    tables: list[Table] = []
    panels: list[Panel] = []
    numbers, paragraphs = {}, []
    key = jax.random.fold_in(jax.random.key(run.seed), TEST)
    for name in run.sizes.hidden_models:
        learner = run.learners("default")[name]
        state = examine(learner, EXPERIMENTS[name], key=key, streams=run.sizes.hidden_streams)
        numbers[name] = document(state)
        paragraphs.append((f"{name}:", pages.headline(state)))
        tables += [t._replace(title=f"{name}. {t.title}") for t in pages.tables(state)]
        panels += [
            p._replace(name=f"{p.name}-{name}", caption=f"{name}. {p.caption}")
            for p in pages.panels(state)
        ]
    needed = {
        name: [
            of["spectrum"]["h"]["for_99_percent"][k]["mean"]
            for k in ("variance", "ranked_prediction")
        ]
        for name, of in numbers.items()
    }
    answer = (
        "Directions of h that carry 99% of its variance and of the prediction: "
        + ", ".join(
            f"{name} {_count(variance)} and {_count(prediction)}"
            for name, (variance, prediction) in needed.items()
        )
        + f" of {learner.settings['hidden']}. Networks of the default recipe."
    )
    own = "\n".join(
        f"meta-learn hidden --checkpoint {run.learner_file(name, 'default')} --streams "
        f"{run.sizes.hidden_streams} --seed {run.seed}"
        for name in run.sizes.hidden_models
    )
    return Result(answer, numbers, tables, panels, paragraphs, own=own, made=run.learners_made)


def _count(value: float | None) -> str:
    return "more than all" if value is None else f"{value:.0f}"
