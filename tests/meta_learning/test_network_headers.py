"""Headers of both kinds of network are read by one code: what is no such network is refused in one
line, whatever JSON stands there, and before memory is taken for it."""

from __future__ import annotations

import json
import math
import resource

import jax
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from running import refused, run

from autoregressive import checkpoint
from autoregressive.cells import CELLS
from autoregressive.checkpoint import CheckpointError
from autoregressive.pixels.network import PixelNetwork, pixel_model
from meta_learning.learner import Learner, learner_model

PROCESS = {"name": "dirichlet-categorical", "alpha": [1.0, 1.0, 1.0], "T": 4}
RECIPE = {"name": "coursework", "iterations": 6, "batch_size": 4, "unroll": 8, "epochs": 1}


def learner():
    model = learner_model(3, "lstm", 4)
    made = {
        "num_symbols": 3,
        "cell": "lstm",
        "hidden": 4,
        "seed": 0,
        "process": PROCESS,
        "recipe": RECIPE,
        "versions": {},
    }
    return Learner(model, model.init(jax.random.key(0)), 3, made)


def pixels():
    model = pixel_model("gru", 4, (5, 4))
    made = {
        "places": 784,
        "cell": "gru",
        "hidden": 4,
        "readout": [5, 4],
        "seed": 0,
        "recipe": RECIPE,
        "data": {"name": "glyphs", "images": 7},
        "versions": {},
    }
    return PixelNetwork(model, model.init(jax.random.key(0)), 784, 0.25, made)


@pytest.fixture(scope="module", params=[learner, pixels])
def saved(request, tmp_path_factory):
    """A kind of network, the file of one, its tensors and its header."""
    network = request.param()
    path = tmp_path_factory.mktemp("headers") / "network.safetensors"
    network.save(path)
    return type(network), path, *checkpoint.load(path)


def load(saved, header):
    kind, path, tensors, _ = saved
    changed = path.with_name("changed.safetensors")
    checkpoint.save(changed, tensors, header)
    try:
        return kind.load(changed)
    except CheckpointError as error:
        said = str(error)
    assert said.startswith(str(changed))
    assert "\n" not in said
    assert len(said) < len(str(changed)) + 250
    return None


SIZES = {Learner: ("num_symbols", "hidden"), PixelNetwork: ("places", "hidden")}
NO_SIZES = (10**30, 2**31, 0, -1, 32.9, 4.0, "4", True, None, [4], {"4": 4}, "", 10**4000)


@pytest.mark.parametrize("value", NO_SIZES, ids=lambda v: repr(v)[:10])
def test_what_is_no_size_is_refused(saved, value):
    kind, _, _, header = saved
    for name in SIZES[kind]:
        assert load(saved, header | {name: value}) is None
    if kind is PixelNetwork:
        for readout in (value, [5, value]):
            if readout != [4]:
                assert load(saved, header | {"readout": readout}) is None


def test_sizes_that_the_file_does_not_hold_take_no_memory(saved):
    kind, _, _, header = saved
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for cell in CELLS:
        assert load(saved, header | {"cell": cell, "hidden": 2**31 - 1}) is None
    if kind is PixelNetwork:
        assert load(saved, header | {"readout": [2**31 - 1] * 2}) is None
        assert load(saved, header | {"readout": [1] * 100_000}) is None
    else:
        assert load(saved, header | {"num_symbols": 2**31 - 1}) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), anything)
@example(None, 2**70)
def test_any_value_anywhere_is_refused_or_the_same_network(saved, data, value):
    """A header that says something else either is refused, or what it says decides no size."""
    kind, _, _, header = saved
    whole = load(saved, header)
    for place in [data.draw(st.sampled_from(sorted(header)))] if data else sorted(header):
        inner = header[place]
        changes = [{place: value}]
        if isinstance(inner, dict):
            changes += [{place: inner | {part: value}} for part in inner]
        for change in changes:
            network = load(saved, header | change)
            if network is None:
                continue
            # Saved again, it is what was loaded: no value was rounded or read as another.
            assert network.model == whole.model
            assert {k: network.settings[k] for k in change if k != "first_pixel"} == {
                k: v for k, v in change.items() if k != "first_pixel"
            }
            assert type(network.settings.get("seed", 0)) is int
            if kind is PixelNetwork:
                assert 0 < network.first_pixel < 1


@pytest.mark.parametrize("name", ["kind", "cell", "hidden"])
def test_a_part_that_is_missing_is_named(saved, name):
    kind, path, tensors, header = saved
    without = path.with_name("without.safetensors")
    checkpoint.save(without, tensors, {k: v for k, v in header.items() if k != name})
    with pytest.raises(CheckpointError, match="expected a" if name == "kind" else "is missing"):
        kind.load(without)


