"""What every registered member obeys: functions of one member, run over the registries by the tests.

They serve members of one's own alike: ``for law in OF_PROCESSES: law(process)``.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import cache, partial

import jax
import jax.numpy as jnp
import judges
import numpy as np
import pytest
from scipy.stats import chisquare

from autoregressive.errors import DataError
from autoregressive.images.binarisation import Binarisation
from autoregressive.images.datasets import DATASETS, load
from autoregressive.images.image_set import SPLITS
from autoregressive.images.masks import MASKS, draw_mask
from autoregressive.model import make_model
from autoregressive.precision import float64
from autoregressive.unroll.scan import portable_unroll, scan_unroll
from meta_learning.processes import Machine, Streams, drawn_places, process_kind
from meta_learning.references import ladder

LENGTH = 12
MANY, SOME, SHORT = 40_000, 7_000, 5
# A chi-square's p-value this small comes by chance less than once in ten million; the seeds are
# fixed, so what passes once passes always.
RAREST = 1e-7


@cache
def many(process, batch=MANY):
    """Streams of LENGTH places, MANY to count or SOME to look at each: compiled and drawn once for all
    tests of a process."""
    return Streams(*map(np.asarray, process.sample_with_latent(jax.random.key(0), batch, LENGTH)))


def sampled(process, batch=64):
    """The first ``batch`` of SOME."""
    return Streams(*(a[:batch] for a in many(process, SOME)))


def rows_are_normalised_float64_and_know_RESET(process):
    streams = sampled(process)
    assert_rows(process, process.log_predictive(streams.symbols), 1e-14 * (LENGTH + 1))
    for rows in ladder(process, process).values():
        assert_rows(process, rows(streams), 1e-13)


def assert_rows(process, rows, tolerance):
    drawn = drawn_places(LENGTH, process.task_length)
    assert rows.dtype == np.float64
    assert rows.shape == (64, LENGTH, process.num_symbols + 1)
    np.testing.assert_allclose(np.exp(rows).sum(-1), 1.0, rtol=0, atol=tolerance)
    assert (np.exp(rows[:, drawn, -1]) == 0).all()
    assert (np.exp(rows[:, ~drawn, -1]) == 1).all()


def changing_a_symbol_changes_no_row_up_to_it(process):
    streams = sampled(process, 8)
    for rows in ladder(process, process).values():
        before = rows(streams)
        for t in np.flatnonzero(drawn_places(LENGTH, process.task_length)):
            changed = streams.symbols.copy()
            changed[:, t] = (changed[:, t] + 1) % process.num_symbols
            # What the process cannot make stays as it was.
            changed = np.where(possible(process, changed)[:, None], changed, streams.symbols)
            after = rows(streams._replace(symbols=changed))
            np.testing.assert_array_equal(after[:, : t + 1], before[:, : t + 1])


def log_probability(process, streams):
    """log p of whole streams, -inf for those that the process cannot make."""
    rows = Machine.log_predictive(process, streams)
    return np.take_along_axis(rows, streams[..., None], -1).sum((-2, -1))


def possible(process, streams):
    """Which streams the process can make."""
    return np.isfinite(log_probability(process, streams))


def leading_axes_are_batches(process):
    symbols = sampled(process, 6).symbols
    rows = process.log_predictive(symbols)
    np.testing.assert_array_equal(
        process.log_predictive(symbols.reshape(2, 3, LENGTH)).reshape(rows.shape), rows
    )
    np.testing.assert_array_equal(process.log_predictive(symbols[0]), rows[0])


def samples_have_their_shape_and_RESET_at_its_places(process):
    streams = sampled(process, 5)
    symbols = streams.symbols
    assert symbols.shape == (5, LENGTH)
    assert symbols.dtype == np.int32
    assert len(streams.latent) == 5
    resets = [judges.is_reset(t, process.task_length) for t in range(LENGTH)]
    np.testing.assert_array_equal(symbols == process.num_symbols, np.broadcast_to(resets, (5, 12)))


def the_same_key_gives_the_same_bits(process):
    equal = type(process)(*vars(process).values())
    assert equal == process
    again = equal.sample_with_latent(jax.random.key(0), SOME, LENGTH)
    np.testing.assert_array_equal(many(process, SOME).symbols, again.symbols)
    np.testing.assert_array_equal(many(process, SOME).latent, again.latent)
    np.testing.assert_array_equal(process.sample(jax.random.key(0), SOME, LENGTH), again.symbols)


def sampled_streams_follow_the_exact_predictive(process):
    streams = judges.all_streams(process.num_symbols, process.task_length, SHORT)
    probability = np.exp(log_probability(process, streams))
    code = (process.num_symbols + 1) ** np.arange(SHORT)[::-1]  # all_streams comes in this order
    short = many(process).symbols[:, :SHORT]
    seen = np.bincount(short @ code, minlength=code[0] ** 2)[streams @ code]
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    assert seen.sum() == MANY
    assert (seen[probability == 0] == 0).all()
    rare = MANY * probability < 5
    expected = np.append(MANY * probability[~rare], MANY * probability[rare].sum())
    counts = np.append(seen[~rare], seen[rare].sum())
    likely = expected > 0
    if likely.sum() > 1:
        assert chisquare(counts[likely], expected[likely]).pvalue > RAREST


def wrong_streams_are_refused(process):
    symbols, K = sampled(process, 2).symbols, process.num_symbols
    for spoilt, message in (
        (symbols.astype(float), "integers"),
        (symbols * 0 - 1, "must lie in"),
        (symbols * 0 + K + 1, "must lie in"),
        (np.where(symbols == K, 0, K), "RESET"),
        (symbols[0, 0], "last axis"),
    ):
        with pytest.raises(ValueError, match=message):
            process.log_predictive(spoilt)


def streams_that_cannot_be_made_are_refused(process):
    streams = judges.all_streams(process.num_symbols, process.task_length, SHORT)
    can = possible(process, streams)
    assert np.isfinite(process.log_predictive(streams[can])[:, 0]).any()
    for stream in streams[~can][:3]:
        log_p = np.take_along_axis(Machine.log_predictive(process, stream), stream[:, None], -1)
        place = np.flatnonzero(np.isneginf(log_p[:, 0]))[0]
        message = f"cannot make stream 1: .* symbol {stream[place]} at place {place} "
        with pytest.raises(ValueError, match=message):
            process.log_predictive(np.stack([streams[can][0], stream]))


def histories(process, length):
    """All histories of a task's first ``length`` draws, (K^length, length)."""
    return judges.all_streams(process.num_symbols, math.inf, length).reshape(-1, length)


