"""Published figures: the list, the contract of the JSON, refusals, and every paper at a tiny size."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
from running import refused, run

from analysis.intervals import Estimate
from analysis.papers import (
    agarwal_2025,
    chlon_2025,
    edelman_2024,
    genewein_2023,
    mikulik_2020,
    read_out,
    shai_2024,
    wurgaft_2025,
)
from analysis.papers.page import claims_table, make_report
from analysis.papers.paper import Claim, Findings, Paper
from analysis.papers.registry import PAPERS, load_paper, load_papers
from meta_learning.processes import DirichletCategorical, Mess3, RandomRandomXor, StationaryChain
from meta_learning.recipes import make_recipe

CLAIM = {"quantity", "unit", "published", "ours", "ci95", "agrees"}


# Exponents need two pools that changed within the training, which tiny networks do not.
NEED_TRAINING = {wurgaft_2025.NUMBERS[key].quantity for key in ("stopping", "remembering")}


def check_document(document, ran):
    for paper in document["papers"]:
        assert {"name", "title", "arxiv", "claims"} <= paper.keys()
        assert paper["claims"]
        for claim in paper["claims"]:
            assert claim.keys() >= CLAIM
            found = claim["ours"] is not None
            assert found == ran or (ran and claim["quantity"] in NEED_TRAINING), claim
            if claim["published"] is None or not found:
                assert claim["agrees"] is None
            else:
                assert isinstance(claim["agrees"], bool)
            if claim["ci95"] is not None:
                low, high = claim["ci95"]
                assert low <= claim["ours"] <= high


def test_the_list_and_what_the_papers_say():
    shown = run("papers")
    assert shown.exit_code == 0
    document = json.loads(run("papers", "--json").stdout)
    check_document(document, ran=False)
    assert [paper["name"] for paper in document["papers"]] == list(PAPERS)
    for name in PAPERS:
        assert name in shown.stdout


@pytest.mark.parametrize("paper", load_papers(), ids=lambda paper: paper.name)
def test_a_paper_describes_itself(paper):
    assert load_paper(paper.name) is paper
    assert len({claim.key for claim in paper.claims}) == len(paper.claims)
    assert paper.setting and paper.title and paper.authors


def test_bad_input_is_one_line():
    assert "shai-2024" in refused("papers", "shai")
    assert "NAME" in refused("papers", "--quick")
    assert "NAME" in refused("papers", "--out", "somewhere")


@pytest.mark.parametrize(
    "bound, ours, agrees",
    [
        ("", (0.9, 0.8, 0.96), True),
        ("", (0.9, 0.8, 0.94), False),
        ("", (0.955, None, None), True),
        ("", (0.956, None, None), False),
        ("least", (0.99, 0.98, 1.0), True),
        ("least", (0.9, 0.8, 0.94), False),
        ("most", (0.9, 0.8, 0.94), True),
        ("most", (0.99, 0.98, 1.0), False),
        ("", (None, None, None), None),
    ],
)
def test_agreement(bound, ours, agrees):
    assert Claim("key", "it", "", 0.95, 0.0050001, bound).agrees(Estimate(*ours)) is agrees


def test_beliefs_read_off_themselves_are_exact():
    for process in (Mess3(T=5), RandomRandomXor(5)):
        task = read_out.all_beliefs(process)
        assert task.weight.sum() == pytest.approx(1)
        found = read_out.read_beliefs(
            task.belief @ np.diag(np.arange(1.0, 6)[: task.belief.shape[1]]), task
        )
        assert found.r2 == pytest.approx(1)
        assert found.error == pytest.approx(0, abs=1e-12)
        kept = read_out.distances(found.read, task)
        assert kept.belief == pytest.approx(1)
        assert kept.predictive == pytest.approx(kept.exact)


def test_what_the_bigram_rule_loses():
    short = edelman_2024.AllHistories.of(StationaryChain((1, 1), 4))
    np.testing.assert_allclose(short.weight.sum(0), 1)
    np.testing.assert_allclose(short.gap(short.bayes), 0, atol=1e-12)
    bigram = short.process.ladder()["bigram"].log_predictive_along(short.symbols)
    found = short.gap(bigram)
    assert found[0] == pytest.approx(0, abs=1e-12)
    # Of 0 then 0: p(00) = E[q (1 - p) / (p + q)] = 1/2 - E[pq / (p + q)] and E[pq / (p + q)] =
    # (2/3)(1 - log 2), p and q uniform; the rule says 1/2.
    stays = 1 - 4 / 3 * (1 - np.log(2))
    exact = stays * np.log(2 * stays) + (1 - stays) * np.log(2 * (1 - stays))
    assert found[1] == pytest.approx(exact, rel=1e-8)
    assert 0 < edelman_2024.quadrature_error() < 1e-4


def test_phases_are_told_apart():
    rows = [
        {"uniform": 0, "unigram": 1, "bigram": 2},
        {"uniform": 2, "unigram": 1, "bigram": 2},
        {"uniform": 3, "unigram": 1, "bigram": 2},
        {"uniform": 3, "unigram": 1, "bigram": 0},
    ]
    assert edelman_2024.order_of(rows) == ["uniform", "unigram", "bigram"]


@pytest.fixture
def tiny(monkeypatch):
    """Every paper's quick size, made tiny."""
    sizes = agarwal_2025.Sizes(tuple(agarwal_2025.CELLS), 4, 2, 2, 4, 4, 2)
    monkeypatch.setattr(agarwal_2025, "QUICK", sizes)
    monkeypatch.setattr(agarwal_2025, "_DRAWN", range(2))
    monkeypatch.setattr(agarwal_2025, "LENGTH", 3)
    monkeypatch.setattr(agarwal_2025, "LONGER", 5)
    monkeypatch.setattr(chlon_2025, "QUICK", chlon_2025.Sizes(4, 4, 2, 2, 2))
    monkeypatch.setattr(genewein_2023, "QUICK", genewein_2023.Sizes(2, 4, 2, 2, 8, 1, 2))
    monkeypatch.setattr(genewein_2023, "_SMALL", 4)
    monkeypatch.setattr(mikulik_2020, "PROCESS", DirichletCategorical((1, 1, 1), 5))
    monkeypatch.setattr(mikulik_2020, "QUICK", mikulik_2020.Sizes(4, 2, 2, 20))

    sizes = edelman_2024.Sizes(T=5, stages=(1, 2), batch=2, streams=4, seeds=2, short=2)
    monkeypatch.setattr(edelman_2024, "QUICK", sizes)
    monkeypatch.setattr(edelman_2024, "SHORT", 5)
    monkeypatch.setattr(edelman_2024, "_WIDTH", 4)

    pools = (4, 16)
    claims = [c for c in wurgaft_2025.PAPER.claims if c.key in wurgaft_2025.NUMBERS]
    claims += [c for c in wurgaft_2025.PAPER.claims if c.key in {f"relative.{p}" for p in pools}]
    paper = dataclasses.replace(wurgaft_2025.PAPER, claims=tuple(claims))
    monkeypatch.setattr(wurgaft_2025, "PAPER", paper)
    monkeypatch.setattr(wurgaft_2025, "POOLS", pools)
    monkeypatch.setattr(wurgaft_2025, "ALPHA", (1.0,) * 2)
    monkeypatch.setattr(wurgaft_2025, "T", 5)
    monkeypatch.setattr(wurgaft_2025, "QUICK", wurgaft_2025.Sizes(4, 4, 2, 2, 4, 2))

    for module in (chlon_2025, genewein_2023, shai_2024):  # Adam's step compiles in half the time
        monkeypatch.setattr(module, "make_recipe", partial(make_recipe, "coursework"))

    monkeypatch.setattr(shai_2024, "T", 5)
    monkeypatch.setattr(shai_2024, "PROCESSES", (Mess3(T=5), RandomRandomXor(5)))
    monkeypatch.setattr(shai_2024, "QUICK", shai_2024.Sizes(4, 2, (1, 2), 2, 4))


