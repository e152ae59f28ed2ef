"""Sweeps: the grid, its numbers beside those of compare, what a stopped one leaves, workers."""

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray
from conftest import QUICK
from running import assert_refused, refused, run

from analysis import workers
from analysis.sweep import sweep as sweeps
from analysis.sweep.grid import make_grid
from analysis.sweep.results import document, to_datatree
from analysis.sweep.sweep import sweep
from autoregressive.training import TrainingDiverged
from meta_learning import training
from meta_learning.recipes import make_recipe

SMALL = (*QUICK, "--iterations", "6", "--seeds", "2", "--streams", "60")
GRID = ("--alpha", "10,1,1", "--T", "4", "--hidden", "3", "--hidden", "2", *SMALL)
RESULTS = ("sweep.json", "sweep.nc", "gap-map.png", "gap-along-hidden.svg")


def recipes(*iterations):
    return [make_recipe("coursework", iterations=n, batch_size=4, unroll=8) for n in iterations]


def small_grid(hidden=(2,), T=(4,)):
    return make_grid(
        ["dirichlet-categorical"], {"alpha": [(1, 1)], "T": T}, ["lstm"], hidden, recipes(6)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a sweep that nothing stopped, and its cache."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("META_LEARN_CACHE", str(folder / "cache"))
        result = run("sweep", *GRID, "--out", folder / "out")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("sweep: 2 points of 2 seeds, 2 measured in ")
    return folder


@pytest.fixture(scope="module")
def here():
    """A small sweep in this process alone, and what it said of its progress."""
    seen = []
    found = sweep(small_grid(hidden=(2, 3, 4)), streams=20, on_progress=lambda *s: seen.append(s))
    return found, seen


def test_a_grid_is_every_combination_in_the_order_given():
    grid = make_grid(
        ["dirichlet-categorical"],
        {"alpha": ["10,1,1", (1, 1)], "T": [5.0, math.inf]},
        ["lstm", "gru"],
        [8, 4],
        recipes(3, 2),
    )
    axes = ([(10, 1, 1), (1, 1)], [5, math.inf], ["lstm", "gru"], [8, 4], [3, 2])
    wanted = list(itertools.product(*axes))
    found = [
        (p.process.alpha, p.process.T, p.cell, p.hidden, p.recipe.iterations) for p in grid.points
    ]
    assert found == wanted
    assert list(grid.axes) == ["process", "alpha", "T", "cell", "hidden", "iterations"]
    assert grid.shape == (1, 2, 2, 2, 2, 2)


def test_processes_share_axes_and_keep_parameters_of_their_own():
    grid = make_grid(
        ["change-points", "dirichlet-categorical"],
        {"alpha": ["1,1", "2,2,2"], "T": ["7"], "hazard": ["0.25"]},
        ["gru"],
        [2],
        recipes(1),
    )
    assert list(grid.axes) == ["process", "alpha", "cell", "hidden", "iterations"]
    assert [p.process.settings() for p in grid.points] == [
        {"alpha": [1, 1], "hazard": 0.25},
        {"alpha": [2, 2, 2], "hazard": 0.25},
        {"alpha": [1, 1], "T": 7},
        {"alpha": [2, 2, 2], "T": 7},
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "alpha, T; alpha is missing"),
        (["--alpha", "1,1,1"], "T is missing"),
        (["--alpha", "1,1,1", "--alpha", "1,1,1", "--T", "4"], "alpha 1,1,1 comes twice"),
        (["--alpha", "1,1,1", "--T", "4", "--T", "0"], "whole number"),
        (["--alpha", "1,1,1", "--alpha", "1,0", "--T", "4"], "positive"),
        (["--alpha", "1,1", "--T", "4", "--cell", "lstm", "--cell", "rnn"], "unknown cell"),
        (["--alpha", "1,1", "--T", "4", "--hidden", "4", "--hidden", "4"], "hidden 4 comes twice"),
        (["--alpha", "1,1", "--T", "4", "--budget", "9", "--iterations", "3"], "not both"),
        (
            ["--alpha", "1,1", "--T", "4", "--budget", "401", "--budget", "400"],
            "iterations 1 comes twice",
        ),
        (["--alpha", "1,1", "--T", "4", "--param", "T=5"], "not both"),
        (["--alpha", "1,1", "--T", "4", "--param", "T"], "KEY=VALUE"),
        (["--alpha", "1,1", "--T", "4", "--param", "hazard=0.1"], "no parameter 'hazard'"),
        (["--process", "change-points", "--param", "hazard=0.1", "--param", "hazard=2"], "hazard"),
        (["--process", "none"], "unknown process"),
        (
            [
                "--process",
                "change-points",
                "--process",
                "dirichlet-categorical",
                "--alpha",
                "1,1",
                "--T",
                "4",
                "--T",
                "5",
            ],
            "change-points has no T",
        ),
        (["--alpha", "1,1", "--T", "4", "--seeds", "0"], "1<=x"),
        (["--alpha", "1,1", "--T", "4", "--learning-rate", "nan"], "learning rate"),
    ],
    ids=str,
)
def test_mistakes_are_answered_in_one_line_before_training(arguments, says, cache, tmp_path):
    out = tmp_path / "out"
    assert_refused(run("sweep", *arguments, "--out", out), 2, says=says)
    assert not list(cache.rglob("*.safetensors"))
    assert not out.exists()


