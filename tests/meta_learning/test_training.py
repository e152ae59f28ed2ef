"""Training: resumed, killed and interrupted runs end with the bits of a run left alone."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TRAIN

from autoregressive import checkpoint
from autoregressive.optimization import Optimization
from autoregressive.training import Trainer, TrainingDiverged, fit
from autoregressive.training_runs import network_path
from meta_learning import training
from meta_learning.learner import learner_model, make_trainer
from meta_learning.processes import PROCESSES, DirichletCategorical, Streams
from meta_learning.recipes import RECIPES, make_recipe
from meta_learning.training import learner_settings, train

STOPS = (4, 8, 12)
PROCESS = DirichletCategorical((10, 1, 1), 5)
# Every part of a recipe at once: warm-up and decay, clipping, a moving average, chrono gates.
RECIPE = dataclasses.replace(
    make_recipe("coursework", iterations=12, batch_size=2, unroll=10),
    optimization=Optimization(
        0.01, schedule="cosine", warmup=0.25, clip=1.0, averaging=0.25, timescale=10.0
    ),
)


def assert_same_bits(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def begin(recipe=RECIPE, cell="lstm", seeds=(0,)):
    """A trainer, its first state and its keys, all made anew."""
    model = learner_model(PROCESS.num_symbols, cell, 4)
    trainer = make_trainer(PROCESS, model, recipe)
    inits = [model.init(jax.random.key(seed), recipe.timescale) for seed in seeds]
    state = trainer.init(jax.tree.map(lambda *leaves: jnp.stack(leaves), *inits))
    return trainer, state, jnp.stack([jax.random.key(100 + seed) for seed in seeds])


@pytest.mark.parametrize(
    ("cell", "optimizer"), [("lstm", "adam"), ("gru", "adam"), ("lstm", "soap")]
)
def test_a_run_that_stops_and_goes_on_has_the_bits_of_one_that_does_not(cell, optimizer):
    how = dataclasses.replace(RECIPE.optimization, optimizer=optimizer)
    recipe = dataclasses.replace(RECIPE, optimization=how)
    whole = [p.state for p in fit(*begin(recipe, cell), None, STOPS)]
    trainer, _, keys = begin(recipe, cell)
    saved = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), whole[0])
    *_, last = fit(trainer, saved, keys, None, STOPS)
    assert last.iteration == 12
    assert_same_bits(last.state, whole[-1])


def test_seeds_trained_together_have_the_bits_of_each_alone():
    *_, together = fit(*begin(seeds=(3, 4, 5)), None, STOPS)
    for index in (0, 2):
        *_, alone = fit(*begin(seeds=(3 + index,)), None, STOPS)
        of_seed = jax.tree.map(lambda leaf, i=index: leaf[i : i + 1], together.state)
        assert_same_bits(of_seed, alone.state)
        assert_same_bits(together.loss[index], alone.loss[0])
    assert (together.loss[0] != together.loss[1]).any()


def test_the_loss_of_the_oracle_s_targets_is_the_mean_over_what_may_come():
    process = DirichletCategorical((2.0, 1.0, 0.5), 2)
    model = learner_model(3, "lstm", 4)
    params = model.init(jax.random.key(0))
    recipe = dataclasses.replace(RECIPE, unroll=2)
    of_symbols = make_trainer(process, model, recipe).loss
    of_oracle = make_trainer(process, model, dataclasses.replace(recipe, targets="oracle")).loss

    def streams(symbol):  # one draw, then RESET
        return jnp.array([[symbol, 3]])

    p = jnp.array([0.2, 0.5, 0.3])
    given = Streams(streams(1), p[None, None])

    def of_the_draw(loss):  # what is asked at RESET depends on the symbol that came before it
        return jax.value_and_grad(lambda params, batch: loss(params, batch)[1])

    got = of_the_draw(of_oracle)(params, given)
    each = [of_the_draw(of_symbols)(params, streams(x)) for x in range(3)]
    wanted = jax.tree.map(lambda *leaves: sum(w * x for w, x in zip(p, leaves, strict=True)), *each)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7), got, wanted)


def test_targets_are_part_of_what_a_network_is_known_by():
    usual, oracle = make_recipe(), make_recipe(targets="oracle")
    assert usual == make_recipe(targets="symbols")
    assert "targets" not in usual.settings()  # the networks of before there were others are found
    assert oracle.settings() == usual.settings() | {"targets": "oracle"}
    with pytest.raises(ValueError, match="targets must be symbols or oracle; got 'both'"):
        make_recipe(targets="both")


def toy(optimizer=None, broken_at=None, asked=None, **changes):
    """Least squares in three unknowns; the batch of iteration ``broken_at``, from 0, holds a NaN."""

    def loss(params, batch):
        xs, ys = batch
        value = ((xs @ params["w"] - ys) ** 2).mean()
        return value, value

    def draw(data, key, start, n):
        if asked is not None:
            asked.append(n)

        def one(iteration):
            xs = jax.random.normal(jax.random.fold_in(key, iteration), (8, 3))
            ys = xs @ jnp.array([1.0, -2.0, 0.5])
            return xs, ys if broken_at is None else jnp.where(iteration == broken_at, jnp.nan, ys)

        return jax.vmap(one)(start + jnp.arange(n))

    trainer = Trainer(loss, optimizer or optax.sgd(0.05), draw, **changes)
    return trainer, trainer.init({"w": jnp.zeros((1, 3))}), jnp.stack([jax.random.key(0)])


def test_training_descends_and_reports_the_mean_loss_of_each_chunk():
    points = list(fit(*toy(), None, (50, 100)))
    each = np.array([p.loss[0] for p in fit(*toy(), None, range(1, 101))])
    assert [p.iteration for p in points] == [50, 100]
    for point, part in zip(points, np.split(each, 2), strict=True):
        np.testing.assert_allclose(point.loss[0], part.mean(), rtol=1e-5)
    np.testing.assert_allclose(points[-1].state.params["w"][0], [1.0, -2.0, 0.5], atol=1e-2)


def test_averaging_is_the_moving_average_without_its_start_up_bias():
    span = 5.0
    trainer, state, keys = toy(averaging=span)
    assert_same_bits(trainer.get_params(state), state.params)
    average = np.zeros(3)
    for n, progress in enumerate(fit(trainer, state, keys, None, range(1, 13)), start=1):
        average += (np.asarray(progress.state.params["w"][0], np.float64) - average) / span
        unbiased = average / (1 - (1 - 1 / span) ** n)
        got = trainer.get_params(progress.state)["w"][0]
        np.testing.assert_allclose(got, unbiased, rtol=2e-6, atol=1e-7)


def test_a_loss_that_is_not_finite_stops_with_the_iteration_and_the_last_finite_loss():
    losses = [p.loss[0] for p in fit(*toy(), None, range(1, 8))]
    for broken_at in (5, 4):  # within a chunk, and at its start
        run = fit(*toy(broken_at=broken_at), None, (4, 8))
        assert next(run).iteration == 4
        with pytest.raises(TrainingDiverged) as error:
            next(run)
        assert f"iteration {broken_at + 1};" in str(error.value)
        assert f"{losses[broken_at - 1]:.4f} nats" in str(error.value)


def test_a_loss_that_is_not_finite_from_the_start_says_so_without_a_made_up_number():
    with pytest.raises(TrainingDiverged, match=r"at iteration 1: .* look at the cell") as error:
        next(fit(*toy(broken_at=0), None, (4,)))
    assert "nan" not in str(error.value)
    assert "smaller" not in str(error.value)


def test_going_on_draws_no_more_batches_at_a_time_than_the_run_did():
    asked = []
    trainer, state, keys = toy(asked=asked)
    halfway = list(fit(trainer, state, keys, None, range(4, 41, 4)))[-2]
    asked.clear()
    assert [p.iteration for p in fit(trainer, halfway.state, keys, None, range(4, 41, 4))] == [40]
    assert set(asked) == {4}


def test_a_finished_run_goes_on_to_nothing():
    trainer, state, keys = toy()
    *_, last = fit(trainer, state, keys, None, (4,))
    assert list(fit(trainer, last.state, keys, None, (4,))) == []


# T=1, T=2 and T=inf.
EDGES = [e for e in DirichletCategorical.examples() if e.T in (1, 2, float("inf"))]
SMALL = make_recipe("coursework", iterations=6, batch_size=2, unroll=8)


@pytest.mark.parametrize("process", [k.examples()[0] for k in PROCESSES.values()] + EDGES, ids=repr)
def test_every_process_can_be_learnt_and_found_again(process, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "HELD_OUT_SYMBOLS", 800)
    points = []
    (first,) = train(process, SMALL, hidden=3, folder=tmp_path, on_point=points.append)
    assert points[-1].iteration == 6
    points.clear()
    (again,) = train(process, SMALL, hidden=3, folder=tmp_path, on_point=points.append)
    assert points == []
    assert_same_bits(first.params, again.params)
    assert_same_bits(first.history, again.history)
    assert list((tmp_path / "unfinished").glob("*")) == []


@pytest.mark.parametrize("targets", ["symbols", "oracle"])
@pytest.mark.parametrize(("cell", "optimizer"), [("gru", "adam"), ("lstm", "soap")])
def test_two_devices_that_share_batches_train_as_one_does(cell, optimizer, targets, monkeypatch):
    how = dataclasses.replace(RECIPE.optimization, optimizer=optimizer)
    recipe = dataclasses.replace(RECIPE, optimization=how, batch_size=8, targets=targets)

    def finish():
        trainer, state, keys = begin(recipe, cell, seeds=(0, 1))
        *_, last = fit(trainer, state, keys, None, (4, 8))
        return trainer, last

    trainer, shared = finish()
    assert trainer.find_pair().size == 2
    assert {len(leaf.devices()) for leaf in jax.tree.leaves(shared.state)} == {1}
    assert_same_bits(finish()[1].state, shared.state)
    monkeypatch.setattr("autoregressive.training.find_pair", lambda: None)
    trainer, alone = finish()
    assert trainer.find_pair() is None
    np.testing.assert_allclose(shared.loss, alone.loss, rtol=1e-5)
    for one, other in zip(
        jax.tree.leaves(alone.state.params), jax.tree.leaves(shared.state.params), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("batch_size", [4, 9])
def test_a_batch_that_is_small_or_odd_is_not_shared(batch_size):
    trainer, *_ = begin(dataclasses.replace(RECIPE, batch_size=batch_size))
    assert trainer.find_pair() is None


DEVICES = """
import jax
from autoregressive.devices import find_pair, list_devices, take_cpu_for_two
if {begun}:
    jax.numpy.zeros(1)
