"""The examples of docs/extending: members of one's own obey the laws and serve every command."""

from __future__ import annotations

import itertools
import json
import math
import runpy
import sys
from fractions import Fraction

import jax
import laws
import numpy as np
import pytest
import xarray
from conftest import TINY, TRAIN
from enumeration import assert_as_by_hand
from registries import FOLDER, REGISTRIES, registries_as_they_were
from running import run

from analysis.arviz_versions import arviz
from analysis.comparison.metrics import METRICS, Metric
from autoregressive.images.masks import draw_mask
from autoregressive.scores import log_loss
from meta_learning import DirichletCategorical
from meta_learning.learner import INIT
from meta_learning.processes import Streams
from meta_learning.recipes import make_recipe
from meta_learning.references import ladder
from meta_learning.training import train


def load(name):
    """What an example defines."""
    return runpy.run_path(str(FOLDER / f"{name}.py"))


with registries_as_they_were():
    Sticky = load("sticky")["Sticky"]
    STICKY = Sticky((2, 1.5), 3, 5), Sticky((0.5, 3), 2, math.inf)
    UGRNN = load("ugrnn")["UGRNN"]
    FORGETTING = load("forgetting")
    total_variation = load("total_variation")["total_variation"]
    load("checkerboard")
    load("stripes")
    ADDED = [dict(registry) for registry in REGISTRIES]


@pytest.fixture
def added():
    """The registries with every example in them."""
    with registries_as_they_were():
        for registry, members in zip(REGISTRIES, ADDED, strict=True):
            registry.update(members)
        yield


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs an example as ``python NAME.py ARGUMENTS`` does. Returns its standard output."""

    def as_program(name, *arguments):
        path = str(FOLDER / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        with registries_as_they_were(), pytest.raises(SystemExit) as end:
            runpy.run_path(path, run_name="__main__")
        out, err = capsys.readouterr()
        assert not end.value.code, err
        return out

    return as_program


def rising(a, n):
    """a (a + 1) .. (a + n - 1) in exact fractions."""
    return math.prod((Fraction(a) + i for i in range(n)), start=Fraction(1))


def sticky(process, draws):
    """p(draws) in exact fractions: a ratio of Beta functions over the orders of equal runs."""
    K, (a, b) = process.symbols, process.stay
    repeats = sum(x == y for x, y in itertools.pairwise(draws))
    moves = len(draws) - 1 - repeats
    of_runs = rising(a, repeats) * rising(b, moves) / rising(a + b, repeats + moves)
    return of_runs / (K * (K - 1) ** moves)


@pytest.mark.parametrize("law", laws.OF_PROCESSES, ids=lambda law: law.__name__)
@pytest.mark.parametrize("process", STICKY, ids=repr)
def test_the_process_obeys_the_laws(added, process, law):
    law(process)


def test_a_process_of_ones_own_has_the_whole_exact_gap():
    for process, draws in ((STICKY[0], None), (STICKY[1], 5)):
        assert_as_by_hand(process, draws, sticky)


@pytest.mark.parametrize("process", [*STICKY, Sticky(T=1), Sticky(T=2)], ids=repr)
def test_the_process_agrees_with_exact_fractions(process):
    laws.every_short_history_agrees_with_exact_fractions(process, sticky)


@pytest.mark.parametrize("symbols", [1, 2.5, math.inf, math.nan])
def test_the_process_checks_its_arguments(symbols):
    with pytest.raises(ValueError, match="symbols must be a whole number"):
        Sticky(symbols=symbols)


def test_the_model_scores_what_it_is_given():
    """The NumPyro model conditioned on a task: its density over the prior's is p(draws | s)."""
    from numpyro.infer.util import log_density

    process = Sticky((2, 1.5), 3, 6)
    draws = np.array([2, 2, 0, 1, 1])
    # NumPyro's densities add axes in silence.
    with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
        s = np.array([[0.3]])
        joint, _ = log_density(process.model, (draws[:, None, None],), {}, {"s": s})
        prior = jax.scipy.stats.beta.logpdf(0.3, 2, 1.5)
    rows = process.log_predictive_given_latent(Streams(np.append(draws, 3)[None], s))
    scored = np.take_along_axis(rows[0, :5], draws[:, None], -1).sum()
    assert float(joint - prior) == pytest.approx(scored, rel=1e-9)


@pytest.fixture
def as_users():
    """Cells of users may add axes in silence, as NumPy and JAX do."""
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("law", laws.OF_RECURRENT_CELLS, ids=lambda law: law.__name__)
def test_the_recurrent_cell_obeys_the_laws(as_users, law):
    law(UGRNN)


@pytest.mark.parametrize("law", laws.OF_CELLS, ids=lambda law: law.__name__)
def test_the_cell_obeys_the_laws(as_users, added, law):
    law("ugrnn")


def test_the_image_set_obeys_the_law(added):
    laws.image_sets_are_the_same_each_time_and_follow_the_threshold("stripes")