def possible_histories(process, draws):
    """Of the first 0 to n draws of histories (rows, n) of a task, which the process can make: (rows,)
    each."""
    if not draws.shape[1]:
        return [np.ones(len(draws), bool)]
    rows = process.log_predictive_along(draws)
    can = np.isfinite(np.take_along_axis(rows, draws[..., None], -1))[..., 0]
    return [can[:, :n].all(1) for n in range(draws.shape[1] + 1)]


def beliefs_along(machine, draws):
    """The beliefs before each draw of histories (rows, n) and after the last, step by step: compiled
    once, mapped over the rows."""
    step = jax.jit(jax.vmap(machine.update))
    rows = len(draws)
    begin = machine.initial_belief(SHORT)
    belief = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (rows, *np.shape(leaf))), begin)
    yield belief
    for symbols in draws.T:
        belief = step(belief, symbols)
        yield belief


def the_machine_agrees_with_the_rows_step_by_step(process):
    """Every history of a task, also where a vectorised formula stands in the machine's place."""
    T = process.task_length
    length = SHORT if math.isinf(T) else min(SHORT, int(T) - 1)
    for machine in (process, *process.ladder().values()):
        draws = histories(process, length) if length else np.zeros((1, 0), int)
        rows = Machine.log_predictive_along(machine, draws) if length else None
        fast = machine.log_predictive_along(draws) if length else None
        with float64():
            says = jax.jit(jax.vmap(machine.log_predictive_of))
            beliefs = beliefs_along(machine, draws)
            for n in range(length):
                said = says(next(beliefs))
                assert said.dtype == np.float64
                assert not np.isnan(said).any()
                np.testing.assert_allclose(np.exp(said).sum(-1), 1, rtol=1e-12)
                for other in (rows[:, n], fast[:, n]):
                    np.testing.assert_allclose(other, said, rtol=1e-12, atol=1e-12)