take_cpu_for_two()
print(len(jax.devices()), len(list_devices()), find_pair() and find_pair().size)
"""


@pytest.mark.parametrize(
    ("begun", "variables", "found"),
    [
        (False, {}, "2 1 2"),
        (True, {}, "1 1 None"),
        (False, {"JAX_NUM_CPU_DEVICES": "1"}, "1 1 None"),
        (False, {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}, "3 1 2"),
    ],
    ids=str,
)
def test_a_cpu_is_taken_for_two_devices_unless_it_is_too_late_or_said_otherwise(
    begun, variables, found
):
    left = {k: v for k, v in os.environ.items() if k not in ("JAX_NUM_CPU_DEVICES", "XLA_FLAGS")}
    out = subprocess.run(
        [sys.executable, "-c", DEVICES.format(begun=begun)],
        env=left | {"JAX_PLATFORMS": "cpu"} | variables,
        capture_output=True,
        text=True,
    )
    assert out.stdout.strip() == found, out.stderr


def test_several_seeds_are_cached_one_by_one(tmp_path):
    (alone,) = train(PROCESS, SMALL, seeds=(1,), hidden=3, folder=tmp_path)
    both = train(PROCESS, SMALL, seeds=(0, 1), hidden=3, folder=tmp_path)
    fresh = train(PROCESS, SMALL, seeds=(0, 1), hidden=3)
    assert [learner.settings["seed"] for learner in both] == [0, 1]
    assert_same_bits(both[1].params, alone.params)
    for cached, trained in zip(both, fresh, strict=True):
        assert_same_bits(cached.params, trained.params)


def test_a_file_under_another_networks_name_is_not_taken_for_it(tmp_path, caplog):
    first, second = train(PROCESS, SMALL, seeds=(0, 1), hidden=3, folder=tmp_path)
    paths = [network_path(tmp_path, learner_settings(PROCESS, SMALL, "lstm", 3, s)) for s in (0, 1)]
    paths[0].replace(paths[1])
    (again,) = train(PROCESS, SMALL, seeds=(1,), hidden=3, folder=tmp_path)
    assert "is another network" in caplog.text
    assert_same_bits(again.params, second.params)
    assert (np.asarray(again.params["cell.b"]) != np.asarray(first.params["cell.b"])).any()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_keep_the_budget_they_are_given(name):
    assert RECIPES[name].symbols == 6_400_000
    assert make_recipe(name, budget=100_000).symbols <= 100_000
    assert make_recipe(name, iterations=7).iterations == 7
    for iterations in (1, 2, 50):
        make_recipe(name).optimization.transformation(iterations)


# The command, which after every point of the curves says so and waits for a line on its stdin.
WAITING = """
import signal
import sys
from analysis.cli import main
from autoregressive import resume
from meta_learning import recipes

