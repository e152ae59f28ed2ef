"""The command: what it prints, what it leaves behind, and what it says when it cannot."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from conftest import TRAIN
from running import assert_refused, run

from analysis.cli import main

FIGURES = ("predictions", "gap-by-position", "learning-curves", "regret", "simplex")
FILES = {
    "report.html",
    "comparison.json",
    "comparison.nc",
    "manifest.json",
    "network-seed0.safetensors",
    *(f"{stem}.{kind}" for kind in ("png", "svg") for stem in FIGURES),
}


def is_number(value):
    return isinstance(value, float)


def is_interval(value):
    return len(value) == 2 and value[0] <= value[1]


def test_json_has_the_documented_fields(filled_cache):
    result = run(*TRAIN, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""  # from the cache: no training line
    found = json.loads(result.stdout)
    known = {
        "alpha": [10.0, 1.0, 1.0],
        "T": 4,
        "cell": "lstm",
        "hidden": 4,
        "recipe": "coursework",
        "iterations": 6,
        "batch_size": 4,
        "unroll": 8,
        "targets": "symbols",
        "symbols": 192,
        "seeds": [0],
        "interval": "streams",
    }
    assert {key: found[key] for key in known} == known
    assert {"network", "bayes", "memoryless", "laplace", "kt", "oracle"} <= found["loss"].keys()
    assert all(map(is_number, found["loss"].values()))
    assert is_number(found["gap"]["mean"])
    assert is_number(found["gap"]["memoryless"])
    assert len(found["gap"]["by_position"]) == 3
    assert is_interval(found["gap"]["ci95"])
    assert is_number(found["gap_closed"]["mean"])
    assert is_interval(found["gap_closed"]["ci95"])
    assert is_number(found["reset"]["leak"])
    assert is_number(found["reset"]["miss"])


def test_training_says_so_once_and_the_second_run_finds_it(cache):
    first, second = run(*TRAIN, "--json"), run(*TRAIN, "--json")
    assert re.fullmatch(r"training lstm-4: 6 iterations in .* nats a drawn symbol\n", first.stderr)
    assert second.stderr == ""
    assert first.stdout == second.stdout
    assert len(list((cache / "networks").iterdir())) == 1


def test_training_on_the_oracle_gives_another_network(filled_cache):
    usual, oracle = run(*TRAIN, "--json"), run(*TRAIN, "--targets", "oracle", "--json")
    before, after = json.loads(usual.stdout), json.loads(oracle.stdout)
    assert (before["targets"], after["targets"]) == ("symbols", "oracle")
    assert before["loss"]["bayes"] == after["loss"]["bayes"]
    assert before["loss"]["network"] != after["loss"]["network"]
    assert len(list((filled_cache / "networks").iterdir())) == 2
    assert run(*TRAIN, "--targets", "oracle", "--out", filled_cache / "out").exit_code == 0
    page = (filled_cache / "out" / "report.html").read_text()
    assert "LSTM-4 trained on the oracle of Dirichlet(10, 1, 1), T=4" in page


def test_quiet_shows_no_progress(cache):
    result = run(*TRAIN, "--json", "--quiet", "--seed", 7)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert json.loads(result.stdout)["seeds"] == [7]


def test_out_holds_a_whole_report(filled_cache, tmp_path):
    out = tmp_path / "deep" / "out"
    result = run(*TRAIN, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "share of the gap closed" in result.stdout
    assert {path.name for path in out.iterdir()} == FILES
    page = (out / "report.html").read_text("utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert "http:" not in page
    assert "https:" not in page
    assert page.count("<svg") == page.count('aria-label="') == len(FIGURES)
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"versions", "device", "seeds", "arguments"} <= manifest.keys()
    found = json.loads(run(*TRAIN, "--json").stdout)
    assert json.loads((out / "comparison.json").read_text()) == found


def test_several_seeds(cache, tmp_path):
    result = run(*TRAIN, "--seeds", 2, "--seed", 3, "--json", "--out", tmp_path / "out")
    found = json.loads(result.stdout)
    assert found["seeds"] == [3, 4]
    assert found["interval"] == "seeds"
    names = {path.name for path in (tmp_path / "out").glob("*.safetensors")}
    assert names == {"network-seed3.safetensors", "network-seed4.safetensors"}


@pytest.mark.parametrize(
    ("arguments", "test"),
    [
        ([], {"alpha": [10.0, 1.0, 1.0], "T": 4}),
        (["--test-alpha", "1.3,1.3,1.3"], {"alpha": [1.3, 1.3, 1.3], "T": 4}),
        (["--test-T", "inf"], {"alpha": [10.0, 1.0, 1.0], "T": None}),
        (["--test-T", "1"], {"alpha": [10.0, 1.0, 1.0], "T": 1}),
        (["--p", "1,0,0", "--test-T", "2"], {"p": [1.0, 0.0, 0.0], "T": 2}),
    ],
    ids=str,
)
def test_a_checkpoint_on_other_streams(network_file, tmp_path, arguments, test):
    command = ("compare", "--checkpoint", network_file, "--streams", 60, *arguments)
    result = run(*command, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert {key: found["test"][key] for key in test} == test
    assert found["T"] == 4
    off_prior = "--test-alpha" in arguments
    assert ("gap_test" in found) == off_prior
    page = (tmp_path / "out" / "report.html").read_text()
    # The answer says which Bayes it is from.
    assert ("Bayes with the prior of the test" in page) == off_prior


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--alpha", "10,0,1", "--T", "4"], "positive and finite"),
        (["--alpha", "10,-1,1", "--T", "4"], "positive and finite"),
        (["--alpha", "10,inf,1", "--T", "4"], "positive and finite"),
        (["--alpha", "10,nan,1", "--T", "4"], "positive and finite"),
        (["--alpha", "10", "--T", "4"], "two or more entries"),
        (["--alpha", "ten,one", "--T", "4"], "expected numbers"),
        (["--alpha", "", "--T", "4"], "expected numbers"),
        (["--alpha", "10,1,1", "--T", "0"], "whole number"),
        (["--alpha", "10,1,1", "--T", "2.5"], "whole number"),
        (["--alpha", "10,1,1", "--T=-inf"], "whole number"),
        (["--alpha", "10,1,1", "--T", "nan"], "whole number"),
        (["--alpha", "10,1,1", "--T", "four"], "whole number"),
        (["--alpha", "10,1,1", "--T", "4", "--p", "0.5,0.6,0"], "sum to 1"),
        (["--alpha", "10,1,1", "--T", "4", "--p", "0.5,0.5"], "must agree"),
        (["--alpha", "10,1,1", "--T", "4", "--p", "2,-1,0"], "between 0 and 1"),
        (["--alpha", "10,1,1", "--T", "4", "--test-alpha", "1,1"], "must agree"),
        (["--alpha", "10,1,1", "--T", "4", "--test-alpha", "1,1,1", "--p", "1,0,0"], "not both"),
        (["--alpha", "10,1,1", "--T", "4", "--cell", "rnn"], "unknown cell"),
        (["--alpha", "10,1,1", "--T", "4", "--recipe", "best"], "unknown recipe"),
        (["--alpha", "10,1,1", "--T", "4", "--budget", "10"], "less than one iteration"),
        (["--alpha", "10,1,1", "--T", "4", "--budget", "10000", "--iterations", "3"], "not both"),
        (["--alpha", "10,1,1", "--T", "4", "--learning-rate", "nan"], "learning rate"),
        (["--alpha", "10,1,1", "--T", "4", "--streams", "1"], "x>=2"),
        (["--alpha", "10,1,1"], "say what to train on"),
        (["--experiment", "M9"], "unknown experiment"),
        (["--experiment", "M1", "--T", "4"], "--experiment sets"),
        ([], "say what to train on"),
    ],
    ids=str,
)
def test_mistakes_are_answered_in_one_line(arguments, says, cache, tmp_path):
    out = tmp_path / "out"
    assert_refused(run("compare", *arguments, "--out", out), 1, 2, says=says)
    assert not cache.exists() or not list(cache.rglob("*.safetensors"))
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("option", ["--alpha", "--T", "--experiment"])
def test_a_checkpoint_brings_its_own_process(network_file, option):
    value = {"--alpha": "1,1,1", "--T": "4", "--experiment": "M1"}[option]
    result = run("compare", "--checkpoint", network_file, option, value, "--json")
    assert_refused(result, 2, says="cannot be given with --checkpoint")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data[: len(data) // 2], "not a readable checkpoint"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "damaged"),
        (lambda data: data.replace(b'\\"hidden\\": 4', b'\\"hidden\\": 5'), "damaged"),
        (lambda data: b"", "not a readable checkpoint"),
        (lambda data: b"\x89PNG\r\n\x1a\n" + bytes(500), "not a readable checkpoint"),
    ],
)
def test_a_spoiled_checkpoint_is_refused(network_file, tmp_path, spoil, says):
    path, out = tmp_path / "a.safetensors", tmp_path / "out"
    path.write_bytes(spoil(network_file.read_bytes()))
    assert path.read_bytes() != network_file.read_bytes()
    assert_refused(run("compare", "--checkpoint", path, "--out", out), 1, says=says)
    assert not out.exists()


def test_no_checkpoint_is_refused(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        assert_refused(run("compare", "--checkpoint", path, "--json"), 1, says=str(path))


def test_a_file_in_the_place_of_the_output_folder_is_kept(network_file, tmp_path):
    out = tmp_path / "out"
    out.write_text("mine")
    command = ("compare", "--checkpoint", network_file, "--out")
    says = f"Error: {out} is a file where a folder is expected: give another path"
    for path in (out, out / "below", out / "below" / "more"):
        assert_refused(run(*command, path), 1, says=says)
    streams = ("streams", "--experiment", "M1", "--streams", 2, "--out")
    assert_refused(run(*streams, out / "streams.npz"), 1, says=says)
    assert out.read_text() == "mine"


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path):
    folder = tmp_path / "streams.npz"
    (folder / "mine").mkdir(parents=True)
    refused = run("streams", "--experiment", "M1", "--streams", 2, "--out", folder)
    assert_refused(refused, 1, says=f"Error: {folder} is a folder where a file is expected: give")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("audit --experiment M1 --draws 3", "has 4 draws; got 3"),
        ("audit --experiment M1 --test-T 1", "T must be 2 or more"),
        ("audit --experiment M1 --cell rnn", "unknown cell"),
        ("audit --process change-points --nuts", "leave out --nuts"),
        ("hidden --alpha 1,1 --T 1", "tasks of T=1 have no drawn symbol"),
        ("pixels train --data glyphs --cell rnn", "unknown cell"),
        ("pixels train --data glyphs --recipe fast", "unknown recipe"),
    ],
)
def test_a_wrong_value_of_an_option_ends_with_2(command, says, tmp_path):
    out = tmp_path / "out"
    assert_refused(run(*command.split(), "--out", out), 2, says=says)
    assert not out.exists()


@pytest.mark.parametrize("command", [("pixels", "train"), ("reproduce",), ("streams",)])
def test_help_does_not_say_that_json_writes_nothing_where_it_does(command):
    said = "no report unless --out"
    assert said in " ".join(run("compare", "--help").stdout.split())
    assert said not in " ".join(run(*command, "--help").stdout.split())


def commands_of(group, *path):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(commands_of(main)), ids=" ".join)
def test_an_empty_output_path_is_refused(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for empty in ("", " "):
        assert_refused(run(*command, "--out", empty), 2, says="expected a path, got an empty text")
    assert list(tmp_path.iterdir()) == []


# The command on a disk that takes no file beyond 2 KiB.
ON_A_FULL_DISK = """
import resource
from analysis.cli import main

resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
main()
"""


def test_a_full_disk_ends_in_one_line_and_no_half_written_file(network_file, tmp_path):
    out = tmp_path / "out"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            ON_A_FULL_DISK,
            "compare",
            "--checkpoint",
            str(network_file),
            "--streams",
            "60",
            "--out",
            str(out),
            "--quiet",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.fullmatch(r"Error: .*File too large.*\n", result.stderr), result.stderr
    assert not out.exists()


def test_a_cache_that_cannot_be_written_costs_time_not_the_result(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("META_LEARN_CACHE", str(tmp_path / "file"))
    result = run(*TRAIN, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["iterations"] == 6
    warnings = [x for x in result.stderr.splitlines() if "cannot keep networks" in x]
    assert len(warnings) == 1
    assert "META_LEARN_CACHE" in warnings[0]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_spoiled_cache_is_trained_anew(network_file):
    whole = network_file.read_bytes()
    wanted = run(*TRAIN, "--json").stdout
    network_file.write_bytes(whole[:-1])
    result = run(*TRAIN, "--json")
    assert result.exit_code == 0
    assert result.stdout == wanted
    assert result.stderr.splitlines()[0].startswith("training anew: ")
    assert run(*TRAIN, "--json").stderr == ""  # mended


def test_a_cache_of_another_version_is_trained_anew(network_file):
    from meta_learning.learner import Learner

    learner = Learner.load(network_file)
    learner.settings["versions"]["meta-learn"] = "0.0.1"
    learner.save(network_file)
    result = run(*TRAIN, "--json")
    assert result.exit_code == 0
    assert "written by meta-learn 0.0.1" in result.stderr.splitlines()[0]


def test_diverging_training_is_one_line(cache):
    result = run(*TRAIN, "--json", "--learning-rate", "1e30")
    assert_refused(result, 1, says="not finite")
    assert list(cache.rglob("*.safetensors")) == []


def test_debug_shows_the_traceback(monkeypatch, tmp_path):
    monkeypatch.setenv("META_LEARN_DEBUG", "1")
    result = run("compare", "--checkpoint", tmp_path / "none", "--json")
    assert not isinstance(result.exception, SystemExit)


def test_version_and_help():
    assert re.fullmatch(r"meta-learn \S+\n", run("--version").stdout)
    assert run().stdout == run("--help").stdout
    assert_refused(run("nonsense"), 2, says="No such command")