@pytest.mark.parametrize(
    ("held", "use"),
    [
        ("meta-learner", "; it is a network of symbols, for compare, audit or hidden with --ch"),
        (
            "pixels",
            "; it is a network of images, for pixels evaluate FILE, pixels continue FILE or",
        ),
        ("unfinished", "; it is a training that was stopped: give its command again"),
        ("tensors", "; try a file that meta-learn trained"),
        (["pixels"], "; try a file that meta-learn trained"),
        (None, "; try a file that meta-learn trained"),
    ],
    ids=str,
)
def test_another_kind_of_file_is_told_what_it_is_for(saved, held, use):
    kind, path, tensors, header = saved
    if held == kind.kind:
        return
    other = path.with_name("other.safetensors")
    checkpoint.save(other, tensors, {**header, "kind": held})
    with pytest.raises(CheckpointError) as refusal:
        kind.load(other)
    said = str(refusal.value)
    assert said.startswith(f"{other} holds a {held!r}, expected a {kind.kind!r}{use}")
    assert "\n" not in said


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": -Infinity}', '{"a": 1e400}', r'{"a": "\ud800"}']
)
def test_a_header_that_could_not_be_written_is_not_read(saved, text, monkeypatch):
    _, path, tensors, _ = saved
    odd = path.with_name("odd.safetensors")
    monkeypatch.setattr(checkpoint.json, "dumps", lambda *_, **how: text)
    checkpoint.save(odd, tensors, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="finite numbers"):
        checkpoint.load(odd)


COMMANDS = {
    Learner: ("audit", "--only-gap", "--json", "--checkpoint"),
    PixelNetwork: ("pixels", "evaluate", "--data", "glyphs", "--json"),
}


@pytest.mark.parametrize("value", [10**30, 32.9, "32"], ids=str)
def test_commands_refuse_in_one_line(saved, value):
    kind, path, tensors, header = saved
    changed = path.with_name("command.safetensors")
    checkpoint.save(changed, tensors, header | {"hidden": value})
    said = refused(*COMMANDS[kind], changed)
    assert (
        f"hidden is {json.dumps(value).replace(chr(34), chr(39))}, expected a whole number" in said
    )


def test_a_cell_that_is_not_registered_says_how_to_load_it(saved):
    kind, path, tensors, header = saved
    changed = path.with_name("cell.safetensors")
    checkpoint.save(changed, tensors, header | {"cell": "ugrnn"})
    said = refused(*COMMANDS[kind], changed)
    assert (
        "unknown cell 'ugrnn': expected one of gru, lru, lstm, mamba, mingru, transformer" in said
    )
    assert "--load FILE" in said


BAD_PROCESSES = (
    "sticky",
    [],
    3,
    None,
    {},
    {"name": ["x"]},
    {"alpha": 10**30, "T": 4},
    {"alpha": "abc", "T": 4},
    PROCESS | {"T": {}},
    PROCESS | {"T": 10**20},
    PROCESS | {"alpha": [[1.0], 1.0, 1.0]},
    PROCESS | {"alpha": [1.0, 1.0]},
    PROCESS | {"T": 10**400},
    PROCESS | {"more": 1},
)


@pytest.mark.parametrize("process", BAD_PROCESSES, ids=lambda p: repr(p)[:40])
def test_a_process_that_is_none_is_refused_in_one_line(process, tmp_path):
    network = learner()
    network.settings["process"] = process
    network.save(tmp_path / "a")
    assert str(tmp_path / "a") in refused(*COMMANDS[Learner], tmp_path / "a")


def test_a_process_that_is_not_registered_says_how_to_load_it(tmp_path):
    network = learner()
    network.settings["process"] = {"name": "sticky", "stay": [8, 2]}
    network.save(tmp_path / "a")
    said = refused(*COMMANDS[Learner], tmp_path / "a")
    assert "unknown process 'sticky': expected one of dirichlet-categorical, " in said
    assert "--load FILE" in said


def test_a_network_without_a_word_of_its_training_is_evaluated(tmp_path):
    network = pixels()
    for name in ("recipe", "data", "seed", "versions"):
        del network.settings[name]
    network.save(tmp_path / "a")
    result = run("pixels", "evaluate", tmp_path / "a", "--data", "glyphs", "--json")
    assert result.exit_code == 0, result.stderr
    assert math.isfinite(json.loads(result.stdout)["cross_entropy"]["mean"])
