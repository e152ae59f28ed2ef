"""The thought questions: what is measured of one setting, the answers, and the command's refusals."""

import json
import math
import re
from html import escape, unescape
from pathlib import Path

import jax
import numpy as np
import pytest
from running import refused, run

from analysis.coursework import questions
from analysis.coursework.questions import exact, measure, study, study_recipes
from analysis.coursework.questions_page import answers, as_markdown, make_report
from analysis.report.publish import publish
from meta_learning.experiments import STUDY, Setting
from meta_learning.learner import INIT, Learner, learner_model
from meta_learning.processes import DirichletCategorical
from meta_learning.training import train

KEPT = Path(__file__).parents[2] / "docs" / "results" / "questions.json"


def test_bayes_in_a_networks_place_has_no_gap_and_its_own_prior():
    setting = Setting(DirichletCategorical((3, 1, 1), math.inf), 20)
    bayes = setting.process.log_predictive
    found = measure(setting, [bayes] * 2, key=jax.random.key(0), streams=100)
    json.dumps(found, allow_nan=False)
    assert found["T"] is None
    assert found["rows"][0]["gap.network"]["mean"] == 0
    assert found["rows"][0]["gap_closed"]["mean"] == 1
    assert len(found["gap_by_position"]) == 80
    assert [(s["from"], s["to"]) for s in found["first"]] == [(1, 20), (21, 40), (41, 60), (61, 80)]
    np.testing.assert_allclose([e["mean"] for e in found["effective_alpha"]], (3, 1, 1), rtol=1e-3)


def test_tasks_of_reset_only():
    model = learner_model(3)
    params = model.init(jax.random.fold_in(jax.random.key(0), INIT))
    learner = Learner(model, params, 3, {})
    setting = Setting(DirichletCategorical((10, 1, 1), 1))
    found = measure(setting, [learner.log_predictive], key=jax.random.key(0), streams=4)
    json.dumps(found, allow_nan=False)
    assert found["gap_by_position"] == []
    assert found["effective_alpha"] is None
    assert 0 < found["rows"][0]["miss"]["mean"] < 1


def test_exact_figures():
    found = exact()
    json.dumps(found, allow_nan=False)
    for prior in found["priors"]:
        losses = np.array(prior["bayes_by_draw"])
        assert (np.diff(losses) < 0).all()
        assert (losses > prior["oracle"]).all()
    # Three uniform probabilities: P(largest > m) = 3 (1-m)^2 from m = 1/2 on.
    median = 1 - math.sqrt(0.5 / 3)
    assert found["largest_p"][1]["quantiles"][1] == pytest.approx(median, abs=2e-3)


def test_the_kept_results_answer_every_question(tmp_path):
    document = json.loads(KEPT.read_text())
    assert [t["name"] for t in document["trainings"]] == [s.name for s in STUDY]
    said = answers(document)
    assert len(said) == 6
    assert all(a.text and (a.tables or a.panels) for a in said)
    for table in (t for a in said for t in a.tables):
        assert {len(row) for row in table.rows} == {len(table.head)}
    page = as_markdown(document, tmp_path, "figures")
    assert page.count("## ") == 6
    assert "nan" not in page
    for panel in (p for a in said for p in a.panels):
        assert f"```{{figure}} figures/{panel.name}.png" in page
        for kind in ("png", "svg"):
            assert (tmp_path / f"{panel.name}.{kind}").stat().st_size > 1_000


def test_the_report_has_a_part_for_every_question(tmp_path):
    document = json.loads(KEPT.read_text())
    report = make_report(document)
    publish(report, tmp_path, {}, "meta-learn questions")
    page = (tmp_path / "report.html").read_text()
    for answer in answers(document):
        assert answer.short and answer.short in unescape(page)
        assert page.count(f">{escape(answer.question)}</h2>") == 1
        assert f"{answer.question}\n{answer.text}" in report.closing
        for panel in answer.panels:
            assert (tmp_path / f"{panel.name}.png").exists()
            assert panel.alt in unescape(page)
    anchors = re.findall(r'href="#(question-\d)"', page)
    assert anchors == re.findall(r'<section id="(question-\d)"', page) and len(anchors) == 6


def test_tables_have_no_empty_column():
    document = json.loads(KEPT.read_text())
    for training in document["trainings"]:
        for part in training["first"] or []:
            part["ci95"] = [None, None]
    (table,) = answers(document | {"seeds": [0]})[1].tables
    assert table.head == ["alpha", "unroll", "symbols", "gap"]
    assert {len(row) for row in table.rows} == {4}


def test_bad_input_is_one_line(tmp_path):
    assert "400" in refused("questions", "--budget", 10)
    assert "streams" in refused("questions", "--streams", 1)
    (tmp_path / "file").write_text("")
    assert "is a file where a folder is expected" in refused(
        "questions", "--out", tmp_path / "file"
    )


def test_the_study_of_a_finite_and_an_endless_setting(monkeypatch):
    settings, seeds = (STUDY[0], STUDY[-1]), (0, 1)
    assert [s.process.T for s in settings] == [5, math.inf]
    monkeypatch.setattr(questions, "STUDY", settings)

    def learn(number, of, setting, recipe):
        assert (settings[number - 1], of) == (setting, 2)
        return train(setting.process, recipe, seeds=seeds, hidden=4)

    document = study(learn, study_recipes(4_000), 4_000, seeds, 20)
    json.dumps(document, allow_nan=False)
    kept = json.loads(KEPT.read_text())
    assert document.keys() | {"command"} == kept.keys()
    kept = {t["name"]: t for t in kept["trainings"]}
    for setting, found in zip(settings, document["trainings"], strict=True):
        wanted = kept[setting.name]
        assert found.keys() == wanted.keys()
        assert found["rows"][0]["name"] == "own"
        assert [r["name"] for r in found["rows"][1:]] == [r["name"] for r in wanted["rows"][1:]]
        assert len(found["gap_by_position"]) == len(wanted["gap_by_position"])


def test_the_command(tmp_path, monkeypatch):
    """With the kept study in the place of one of a quarter of an hour; one network is trained."""

    def study(learn, recipes, budget, seeds, streams):
        assert (budget, list(seeds), streams) == (4_000, [0, 1], 20)
        assert len(learn(1, len(STUDY), STUDY[0], recipes[0])) == 2
        return json.loads(KEPT.read_text())

    monkeypatch.setattr(questions, "study", study)
    result = run("questions", "--budget", 4000, "--seeds", 2, "--streams", 20, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert STUDY[0].name in result.stderr
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    assert (tmp_path / "report.html").exists()