def test_every_point_has_the_numbers_of_compare(whole, monkeypatch):
    monkeypatch.setenv("META_LEARN_CACHE", str(whole / "cache"))
    found = json.loads((whole / "out" / "sweep.json").read_text())
    assert found["axes"] == {
        "process": ["dirichlet-categorical"],
        "alpha": [[10, 1, 1]],
        "T": [4],
        "cell": ["lstm"],
        "hidden": [3, 2],
        "iterations": [6],
    }
    for hidden, point in zip((3, 2), found["points"], strict=True):
        alone = run("compare", "--alpha", "10,1,1", "--T", 4, "--hidden", hidden, *SMALL, "--json")
        assert alone.stderr == ""  # its networks are found
        assert json.loads(alone.stdout) == point


# ArviZ 0.23 warns once a day at import that it will change.
@pytest.mark.filterwarnings("ignore:(?s).*ArviZ:FutureWarning")
def test_the_netcdf_is_labelled_and_opens_in_arviz(whole):
    import arviz

    path = whole / "out" / "sweep.nc"
    opened = arviz.from_netcdf(path)
    # Datasets below ArviZ 1.0, trees from there on.
    data = {
        name: group if isinstance(group, xarray.Dataset) else group.to_dataset()
        for name in ("network", "intervals", "references")
        for group in [opened[name]]
    }
    points = json.loads((whole / "out" / "sweep.json").read_text())["points"]
    axes = ("process", "alpha", "T", "cell", "hidden", "iterations")
    for point in points:
        place = {"alpha": "10,1,1", "T": 4, "hidden": point["hidden"]}
        network = data["network"].sel(place).squeeze()
        for name in ("loss", "gap"):
            wanted = point[name]["network" if name == "loss" else "mean"]
            assert float(network[name].mean()) == pytest.approx(wanted, rel=1e-12)
        np.testing.assert_allclose(
            network["gap_by_position"].mean("seed"), point["gap"]["by_position"], rtol=1e-12
        )
        intervals = data["intervals"].sel(place).squeeze()
        assert list(intervals["gap_closed"].values) == [
            point["gap_closed"]["mean"],
            *point["gap_closed"]["ci95"],
        ]
        np.testing.assert_allclose(
            network["gap_closed"].mean(), point["gap_closed"]["mean"], rtol=1e-12
        )
        references = data["references"].sel(place).squeeze()
        for name, loss in point["loss"].items():
            if name != "network":
                assert float(references["loss"].sel(predictor=name)) == pytest.approx(loss, 1e-12)
    gap = data["network"]["gap"]
    assert gap.dims == (*axes, "seed")
    assert gap.attrs["units"] == "nats a drawn symbol"
    assert data["network"]["leak"].attrs["units"] == "1 (probability)"
    with xarray.open_dataset(path, group="training", engine="h5netcdf") as training:
        assert training["held_out_gap"].dims == (*axes, "seed", "point")
        np.testing.assert_array_equal(training["symbols"][0], 32 * np.arange(7))


def test_the_folder_holds_a_whole_report(whole):
    names = {path.name for path in (whole / "out").iterdir()}
    figures = ("closed-map", "gap-map", "gap-along-hidden", "gap-by-position", "learning-curves")
    assert names == {
        "report.html",
        "sweep.json",
        "sweep.nc",
        "manifest.json",
        *(f"{stem}.{kind}" for stem in figures for kind in ("png", "svg")),
    }
    page = (whole / "out" / "report.html").read_text("utf-8")
    assert page.count("<figure") == page.count('role="img" aria-label=') == len(figures)
    assert "LSTM-3" in page


@pytest.mark.slow
def test_a_grid_that_grew_measures_only_what_is_new(whole, monkeypatch):
    measured = []
    measure = sweeps.measure
    monkeypatch.setattr(
        sweeps, "measure", lambda task, **more: measured.append(task) or measure(task, **more)
    )
    monkeypatch.setenv("META_LEARN_CACHE", str(whole / "cache"))
    result = run("sweep", *GRID, "--json")
    assert measured == []
    assert result.stderr.endswith("2 from the cache\n")
    assert json.loads(result.stdout) == json.loads((whole / "out" / "sweep.json").read_text())
    result = run("sweep", *GRID, "--T", "inf", "--json", "--quiet")
    assert [(task.point.process.T, task.point.hidden) for task in measured] == [
        (math.inf, 3),
        (math.inf, 2),
    ]
    assert [p["T"] for p in json.loads(result.stdout)["points"]] == [4, 4, None, None]


# The command, killed as soon as it has kept its first point.
KILLED = """
import os, signal, sys
from analysis.sweep import sweep
from analysis.cli import main

keep = sweep._keep

def keep_and_die(*arguments):
    keep(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

sweep._keep = keep_and_die
main(sys.argv[1:])
"""