# A shell's background job, such as a test run may be, starts with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
recipes._SYMBOLS_PER_POINT = 64
resume.SAVE_EVERY_S, resume._SAVING_SHARE = 0.0, float("inf")
keep = resume.Unfinished.keep

def keep_and_wait(self, *state, **how):
    keep(self, *state, **how)
    print("kept", file=sys.stderr, flush=True)
    sys.stdin.readline()

resume.Unfinished.keep = keep_and_wait
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    """The network that the command leaves when nothing stops it."""
    folder = tmp_path_factory.mktemp("left-alone")
    run = subprocess.run(
        [sys.executable, "-c", WAITING, *TRAIN, "--json"],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    (path,) = (folder / "networks").iterdir()
    return checkpoint.load(path)


def environment(folder):
    return os.environ | {"META_LEARN_CACHE": str(folder), "JAX_PLATFORMS": "cpu"}


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_stopped_command_goes_on_to_the_same_bits(sent, code, cache, left_alone):
    command = [sys.executable, "-c", WAITING, *TRAIN, "--json"]
    with subprocess.Popen(
        command,
        env=environment(cache),
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stderr.readline() == "kept\n"
        run.stdin.write("\n")
        run.stdin.flush()
        assert run.stderr.readline() == "kept\n"
        run.send_signal(sent)
        stdout, stderr = run.communicate()
    assert run.returncode == code
    assert stdout == ""
    assert "Traceback" not in stderr
    assert len(list((cache / "unfinished").glob("*.safetensors"))) == 1
    assert not (cache / "networks").exists()

    done = subprocess.run(
        command, env=environment(cache), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "going on from iteration 2" in done.stderr
    (path,) = (cache / "networks").iterdir()
    tensors, header = checkpoint.load(path)
    assert header == left_alone[1]
    assert_same_bits(tensors, left_alone[0])
    assert list((cache / "unfinished").iterdir()) == []