def statistics_are_equal_where_beliefs_are(process):
    draws = histories(process, SHORT - 1)
    if process.statistic(draws) is None:
        return
    with float64():
        beliefs = list(beliefs_along(process, draws))
    can = possible_histories(process, draws)[-1]
    for length, held in enumerate(beliefs):
        statistic = process.statistic(draws[:, :length])
        assert statistic.dtype.kind == "i"
        assert len(statistic) == len(draws)
        flat = [np.asarray(leaf, float).reshape(len(draws), -1) for leaf in jax.tree.leaves(held)]
        flat = [np.where(np.isneginf(values), -1e9, values) for values in flat]
        belief = np.concatenate([np.zeros((len(draws), 1)), *flat], axis=1)
        # After what cannot come a belief means nothing.
        belief, statistic = belief[can], statistic[can]
        same_belief = (np.abs(belief[:, None] - belief) < 1e-12).all(-1)
        same_statistic = (statistic[:, None] == statistic).all(-1)
        np.testing.assert_array_equal(same_belief, same_statistic)


def numbers_bring_a_belief_back(process):
    """Finite, as a state holds them, and of the same predictive, but for what float32 leaves of a 0."""
    T = process.task_length
    length = SHORT - 1 if math.isinf(T) else min(SHORT - 1, int(T) - 1)
    draws = histories(process, length) if length else np.zeros((1, 0), int)
    each = possible_histories(process, draws)
    with float64():
        says = jax.jit(jax.vmap(process.log_predictive_of))
        there = jax.jit(jax.vmap(process.to_numbers))
        back = jax.jit(jax.vmap(process.from_numbers))
        for can, belief in zip(each, beliefs_along(process, draws), strict=True):
            numbers = there(belief)
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(numbers))
            p, q = (np.exp(says(b))[can] for b in (belief, back(numbers)))
            np.testing.assert_allclose(p, q, rtol=0, atol=1e-5)


def coordinates_are_finite_vectors_of_the_past(process):
    symbols = sampled(process, 4).symbols
    for name, values in process.coordinates_along(symbols).items():
        assert values.dtype == np.float64, name
        assert values.ndim == 3, name
        assert values.shape[:2] == symbols.shape
        assert np.isfinite(values).all()
        first = 0 if math.isinf(process.task_length) else int(process.task_length)
        # A task's first place knows nothing of the tasks before.
        np.testing.assert_array_equal(values[:, first % LENGTH], values[:, 0])


def settings_bring_a_process_back(process):
    settings = json.loads(json.dumps(process.settings(), allow_nan=False))
    assert type(process).from_settings(settings) == process
    assert process_kind(process.name) is type(process)
    assert process.replace({}) == process


def the_oracle_is_no_worse_and_references_no_better_than_bayes(process):
    T = process.task_length
    if LENGTH < T < math.inf:  # whole tasks
        streams = process.sample_with_latent(jax.random.key(0), 4_000, 4 * int(T))
    else:
        streams = many(process, SOME)
    symbols = np.asarray(streams.symbols)
    loss = {
        name: -np.take_along_axis(rows(streams), symbols[..., None], -1).sum((1, 2))
        for name, rows in ladder(process, process).items()
    }
    for name, of_stream in loss.items():
        assert not np.isnan(of_stream).any(), name
        if name not in ("oracle", "bayes") and np.isinf(of_stream).any():
            continue  # memoryless, of a process whose first symbol is certain
        assert np.isfinite(of_stream).all(), name
        excess = (of_stream - loss["bayes"]) * (-1 if name == "oracle" else 1)
        # Bayes is best in expectation: an excess below 0 is noise of at most six standard errors.
        assert excess.mean() >= -6 * excess.std() / math.sqrt(len(excess)) - 1e-12, name


def training_on_the_oracle_is_on_its_probabilities(process):
    streams = sampled(process)
    got = jax.jit(process.probabilities_given_latent)(streams)
    wanted = np.exp(process.log_predictive_given_latent(streams))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


