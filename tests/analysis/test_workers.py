"""Tasks on Dask workers on loopback: the results of one process, whatever happens to a worker."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jobs
import numpy as np
import pytest
from inpainted import network
from networks import deep, learner
from running import assert_refused, refused, run

from analysis import workers
from analysis.audit.exact_gap import exact_gap
from analysis.audit.tree import count_walk
from analysis.images import inpainting
from analysis.images.inpainting import inpaint
from analysis.workers import run_tasks
from autoregressive.images.masked import MaskedImages
from meta_learning.learner import Learner
from meta_learning.processes import DirichletCategorical

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[2, 4])
def scheduler(request):
    """The address of a scheduler with two or four workers."""
    with workers.connect(None, request.param) as client:
        assert len(client.nthreads()) == request.param
        yield client.scheduler.address


def test_results_come_in_order(scheduler):
    done = {}
    found = run_tasks(jobs.double, iter(range(20)), scheduler=scheduler, on_done=done.__setitem__)
    assert found == [2 * n for n in range(20)]
    assert done == dict(enumerate(found))
    assert run_tasks(jobs.double, [], scheduler=scheduler) == []


def test_an_exact_gap_has_the_bits_of_one_process(scheduler, monkeypatch, tmp_path):
    deep(monkeypatch)
    monkeypatch.setattr(count_walk, "_TASK_HISTORIES", {"cpu": 100})
    net, process = learner(), DirichletCategorical((10, 1, 1), 8)
    here = exact_gap(net, process)
    done = []
    there = exact_gap(
        net, process, scheduler=scheduler, folder=tmp_path, on_progress=lambda *n: done.append(n)
    )
    assert here.cells.gap.any()
    for name, value in vars(here.cells).items():
        assert value.tobytes() == getattr(there.cells, name).tobytes()
    assert done == sorted(done) and len(done) > 8
    assert done[-1] == (here.nodes, here.nodes)


def test_posteriors_have_the_bits_of_one_process(scheduler, monkeypatch):
    monkeypatch.setattr(inpainting, "_TASK_STEPS", 500)
    net = network()
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (150, net.places)).astype(np.uint8)
    masks = truth.astype(np.int8)
    for row, missing in enumerate(rng.choice([1, 3], 150)):
        masks[row, rng.choice(net.places, missing, replace=False)] = -1
    for images in (MaskedImages(masks, truth), MaskedImages(masks)):
        done = []
        here, there = inpaint(net, images), inpaint(net, images, done.append, scheduler=scheduler)
        assert done == sorted(done) and done[-1] == 150 and len(done) > 3
        for ours, theirs in zip(here.images, there.images, strict=True):
            for name, value in vars(ours).items():
                assert np.array_equal(value, getattr(theirs, name)), name
        for name, value in here.log_q.items():
            assert value.tobytes() == there.log_q[name].tobytes()


def test_a_killed_worker_costs_only_its_task(scheduler, tmp_path, caplog):
    until = tmp_path / "go"
    tasks = [(str(tmp_path), n, str(until) if n == 0 else None) for n in range(12)]
    first = tmp_path / "0"

    def kill(index, result):
        """With all but the first task done, its worker dies in the middle of it."""
        done.append(index)
        if len(done) == len(tasks) - 1:
            os.kill(int(first.read_text()), signal.SIGKILL)
            until.touch()

    done = []
    assert run_tasks(jobs.note, tasks, scheduler=scheduler, on_done=kill) == list(range(12))
    assert done[-1] == 0
    ran = [(tmp_path / f"{n}").read_text().split() for n in range(12)]
    assert len(set(ran[0])) == 2
    assert [len(pids) for pids in ran[1:]] == [1] * 11


def test_a_failing_task_brings_its_own_error(scheduler):
    with pytest.raises(RuntimeError, match=r"^task 1: KeyError: 'no such thing'$"):
        run_tasks(jobs.fail, [0, 2], scheduler=scheduler)
    with pytest.raises(ValueError, match=r"^a user's mistake$"):
        run_tasks(jobs.fail, [0, 3], scheduler=scheduler)
    assert run_tasks(jobs.fail, [0, 1], scheduler=scheduler) == [0, 1]


def test_a_worker_of_another_version_is_refused(scheduler, monkeypatch):
    other = workers._setting() | {"numpy": "1.0"}
    monkeypatch.setattr(workers, "_setting", lambda: other)
    with pytest.raises(RuntimeError, match=r"has numpy .*, this program has 1\.0") as error:
        run_tasks(jobs.double, [1], scheduler=scheduler)
    assert "\n" not in str(error.value)


def test_a_task_that_ends_workers_is_given_up():
    with pytest.raises(RuntimeError, match="task 0 ended several workers"):
        run_tasks(jobs.die, [0], workers=1)


@pytest.fixture
def closed_port(monkeypatch):
    """An address where nothing listens; it is not tried for long."""
    monkeypatch.setattr(workers, "_CONNECT_S", 1.0)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{held.getsockname()[1]}"


def test_a_scheduler_out_of_reach_is_one_line(closed_port, network_file):
    line = refused("audit", "--checkpoint", network_file, "--scheduler", closed_port)
    assert f"no Dask scheduler answers at {closed_port};" in line
    assert "no Dask scheduler answers at x://y" in refused(
        "inpaint", "--mask", "row:3", "--data", "glyphs", "--scheduler", "x://y"
    )
    assert "not both" in refused(
        "audit", "--checkpoint", network_file, "--scheduler", closed_port, "--workers", 2
    )


@pytest.mark.parametrize(
    "command",
    [
        ("inpaint", "--mask", "row:3", "--data", "glyphs"),
        ("sweep", "--alpha", "1,1", "--T", 5),
        ("audit", "--alpha", "1,1", "--T", 5),
    ],
)
def test_more_workers_than_the_machine_can_use_are_wrong_usage(monkeypatch, tmp_path, command):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    found = run(*command, "--workers", 17, "--out", tmp_path / "out")
    assert_refused(found, 2, says="1 to 16 processes on this machine of 4 cores; try --workers 4")
    assert not (tmp_path / "out").exists()
    workers.check(None, 16)
    for count in (0, 17):
        with pytest.raises(ValueError, match=f"--workers {count}: expected 1 to 16"):
            run_tasks(abs, [1], workers=count)


def test_an_audit_on_workers_has_the_numbers_of_one_process(network_file, monkeypatch):
    deep(monkeypatch, hidden=4)
    monkeypatch.setattr(count_walk, "_TASK_HISTORIES", {"cpu": 100})
    found = run(
        "audit",
        "--checkpoint",
        network_file,
        "--test-T",
        8,
        "--tasks",
        20,
        "--only-gap",
        "--json",
        "--quiet",
        "--workers",
        2,
    )
    assert found.exit_code == 0, found.stderr
    here = exact_gap(Learner.load(network_file), DirichletCategorical((10, 1, 1), 8))
    assert json.loads(found.stdout)["gap"] == here.document()["gap"]


def test_inpaint_hands_its_images_to_workers(monkeypatch):
    def asked(function, tasks, **where):
        raise ValueError(f"{len(tasks)} tasks for {where}")

    monkeypatch.setattr(inpainting, "each_result", asked)
    line = refused(
        "inpaint", "--mask", "row:2", "--data", "glyphs", "--images", 4, "--json", "--workers", 3
    )
    assert "1 tasks for {'scheduler': None, 'workers': 3}" in line


BLOCKED = """
import sys
for name in ("dask", "distributed"):
    sys.modules[name] = None
import analysis.workers
from analysis.cli import main
assert analysis.workers.run_tasks(abs, [-1, 2]) == [1, 2]
main(sys.argv[1:])
"""


def test_without_dask_everything_runs_here():
    command = [
        sys.executable,
        "-c",
        BLOCKED,
        "inpaint",
        "--mask",
        "row:3",
        "--data",
        "glyphs",
        "--images",
        "3",
        "--json",
    ]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["images"] == 3
    found = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 1
    assert found.stdout == ""
    assert "pip install 'meta-learn[cluster]'" in found.stderr
    assert len(found.stderr.splitlines()) == 1