def test_the_report_of_a_run(monkeypatch, tmp_path):
    """A paper that needs no networks, through the command."""
    claims = (
        Claim("met", "A number that is met", "nats", 0.5, 0.005),
        Claim("missed", "A number that is not", "nats", 0.5, 0.005, "most", "In the abstract."),
        Claim("silent", "A picture", "", None),
    )
    ours = {
        "met": Estimate(0.6, 0.504, 0.7),
        "missed": Estimate(0.6, 0.51, 0.7),
        "silent": Estimate(1e-5, None, None),
    }

    def measure(how):
        how.say(f"seed {how.seed}")
        return Findings(ours, {"quick": how.quick}, [how.seed])

    paper = Paper(
        "someone-2020", "A title", "Someone (2020)", "2001.00001", "A coin.", claims, measure,
        assumed=("It is fair.",), says=lambda found: ["It is a coin."],
    )  # fmt: skip
    monkeypatch.setattr("analysis.papers.registry.load_paper", lambda name: paper)
    shown = run("papers", "someone-2020", "--seed", 3, "--out", tmp_path / "out")
    assert shown.exit_code == 0, shown.stderr
    assert shown.stderr == "seed 3\n"
    said = " ".join(shown.stdout.split())
    assert "1 of 2 published numbers agree with ours; 1 of ours have none" in said
    assert "It is a coin. Published: A coin. Assumed: It is fair." in said
    document = json.loads((tmp_path / "out" / "someone-2020.json").read_text())
    check_document(document, ran=True)
    (found,) = document["papers"]
    assert [claim["agrees"] for claim in found["claims"]] == [True, False, None]
    assert (found["quick"], found["seeds"], found["curves"]) == (False, [3], {"quick": False})
    rows = claims_table(found).rows
    assert rows[0] == ["A number that is met, nats", "0.5", "0.6", "[0.504, 0.7]", "yes"]
    assert rows[1][1:] == ["at most 0.5", "0.6", "[0.51, 0.7]", "no"]
    assert rows[2] == ["A picture", "-", "1e-05", "", "-"]
    assert "It is a coin." in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_runs(name, tiny, tmp_path):
    result = run("papers", name, "--quick", "--out", tmp_path / "out", "--json", "--quiet")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    check_document(document, ran=True)
    (found,) = document["papers"]
    assert found["quick"] is True
    assert json.loads((tmp_path / "out" / f"{name}.json").read_text()) == document
    assert (tmp_path / "out" / "report.html").exists()
    report = make_report(load_paper(name), found)
    for table in report.tables:
        assert {len(row) for row in table.rows} == {len(table.head)}
    assert len(claims_table(found).rows) == len(found["claims"])
    assert "nan" not in " ".join(report.findings)