def test_pixel_networks_train_on_the_image_set(tmp_path):
    small = ("--epochs", "1", "--batch-size", "250", "--hidden", "2", "--readout", "2", "--quiet")
    command = ("--load", FOLDER / "stripes.py", "pixels", "train", "--data", "stripes", *small)
    with registries_as_they_were():
        result = run(*command, "--threshold", "0.3", "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)["settings"]["data"]
    assert (data["name"], data["shape"], data["threshold"]) == ("stripes", [8, 12], 0.3)


def test_the_mask_obeys_the_law_and_is_a_checkerboard(added):
    laws.masks_leave_most_pixels_and_miss_some_in_every_image("checkerboard")
    for keep in draw_mask("checkerboard:4", 20, (28, 28), 0):
        rows, columns = np.nonzero(~keep.reshape(28, 28))
        assert len(rows) == 8
        assert np.ptp(rows) == np.ptp(columns) == 3
        assert len(set((rows + columns) % 2)) == 1


def test_the_reference_obeys_the_laws_of_its_process(added):
    process = DirichletCategorical((10, 1, 1), 5)
    assert "forgetting" in ladder(process, process)
    laws.rows_are_normalised_float64_and_know_RESET(process)
    laws.changing_a_symbol_changes_no_row_up_to_it(process)
    laws.the_oracle_is_no_worse_and_references_no_better_than_bayes(process)


def test_the_reference_fades_by_age():
    process = DirichletCategorical((1, 1), 5)
    rows = FORGETTING["Forgetting"](process).log_predictive([0, 0, 1, 1, 2, 1, 0, 1, 0, 2])
    old = 0.9**2 + 0.9 + 0.5, 1.5  # two 0s and a 1 before the fourth place
    np.testing.assert_allclose(np.exp(rows[3, :2]), np.array(old) / sum(old), rtol=1e-12)
    np.testing.assert_allclose(np.exp(rows[6, :2]), [0.25, 0.75], rtol=1e-12)


def test_the_metric_obeys_the_law_and_is_the_largest_difference_over_sets():
    laws.metrics_are_numbers_of_each_place_alone(ADDED[-1]["total_variation"])
    p, q = np.random.default_rng(0).dirichlet(np.ones(3), 2)
    sets = [[k for k in range(3) if code >> k & 1] for code in range(8)]
    largest = max(p[s].sum() - q[s].sum() for s in sets)
    found = total_variation(np.log(q)[None, None], np.log(p)[None, None], None)
    assert found[0, 0] == pytest.approx(largest, rel=1e-12)


# ArviZ 0.23 warns once a day at import that it will change.
@pytest.mark.filterwarnings("ignore:(?s).*ArviZ:FutureWarning")
def test_the_metric_has_its_own_unit_in_a_sweep_and_in_a_comparison(added, tmp_path):
    """A name that begins as that of another quantity says nothing of the unit."""
    METRICS["loss_of_bits"] = Metric(
        "Loss", lambda q, b, came: log_loss(q, came) / math.log(2), "bits"
    )
    small = ("--alpha", "10,1,1", "--T", "4", *TINY)
    assert run("sweep", *small, "--out", tmp_path / "s").exit_code == 0
    assert run("compare", *small, "--out", tmp_path / "c").exit_code == 0
    units = {
        "total_variation": "1 (probability)",
        "loss_of_bits": "bits",
        "loss": "nats a drawn symbol",
        "leak": "1 (probability)",
        "gap": "nats a drawn symbol",
    }
    with xarray.open_datatree(tmp_path / "s" / "sweep.nc", engine="h5netcdf") as swept:
        for name, unit in units.items():
            assert swept["network"][name].attrs["units"] == unit
            of_network = name if name == "leak" else f"{name}_network"
            assert swept["intervals"][of_network].attrs["units"] == unit
        assert swept["intervals"]["gap_closed"].attrs["units"] == "1 (share)"
        assert swept["network"]["total_variation"].attrs["long_name"] == "Total variation to Bayes"
    with xarray.open_datatree(tmp_path / "c" / "comparison.nc", engine="h5netcdf") as compared:
        for name, unit in units.items():
            assert compared["network"][name].attrs["units"] == unit
    page = (tmp_path / "c" / "report.html").read_text()
    assert "Loss (bits), mean over drawn symbols" in page
    assert "Total variation to Bayes, mean over drawn symbols" in page


@pytest.mark.parametrize("name", ["gap", "leak", "symbols"])
def test_a_metric_cannot_take_the_name_of_another_quantity(added, name):
    METRICS[name] = ADDED[-1]["total_variation"]
    result = run("compare", "--alpha", "10,1,1", "--T", "4", *TINY, "--json")
    assert result.exit_code == 1
    assert f"a metric cannot be called {name}" in result.stderr


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_metrics_obey_the_law(metric):
    laws.metrics_are_numbers_of_each_place_alone(metric)


# ArviZ 0.23 warns once a day at import that it will change.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:(?s).*ArviZ:FutureWarning")
def test_everything_at_once_in_one_report(added, tmp_path):
    out = tmp_path / "out"
    result = run(
        "compare", "--process", "sticky", "--param", "T=5", "--cell", "ugrnn", *TINY, "--out", out
    )
    assert result.exit_code == 0, result.stderr
    for text in (result.stdout, (out / "report.html").read_text()):
        for name in ("sticky (stay=8,2", "UGRNN-4", "forgetting"):
            assert name in text
    assert "Total variation to Bayes" in (out / "report.html").read_text()
    found = json.loads((out / "comparison.json").read_text())
    assert found["loss"].keys() == found["total_variation"].keys()
    assert found["gap"]["references"].keys() >= {"forgetting", "memoryless"}
    assert found["total_variation"]["bayes"] == 0
    for name, (low, high) in found["total_variation_ci95"].items():
        assert low <= found["total_variation"][name] <= high
        # Pinsker's inequality, over the streams' means too: the root is concave.
        if name != "oracle":
            gap = found["gap"]["references"].get(name, found["gap"]["mean"])
            assert found["total_variation"][name] <= math.sqrt(gap / 2) + 1e-12
    data = arviz().from_netcdf(out / "comparison.nc")
    scored = data["references"]["total_variation"]
    assert scored.dims == ("predictor", "stream")
    of_forgetting = scored.sel(predictor="forgetting").values
    assert of_forgetting.mean() == pytest.approx(found["total_variation"]["forgetting"])
    network = out / "network-seed0.safetensors"
    again = run("compare", "--checkpoint", network, "--streams", 60, "--json", "--quiet")
    assert json.loads(again.stdout)["total_variation"] == found["total_variation"]


def test_a_metric_takes_no_name_of_another_result(added, filled_cache):
    METRICS["gap"] = METRICS["brier"]
    result = run(*TRAIN, "--json", "--quiet")
    assert result.exit_code == 1
    assert "a metric cannot be called gap" in result.stderr


@pytest.mark.slow
def test_the_cell_serves_audit_and_hidden(script, tmp_path):
    out = tmp_path / "out"
    script("ugrnn", *TRAIN, "--cell", "ugrnn", "--out", out, "--quiet")
    assert "python ugrnn.py compare" in (out / "report.html").read_text()
    network = out / "network-seed0.safetensors"
    # A state and an input of one's own cell may be broadcast as JAX does by itself.
    with jax.numpy_rank_promotion("allow"):
        audit = script(
            "ugrnn",
            "audit",
            "--checkpoint",
            network,
            "--only-gap",
            "--tasks",
            20,
            "--json",
            "--quiet",
        )
        assert json.loads(audit)["gap"]["mean"] > 0
        hidden = script(
            "ugrnn", "hidden", "--checkpoint", network, "--streams", 60, "--json", "--quiet"
        )
    assert json.loads(hidden)["test"]["streams"] == 60
    # Without the example, the network is refused in one line.
    refused = run("audit", "--checkpoint", network)
    assert refused.exit_code == 1
    assert "unknown cell 'ugrnn'" in refused.stderr


def test_the_process_serves_streams_and_compare(script, tmp_path):
    path = tmp_path / "streams.npz"
    arguments = ("--process", "sticky", "--param", "stay=8,2", "--param", "symbols=3", "--T", 5)
    script("sticky", "streams", *arguments, "--streams", 60, "--out", path, "--quiet")
    with np.load(path) as file:
        assert json.loads(str(file["settings"]))["process"]["stay"] == [8, 2]
    found = json.loads(script("sticky", "compare", *arguments, *TINY, "--json", "--quiet"))
    assert found["loss"]["oracle"] < found["loss"]["bayes"] < found["loss"]["memoryless"]


def test_the_mask_serves_inpaint(script, tmp_path):
    found = json.loads(
        script(
            "checkerboard",
            "inpaint",
            "--mask",
            "checkerboard:3",
            "--data",
            "glyphs",
            "--images",
            2,
            "--json",
            "--quiet",
        )
    )
    assert found["missing"] == [5, 5]


def test_reference_and_metric_serve_compare(script, filled_cache):
    found = json.loads(script("forgetting", *TRAIN, "--json", "--quiet"))
    assert found["gap"]["references"]["forgetting"] > 0
    found = json.loads(script("total_variation", *TRAIN, "--json", "--quiet"))
    assert 0 < found["total_variation"]["network"] < 1


def test_the_loop_by_hand_gives_the_numbers_of_fit():
    process = DirichletCategorical((10, 1, 1), 20)
    recipe = make_recipe("coursework", iterations=30)
    _, params = load("training_loop")["train_by_hand"](process, recipe, hidden=8)
    (learner,) = train(process, recipe, hidden=8)
    assert params.keys() == learner.params.keys()
    first = learner.model.init(jax.random.fold_in(jax.random.key(0), INIT))
    for name, value in params.items():
        assert np.abs(value - first[name]).max() > 0.01  # far more than they differ by
        np.testing.assert_allclose(value, learner.params[name], rtol=0, atol=1e-6)
