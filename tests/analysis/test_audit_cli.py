"""``meta-learn audit``: its numbers are the exact gap's, and its refusals are one line."""

import json
import math

import pytest
from running import groups_of, refused, run

from analysis.audit.exact_gap import exact_gap
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical


@pytest.mark.usefixtures("few_sources")
def test_the_command_reports_the_exact_gap(network_file, tmp_path):
    result = run("audit", "--checkpoint", network_file, "--tasks", 50, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "audit.json",
        "audit.nc",
        "hidden.nc",
        "manifest.json",
        "report.html",
        "error-budget.png",
        "calibration.png",
        "network.safetensors",
    } <= names
    found = json.loads((tmp_path / "out" / "audit.json").read_text())
    exact = exact_gap(Learner.load(network_file), DirichletCategorical((10, 1, 1), 4))
    assert found["gap"]["mean"] == pytest.approx(exact.gap, rel=1e-9)
    groups = groups_of(tmp_path / "out" / "audit.nc")
    assert {"exact_gap", "calibration", "posterior_predictive", "observed_data"} <= groups
    assert found["calibration"]["histories"] == [0, 1, 2]
    assert found["hidden_state"]["spectrum"].keys() == {"h", "c", "hc"}
    parts = sum(found["budget"][part]["mean"] for part in ("leak", "same_belief", "rest"))
    assert parts == pytest.approx(found["gap"]["mean"], abs=1e-9)
    assert found["histories"] == 1 + 3 + 9
    assert found["carry_over"]["past_tasks"] >= 64
    weights = [h["probability"] * h["gap"] for h in found["worst_histories"]["by_weight"]]
    assert weights == sorted(weights, reverse=True)


def test_another_task_length_and_no_reset(network_file):
    result = run(
        "audit",
        "--checkpoint",
        network_file,
        "--test-T",
        3,
        "--tasks",
        50,
        "--only-gap",
        "--json",
        "--quiet",
    )
    assert result.exit_code == 0, result.stderr
    assert len(json.loads(result.stdout)["gap"]["by_position"]) == 2
    result = run(
        "audit",
        "--checkpoint",
        network_file,
        "--test-T",
        "inf",
        "--draws",
        3,
        "--only-gap",
        "--json",
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert len(found["gap"]["by_position"]) == 3
    assert found["carry_over"] is None
    assert found["calibration"] is None
    assert not math.isnan(found["gap_closed"])


def test_bad_input_is_one_line(network_file, tmp_path):
    assert "say what to train on" in refused("audit")
    assert "unknown experiment" in refused("audit", "--experiment", "M9")
    assert "cannot be given with --checkpoint" in refused(
        "audit", "--checkpoint", network_file, "--T", 5
    )
    assert "no checkpoint" in refused("audit", "--checkpoint", tmp_path / "none")
    out = tmp_path / "out"
    assert "T must be 2" in refused(
        "audit", "--checkpoint", network_file, "--test-T", 1, "--out", out
    )
    assert "histories" in refused(
        "audit", "--checkpoint", network_file, "--test-T", 60, "--out", out
    )
    assert "fewer --draws" in refused(
        "audit", "--checkpoint", network_file, "--test-T", "inf", "--draws", 60, "--out", out
    )
    assert "has 3 draws; got 2" in refused(
        "audit", "--checkpoint", network_file, "--draws", 2, "--out", out
    )
    assert "change-points has none" in refused(
        "audit", "--process", "change-points", "--test-T", 5, "--out", out
    )
    assert not out.exists()


@pytest.mark.usefixtures("few_sources")
def test_a_process_without_counts_has_the_whole_report(tmp_path):
    out = tmp_path / "out"
    arguments = ("--process", "golden-mean", "--draws", 5, "--out", out, "--quiet")
    tiny = ("--recipe", "coursework", "--iterations", 6, "--batch-size", 4, "--unroll", 8)
    result = run("audit", *arguments, *tiny, "--hidden", 4)
    assert result.exit_code == 0, result.stderr
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    found = json.loads((out / "audit.json").read_text())
    assert (found["process"], found["p"], found["T"], found["draws"]) == (
        "golden-mean",
        0.5,
        None,
        5,
    )
    # Of one to four draws without two zeros in a row: Fibonacci's numbers.
    assert found["histories"] == 1 + 2 + 3 + 5 + 8
    assert found["budget"].keys() == {"leak", "same_belief", "rest"}
    parts = sum(part["mean"] for part in found["budget"].values())
    assert parts == pytest.approx(found["gap"]["mean"], rel=1e-9)
    assert found["carry_over"] is None
    assert found["calibration"]["predictors"]["bayes"]["p_value"] > 1e-4
    assert found["calibration"]["predictors"]["network"]["by_history"][0]["counts"] is None
    assert found["off_prior"]["left_out"] == ["p=1,0", "p=0.5,0.5"]
    assert {"own", "bayes_wrong_model"} < {row["kind"] for row in found["off_prior"]["rows"]}
    assert "first 5 draws are looked at" in " ".join(result.stdout.split())
    names = {path.name for path in out.iterdir()}
    assert {"error-budget.png", "calibration.png", "off-prior.png", "audit.nc"} <= names
    groups = groups_of(out / "audit.nc")
    assert {"exact_gap", "exact_gap_by_belief", "worst_histories", "calibration"} <= groups
