"""Estimated posteriors against exact ones: enumeration, and models that forward-backward solves."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from inpainted import PLACES, masked, naive_log_prob, network
from running import groups_of, refused, run

from analysis.images.chains import CHAINS, diagnose
from analysis.images.estimation import Effort, estimate
from analysis.images.estimation_results import document, means
from autoregressive.images.masked import MaskedImages
from autoregressive.images.masks import draw_mask
from autoregressive.pixels.evidence import Evidence, log_mean, plan, settle
from autoregressive.pixels.inpainting import posteriors

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
import raster_chains

MISSING = [1, 2, 3, 4, 5, 6, 8, 9, 10]
SIZES = (32, 128, 512)
EFFORT = Effort(particles=8, sweeps=500, target_error=0.02)


@pytest.fixture(scope="module")
def net():
    made = network()
    return replace(made, params=jax.tree.map(lambda leaf: 2.5 * leaf, made.params))


@pytest.fixture(scope="module")
def images():
    truth = np.random.default_rng(0).integers(0, 2, (8, PLACES)).astype(np.uint8)
    return MaskedImages(masked(truth, MISSING).astype(np.int8), truth)


@pytest.fixture(scope="module")
def estimated(net, images):
    return estimate(net, images, EFFORT, 0)


def test_estimates_are_those_of_enumeration_to_their_errors(net, images, estimated):
    tables = posteriors(net, images.masked)
    distances = []
    for one, table, image in zip(estimated, tables, images.truth, strict=True):
        assert one.evidence.standard_error <= EFFORT.target_error
        log_z = np.logaddexp.reduce(-table.nll)  # one pixel before the missing ones: x_0
        distances.append((one.evidence.mean - log_z) / (one.evidence.standard_error + 1e-9))
        index = table.index(image[MISSING])
        assert one.log_posterior_truth == pytest.approx(
            table.log_probs[index] + log_z - one.evidence.mean, abs=1e-9
        )
        assert one.chains.converged.all()
        off = np.abs(one.chains.marginals - table.marginals) / one.chains.errors
        assert off.max() < 4.5
        assert one.best.tolist() == table.best.tolist()
        assert one.nll_best == pytest.approx(table.nll.min(), abs=1e-9)
        assert one.nll_truth == pytest.approx(table.nll[index], abs=1e-9)
        assert one.samples.shape == (5, len(MISSING))
    assert np.abs(distances).max() < 4.5
    assert np.std(distances) > 0.1


def test_runs_that_scatter_leave_marginals_to_chains(net, images, monkeypatch):
    monkeypatch.setattr("analysis.images.estimation.LEAST_RUNS", 1_000)
    some = MaskedImages(images.masked[:2], images.truth[:2])
    for one, table in zip(
        estimate(net, some, EFFORT, 0), posteriors(net, some.masked), strict=True
    ):
        assert one.chains.sweeps > 0
        assert one.chains.runs == 0
        assert one.chains.converged.all()
        assert (np.abs(one.chains.marginals - table.marginals) / one.chains.errors).max() < 4.5


def test_a_model_with_known_posteriors_is_met():
    shape = (8, 8)
    chain = raster_chains.hidden_markov(64)
    truth = raster_chains.draw(chain, 3, 0)
    keep = np.stack([draw_mask(m, 1, shape, 1)[0] for m in ("square:5", "random:32", "lower-half")])
    images = MaskedImages(np.where(keep, truth.astype(np.int8), np.int8(-1)), truth)
    found = estimate(chain, images, Effort(32, 400, 0.05), 0)
    for one, image in zip(found, images.masked, strict=True):
        log_z, marginals = raster_chains.exact(chain, image)
        assert abs(one.evidence.mean - log_z) < 4.5 * one.evidence.standard_error + 1e-7
        assert (np.abs(one.chains.marginals - marginals) < 5 * one.chains.errors).mean() > 0.97
        assert one.evidence.standard_error <= 0.05


@pytest.mark.parametrize("model", ["markov", "hidden_markov"])
def test_the_exact_answers_are_those_of_naive_sums(model):
    chain = getattr(raster_chains, model)(10)
    image = np.array([0, -1, 1, -1, -1, 0, -1, 1, 1, -1], np.int8)
    (table,) = posteriors(chain, image[None])
    log_z, marginals = raster_chains.exact(chain, image)
    assert log_z == pytest.approx(np.logaddexp.reduce(-table.nll), abs=1e-9)
    np.testing.assert_allclose(marginals, table.marginals, atol=1e-9)


def test_elsewhere_results_have_the_same_bits(net, images, estimated):
    elsewhere = estimate(net, images, EFFORT, 0, workers=1)
    assert document(elsewhere, EFFORT, {}) == document(estimated, EFFORT, {})


def test_what_has_not_converged_is_not_given(net, images, estimated):
    two, strict = MaskedImages(images.masked[:2], images.truth[:2]), Effort(8, 50, 1e-9)
    unreached = estimate(net, two, strict, 0)
    # So small an image converges whatever the effort; one that has not is made from it.
    few = [
        replace(one, chains=replace(one.chains, ess=np.minimum(one.chains.ess, 399.0)))
        for one in unreached
    ]
    found = document(few, strict, means(few))
    assert found["target_reached"] == 0
    assert found["converged"] == 0
    row = found["per_image"][0]
    assert row["converged"] is False
    assert row["ess"] < 400
    assert None in row["marginals"]
    assert None in row["marginals_se"]
    logs = np.full(few[0].evidence.log_estimates.shape, -9.0)
    logs[0] = 0.0  # one run alone met what counts
    wide = replace(few[0], evidence=replace(few[0].evidence, log_estimates=logs))
    found = document([wide], EFFORT, means([wide]))
    assert found["per_image"][0]["log_evidence"] is None
    assert found["per_image"][0]["log_posterior_truth"] is found["log_posterior_truth"] is None


def test_the_best_completion_is_never_worse_than_the_truth(net, images, estimated):
    for one, truth in zip(estimated, images.truth, strict=True):
        assert one.nll_best <= one.nll_truth
        whole = truth.copy()
        whole[MISSING] = one.best
        before = np.log(net.first_pixel if whole[0] else 1 - net.first_pixel)
        assert one.nll_best == pytest.approx(before - naive_log_prob(net, whole[None])[0], abs=1e-9)


def test_log_means_have_the_error_of_a_mean():
    rng = np.random.default_rng(0)
    logs = rng.normal(-700, 0.3, (4_000, 16))
    found = np.array([log_mean(row) for row in logs])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.05)
    made = [runs_of(row, 1).ci95 for row in logs[:1000]]
    inside = [low <= -700 + 0.045 <= high for low, high in made]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def runs_of(logs, size):
    drawn = np.zeros((len(logs), 1, 1), np.int8)
    return Evidence(logs, size, np.zeros((len(logs), 1)), drawn, drawn[0, 0], 0.0)


def lognormal_runs(rng, constant):
    """Sets of runs whose log Z^ has variance ``constant`` / S, with Z = 1."""

    def fresh(size):
        spread = (constant / size) ** 0.5
        return runs_of(rng.normal(-(spread**2) / 2, spread, 16), size)

    return fresh


@pytest.mark.parametrize("constant", [1, 6, 15, 25, 60])
def test_intervals_keep_their_rate_whenever_runs_stop(constant):
    """From the easiest images to the hardest that reach the target."""
    fresh = lognormal_runs(np.random.default_rng(constant), constant)
    found = [settle(fresh, SIZES, 0.05) for _ in range(1_000)]
    inside = np.mean([low <= 0 <= high for low, high in (one.ci95 for one in found)])
    assert inside == pytest.approx(0.95, abs=0.02)
    assert np.mean([one.standard_error <= 0.05 for one in found]) > 0.9
    assert np.median([one.spread for one in found]) <= 0.35


def test_an_answer_is_of_runs_that_did_not_decide_on_it():
    seen = []
    draw = lognormal_runs(np.random.default_rng(0), 40.0)

    def fresh(size):
        seen.append(draw(size))
        return seen[-1]

    found = settle(fresh, SIZES, 0.1)
    assert not np.isin(found.log_estimates, seen[0].log_estimates).any()
    later = np.concatenate([one.log_estimates for one in seen if one.particles == found.particles])
    assert np.isin(found.log_estimates, later).all()


def test_one_run_far_from_the_rest_does_not_ask_for_everything():
    """The next set has four times the particles at most, and no later one has fewer again."""
    rng = np.random.default_rng(0)
    sizes = []

    def fresh(size):
        sizes.append(size)
        logs = rng.normal(0, 0.1 / len(sizes), 16)
        if len(sizes) == 1:
            logs[3] += 3.0
        return runs_of(logs, size)

    found = settle(fresh, (32, 64, 128, 256, 512), 0.05)
    assert sizes == [32, 128, 128]
    assert found.particles == 128


@pytest.mark.parametrize("spread", [0.01, 0.2, 0.5, 3.0])
def test_a_plan_asks_for_more_than_what_missed_the_target(spread):
    target = 0.05
    rng = np.random.default_rng(1)
    for size in SIZES:
        for sets in range(1, 5):
            logs = spread * rng.normal(size=16 * sets)
            trial = runs_of(logs, size)
            particles, number = plan(trial, SIZES, target)
            assert particles in SIZES
            assert 1 <= number <= 4
            if trial.standard_error > target:
                assert particles * number > size * sets or (particles, number) == (512, 4)


def test_a_rare_value_has_the_error_of_its_few_visits():
    """Chains that stay where they are for ten sweeps: a pixel of probability 0.015 comes up once or
    twice or never, and its own scatter tells nothing then."""
    rng = np.random.default_rng(2)
    p = np.array([0.5, 0.3, 0.4] + [0.015] * 30)
    rows = np.repeat(rng.random((CHAINS, 25, len(p))) < p, 10, axis=1).astype(float)
    mean, error, _, _ = diagnose(rows)
    never = (mean == 0) & (p < 0.1)
    assert 3 < never.sum() < 12
    assert (np.abs(mean - p) <= 1.96 * error).mean() >= 0.93
    assert (error[never] < 0.02).all()


def test_quantities_that_never_move_have_converged():
    rows = np.random.default_rng(0).random((CHAINS, 400, 3))
    rows[..., 1] = 0.25
    rows[..., 2] = (rows[..., 2] + np.arange(CHAINS)[:, None]) / (CHAINS + 1)
    mean, error, ess, rhat = diagnose(rows)
    assert (mean[1], ess[1], rhat[1]) == (0.25, 1600, 1.0)
    assert 0 < error[1] < 0.03
    assert rhat[0] < 1.01 < 1.1 < rhat[2]
    assert ess[2] < 400 < ess[0]
    constant = np.zeros((CHAINS, 400, 1)) + np.arange(CHAINS)[:, None, None] / CHAINS
    assert not np.isfinite(diagnose(constant)[3]).any() or diagnose(constant)[3][0] > 1.01


@pytest.fixture(scope="module")
def saved(net, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimated")
    settings = {"cell": "lstm", "hidden": 6, "readout": [5], "data": {"name": "noise"}}
    replace(net, settings=settings | {"places": PLACES}).save(folder / "net.safetensors")
    np.save(folder / "images.npy", np.stack([images.masked, images.truth])[:, :3])
    return folder


def test_the_command_estimates(saved, tmp_path):
    arguments = [saved / "images.npy", "--checkpoint", saved / "net.safetensors", "--estimate"]
    result = run("inpaint", *arguments, "--particles", 8, "--sweeps", 500, "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    assert {"completions.png", "errors.svg", "inpainting.nc", "report.html"} <= {
        p.name for p in tmp_path.iterdir()
    }
    assert groups_of(tmp_path / "inpainting.nc") >= {"marginals", "samples", "evidence"}
    found = json.loads((tmp_path / "inpainting.json").read_text())
    assert found["images"] == 3
    assert found["per_image"][0]["log_evidence"]["se"] <= 0.05
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80


def test_options_of_estimates_need_one(saved):
    exact = [saved / "images.npy", "--checkpoint", saved / "net.safetensors"]
    assert "add --estimate" in refused("inpaint", *exact, "--particles", 8)
    whole = saved / "whole.npy"
    array = np.load(saved / "images.npy")
    array[0, 1] = array[1, 1]
    np.save(whole, array)
    message = refused("inpaint", whole, *exact[1:], "--estimate")
    assert "image 1 has no missing pixel" in message