def test_a_killed_sweep_completes_what_is_missing_to_the_same_bytes(whole, cache, tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "sweep", *GRID, "--out", str(tmp_path / "out")],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(list((cache / "sweep").iterdir())) == 1
    assert not (tmp_path / "out").exists()
    result = run("sweep", *GRID, "--out", tmp_path / "out")
    assert "2 points of 2 seeds, 1 measured" in result.stderr
    for name in RESULTS:
        assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes()


def test_a_spoiled_result_is_measured_anew(whole, cache):
    shutil.copytree(whole / "cache", cache)
    paths = sorted((cache / "sweep").iterdir())
    data = [path.read_bytes() for path in paths]
    for path, other in zip(paths, [*data[1:], data[0]], strict=True):
        path.write_bytes(other)
    paths[0].write_bytes(data[0][:-1] + bytes([data[0][-1] ^ 1]))
    result = run("sweep", *GRID, "--json")
    assert result.stderr.count("measuring anew: ") == 2
    assert json.loads(result.stdout) == json.loads((whole / "out" / "sweep.json").read_text())


def test_training_that_diverges_costs_its_point_only(monkeypatch):
    train = training.train

    def diverges(process, recipe, **more):
        if more["hidden"] == 2:
            raise TrainingDiverged("the loss was not finite at iteration 3")
        return train(process, recipe, **more)

    monkeypatch.setattr(training, "train", diverges)
    found = sweep(small_grid(hidden=(2, 3)), streams=20)
    lost, kept = document(found)["points"]
    assert (lost["hidden"], lost["failed"]) == (2, "the loss was not finite at iteration 3")
    gap = to_datatree(found)["intervals"]["gap_network"].sel(bound="mean").squeeze()
    assert np.isnan(gap.values[0])
    assert gap.values[1] == kept["gap"]["mean"]
    with pytest.raises(TrainingDiverged, match="iteration 3"):
        sweep(small_grid(), streams=20)


@pytest.mark.slow
def test_tasks_without_draws_or_without_reset_leave_nan(tmp_path):
    found = sweep(small_grid(T=(1, 2, math.inf)), streams=20)
    json.dumps(document(found), allow_nan=False)
    network = to_datatree(found)["network"].to_dataset().squeeze()
    assert np.isnan(network["gap"]).values.tolist() == [True, False, False]
    assert np.isnan(network["gap_closed"]).values.tolist() == [True, True, False]
    assert np.isnan(network["leak"]).values.tolist() == [True, False, True]
    assert np.isfinite(network["gap_by_position"]).sum("position").values.tolist() == [0, 1, 100]


@pytest.mark.slow
def test_progress_runs_over_the_whole_grid(here):
    iterations, points = zip(*here[1], strict=True)
    assert list(iterations) == sorted(iterations)
    assert (iterations[0], points[0]) == (0, 0)
    assert (iterations[-1], points[-1]) == (18, 3)
    assert {1, 7} <= set(iterations)  # within a point, too


def test_workers_have_the_bytes_of_one_process(whole, cache, tmp_path):
    result = run("sweep", *GRID, "--workers", 2, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    assert "2 points of 2 seeds, 2 measured" in result.stderr
    for name in RESULTS:
        assert (tmp_path / "out" / name).read_bytes() == (whole / "out" / name).read_bytes()


@pytest.mark.slow
def test_workers_have_the_bytes_of_one_process_with_the_default_recipe(monkeypatch, tmp_path):
    # SOAP decomposes matrices, whose bits depend on the threads of linear algebra.
    one = ("--alpha", "10,1,1", "--T", "20", "--iterations", "400", "--streams", "100", "--json")
    said = []
    for more in [(), ("--workers", "1")]:
        monkeypatch.setenv("META_LEARN_CACHE", str(tmp_path / "-".join(("cache", *more))))
        result = run("sweep", *one, *more)
        assert result.exit_code == 0, result.stderr
        assert "1 measured" in result.stderr
        said.append(result.stdout)
    assert said[1] == said[0]


@pytest.mark.slow
def test_a_killed_worker_costs_only_its_task(here, caplog):
    grid = small_grid(hidden=(2, 3, 4))
    ended = []
    with workers.connect(None, 2, one_thread=False) as client:
        pids = client.run(os.getpid)

        def kill(iterations, points):
            """With the first point done, a worker dies in the middle of another."""
            if points and not ended:
                busy = [name for name, tasks in client.processing().items() if tasks]
                os.kill(pids[busy[0]], signal.SIGKILL)
            ended[:] = range(points)

        address = client.scheduler.address
        there = sweep(grid, streams=20, scheduler=address, on_progress=kill)
    assert len(ended) == 3
    assert "workers lost: 1" in caplog.text
    assert document(there) == document(here[0])


def test_a_scheduler_out_of_reach_is_one_line():
    assert "no Dask scheduler answers at x://y" in refused("sweep", *GRID, "--scheduler", "x://y")