OF_PROCESSES = (
    rows_are_normalised_float64_and_know_RESET,
    changing_a_symbol_changes_no_row_up_to_it,
    leading_axes_are_batches,
    samples_have_their_shape_and_RESET_at_its_places,
    the_same_key_gives_the_same_bits,
    sampled_streams_follow_the_exact_predictive,
    wrong_streams_are_refused,
    streams_that_cannot_be_made_are_refused,
    the_machine_agrees_with_the_rows_step_by_step,
    statistics_are_equal_where_beliefs_are,
    numbers_bring_a_belief_back,
    coordinates_are_finite_vectors_of_the_past,
    settings_bring_a_process_back,
    the_oracle_is_no_worse_and_references_no_better_than_bayes,
    training_on_the_oracle_is_on_its_probabilities,
)


def every_short_history_agrees_with_exact_fractions(process, probability):
    """probability: (process, a task's first draws) -> their probability, a Fraction."""
    streams = judges.all_streams(process.num_symbols, process.task_length, 5)
    found = [exact_rows(process, probability, stream) for stream in streams]
    can = np.array([rows is not None for rows in found])
    np.testing.assert_array_equal(possible(process, streams), can)
    wanted = np.array([rows for rows in found if rows is not None])
    got = process.log_predictive(streams[can])
    np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


def exact_rows(process, probability, stream):
    """Rows of log p(x_t | x_<t) along one stream from ratios of exact probabilities; None for a
    stream of probability 0."""
    K, rows, task = process.num_symbols, [], []
    for t, symbol in enumerate(stream):
        if judges.is_reset(t, process.task_length):
            rows.append([-math.inf] * K + [0.0])
            task = []
            continue
        whole = probability(process, task) if task else Fraction(1)
        # A float row of probabilities sums to 1 up to rounding: divided by what it sums to.
        p = [probability(process, [*task, k]) / whole for k in range(K)]
        if p[symbol] == 0:
            return None
        rows.append([math.log(q / sum(p)) if q else -math.inf for q in p] + [-math.inf])
        task.append(int(symbol))
    return np.array(rows)


def made(kind, inputs, batch, length, hidden=5, seed=0):
    """A cell with parameters and a state that are random everywhere, in float64, and inputs."""
    cell = kind(inputs, hidden)
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(cell.init, jax.random.key(0))
    params = {name: jnp.asarray(0.7 * rng.normal(size=s.shape)) for name, s in shapes.items()}
    state = tuple(jnp.asarray(0.5 * rng.normal(size=s.shape)) for s in cell.initial_state((batch,)))
    return cell, params, state, jnp.asarray(rng.normal(size=(length, batch, inputs)))


