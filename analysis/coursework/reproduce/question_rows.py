"""Row 17: the thought questions."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from analysis.coursework import questions_page as pages
from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import Run
from analysis.report.formats import nats
from analysis.report.report import Document
from autoregressive.errors import DataError


def questions(run: Run) -> Result:
    """Row 17."""
    from analysis.coursework.questions import study, study_recipes

    sizes = run.sizes
    if sizes.questions_budget:
        seeds = range(run.seed, run.seed + sizes.questions_seeds)
        command = (
            f"meta-learn questions --budget {sizes.questions_budget} --seeds {len(seeds)} "
            f"--streams {sizes.questions_streams} --seed {run.seed}"
        )
        measured = study(
            lambda number, of, setting, recipe: run.train(setting.process, recipe, 32, seeds),
            study_recipes(sizes.questions_budget),
            sizes.questions_budget,
            seeds,
            sizes.questions_streams,
        )
        numbers: Document = {"command": command} | measured
        made = f"Measured in this run: {len(seeds)} networks of every setting."
    else:
        numbers = packaged_study()
        made = (
            "Not computed in this run: the results that come with the package, made by "
            f"{numbers['command']} with {numbers['budget']:,} symbols a network, seeds "
            f"{', '.join(map(str, numbers['seeds']))}. The full run computes them anew."
        )
    said = pages.answers(numbers)
    nearly = numbers["exact"]["priors"][-1]
    answer = (
        f"{len(said)} questions, each answered by a measured figure. Dirichlet(1.1,1.1,1.1) is "
        f"{nats(nearly['nats_from_uniform'])} nats from the uniform distribution over p, not "
        f"concentrated at 1/3. {said[-1].question} {said[-1].text}"
    )
    return Result(
        answer,
        numbers,
        [table for answer in said for table in answer.tables],
        [panel for answer in said for panel in answer.panels],
        [(answer.question, answer.text) for answer in said],
        own=numbers["command"],
        made=made,
    )


def packaged_study() -> Document:
    """The study of the thought questions that comes with the package. Errors: DataError."""
    packaged = files("analysis") / "kept" / "questions.json"
    # In a checkout it lies where the documentation reads it.
    checkout = Path(__file__).parents[3] / "docs" / "results" / "questions.json"
    for place in (packaged, checkout):
        if place.is_file():
            return json.loads(place.read_text("utf-8"))
    raise DataError("the results of the thought questions are missing: install meta-learn anew")