def unroll_equals_the_step_loop(kind, inputs=4, batch=3, length=6):
    """From a state that is random everywhere: for recurrent cells."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(kind, inputs, batch, length)
        step, outputs, now = jax.jit(cell.step), [], state
        for x in xs:
            now, h = step(params, now, x)
            outputs.append(h)
        for last, hs in (
            portable_unroll(cell, params, state, xs),
            scan_unroll(cell, params, state, xs),
        ):
            np.testing.assert_allclose(hs, outputs, rtol=1e-12, atol=1e-14)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-12, 1e-14), last, now)


def gradients_of_the_unroll_equal_autodiff(kind, inputs=4, batch=3, length=6):
    """From a state that is random everywhere: for recurrent cells."""
    with jax.enable_x64(True):
        cell, params, state, xs = made(kind, inputs, batch, length)
        rng = np.random.default_rng(1)
        weights = [rng.normal(size=s.shape) for s in state]
        on_outputs = rng.normal(size=(*xs.shape[:2], cell.hidden))

        def through(unroll):
            def value(params, state, xs):
                last, hs = unroll(params, state, xs)
                ends = sum((w * s).sum() for w, s in zip(weights, last, strict=True))
                return ends + (on_outputs * hs).sum()

            return jax.jit(jax.grad(value, argnums=(0, 1, 2)))(params, state, xs)

        ours = through(partial(portable_unroll, cell))
        autodiff = through(lambda *given: scan_unroll(cell, *given))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-10, 1e-12), ours, autodiff)


def parameters_and_state_are_float32_and_follow_the_key(kind):
    """Also where a caller counts in float64."""
    cell = kind(4, 6)
    for wide in (False, True):
        with jax.enable_x64(wide):
            params, again, other = (cell.init(jax.random.key(k), 20.0) for k in (0, 0, 1))
            state = cell.initial_state((2, 3))
            leaves = jax.tree.leaves((params, state))
            assert all(a.dtype == jnp.float32 and np.isfinite(a).all() for a in leaves)
            jax.tree.map(np.testing.assert_array_equal, params, again)
            assert any((params[name] != other[name]).any() for name in params)
            assert all(s.shape[:2] == (2, 3) and (s == 0).all() for s in state)


def small_model(name):
    """A model on a registered cell, its parameters and inputs."""
    model = make_model(name, 6, 4, 4, (8, 5))
    params = model.init(jax.random.key(0))
    return model, params, jax.random.normal(jax.random.key(1), (3, 12, 4))


def model_unroll_equals_its_step_loop(name):
    model, params, xs = small_model(name)
    last, logits = model.unroll(params, model.initial_state((3,)), xs)
    state, step = model.initial_state((3,)), jax.jit(model.step)
    for t in range(xs.shape[1]):
        state, row = step(params, state, xs[:, t])
        np.testing.assert_allclose(row, logits[:, t], rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), state, last)


def changing_an_input_changes_no_earlier_row(name):
    model, params, xs = small_model(name)
    logits = jax.jit(model.logits)
    before = np.asarray(logits(params, xs))
    for t in range(xs.shape[1]):
        after = np.asarray(logits(params, xs.at[:, t].add(1.0)))
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t] != before[:, t]).any()


# Of cells by name, in CELLS; and of recurrent ones, which are classes.
OF_CELLS = (model_unroll_equals_its_step_loop, changing_an_input_changes_no_earlier_row)
OF_RECURRENT_CELLS = (
    unroll_equals_the_step_loop,
    gradients_of_the_unroll_equal_autodiff,
    parameters_and_state_are_float32_and_follow_the_key,
)


def masks_leave_most_pixels_and_miss_some_in_every_image(name):
    """At the registered example."""
    keep = draw_mask(MASKS[name].example, 50, (28, 28), 0)
    assert keep.shape == (50, 784)
    assert keep.dtype == bool
    missing = (~keep).sum(1)
    assert missing.min() == missing.max()
    assert 1 <= missing[0] <= 16
    assert len({row.tobytes() for row in keep}) > 10
    np.testing.assert_array_equal(keep, draw_mask(MASKS[name].example, 50, (28, 28), 0))
    assert (keep != draw_mask(MASKS[name].example, 50, (28, 28), 1)).any()


def image_sets_are_the_same_each_time_and_follow_the_threshold(name):
    low, high = Binarisation(0.2), Binarisation(0.6)
    splits = {split: load(name, split, low) for split in SPLITS}
    assert {split: images.split for split, images in splits.items()} == {s: s for s in SPLITS}
    assert len({images.digest for images in splits.values()}) == 3
    assert len({images.shape for images in splits.values()}) == 1
    test = splits["test"]
    assert test.name == name and test.binarisation == low and len(test) >= 2
    assert load(name, "test", low).digest == test.digest
    lighter = load(name, "test", high).images()
    assert (lighter <= test.images()).all() and 0 < lighter.sum() < test.images().sum()
    inverted = load(name, "test", Binarisation(0.2, inverted=True))
    np.testing.assert_array_equal(inverted.images(), 1 - test.images())
    with pytest.raises(DataError, match="unknown split 'dev'"):
        DATASETS[name]("dev")


def metrics_are_numbers_of_each_place_alone(metric):
    rng = np.random.default_rng(0)
    log_q, log_bayes = np.log(rng.dirichlet(np.ones(4), (2, 5, 7)))
    came = rng.integers(0, 4, (5, 7))
    values = metric.score(log_q, log_bayes, came)
    assert values.dtype == np.float64
    assert values.shape == (5, 7)
    assert np.isfinite(values).all()
    assert len(np.unique(values)) > 1
    for t in range(7):
        alone = metric.score(log_q[:, t : t + 1], log_bayes[:, t : t + 1], came[:, t : t + 1])
        np.testing.assert_array_equal(alone, values[:, t : t + 1])
