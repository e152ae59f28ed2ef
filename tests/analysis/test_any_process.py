"""The exact gap of every process, against enumeration in exact fractions and networks in NumPy."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from enumeration import assert_as_by_hand
from networks import learner
from running import refused
from words import PROBABILITY

from analysis.audit import exact_gap
from analysis.audit.results import to_datatree
from analysis.audit.tree import belief_walk, partial_sums, size
from analysis.audit.tree.belief_classes import find_classes
from analysis.audit.tree.belief_walk import BeliefWalk
from analysis.audit.tree.count_walk import CountWalk
from analysis.audit.worst_histories import worst_histories
from meta_learning.processes import (
    PROCESSES,
    ChangePoints,
    DirichletCategorical,
    Even,
    FixedCategorical,
    GoldenMean,
    HiddenMarkov,
    LiveAndDie,
    MarkovChain,
    Mess3,
    Mixture,
    PartitionTree,
    RandomRandomXor,
    StationaryChain,
    TaskPool,
    ZeroOneRandom,
)

# Each with K=2 or 3 and as many draws as fractions are quick for.
CASES = [
    (DirichletCategorical((0.5, 2.0), 8), None),
    (FixedCategorical((0, 0.25, 0.75), 6), None),
    (ChangePoints((1.3, 1.0, 0.5), 0.25), 5),
    (ChangePoints((1.0, 3.0), 0.05), 6),
    (LiveAndDie((0.5, 2.0)), 6),
    (PartitionTree((0.5, 2.0), 2), 6),
    (MarkovChain(((5, 1, 1), (1, 5, 0.5), (1, 2, 3)), 6), None),
    (MarkovChain(((1.25, 0.5), (2, 5)), math.inf), 7),
    (StationaryChain(((2, 1), (1, 3)), 7), None),
    (Mixture(((0.6, 0.3, 0.1), (0.1, 0.1, 0.8)), 6, (0.3, 0.7)), None),
    # Two symbols together can rule a third out.
    (Mixture(((0.5, 0.5, 0), (0, 0.25, 0.75), (0.5, 0, 0.5)), 6), None),
    (TaskPool((1, 1, 1), 3, 0, 6), None),
    (HiddenMarkov(((0.9, 0.1), (0.2, 0.8)), ((0.7, 0.2, 0.1), (0.1, 0.3, 0.6)), 6), None),
    (HiddenMarkov(edges=(((0.25, 0.25), (0, 0)), ((0, 0.5), (1, 0))), T=8), None),
    (Mess3(0.5, 0.125, math.inf), 4),
    (ZeroOneRandom(0.25), 7),
    (GoldenMean(0.25), 7),
    (Even(0.4), 7),
    (RandomRandomXor(), 7),
]


def test_every_process_is_among_the_cases():
    assert {type(process) for process, _ in CASES} == set(PROCESSES.values())


@pytest.mark.parametrize("process, draws", CASES, ids=lambda v: getattr(v, "title", str(v)))
def test_gap_and_parts_are_those_of_enumeration(process, draws, monkeypatch):
    # Every call takes in whole blocks, and these trees are small.
    monkeypatch.setattr(belief_walk, "_BLOCK_NUMBERS", {"cpu": 2**13})
    assert_as_by_hand(process, draws, PROBABILITY[type(process)])


def test_both_walks_agree_where_beliefs_are_counts(monkeypatch):
    net, process = learner(hidden=32), DirichletCategorical((10, 1, 1), 7)
    by_counts = exact_gap.exact_gap(net, process)
    monkeypatch.setattr(exact_gap, "goes_by_counts", lambda *a: False)
    by_beliefs = exact_gap.exact_gap(net, process)
    for name, values in vars(by_counts.decomposition).items():
        np.testing.assert_allclose(
            values, getattr(by_beliefs.decomposition, name), rtol=1e-6, atol=1e-12
        )
    assert by_beliefs.nodes == by_counts.nodes


def small(monkeypatch):
    """Blocks and tasks so small that a small tree has many."""
    for name, value in (("_BLOCK_NUMBERS", 200), ("_TASK_HISTORIES", 40)):
        monkeypatch.setattr(belief_walk, name, {"cpu": value})
        monkeypatch.setattr(belief_walk, f"{name}_ELSEWHERE", value)
    monkeypatch.setattr(belief_walk, "_TASK_NODES", 4)


@pytest.mark.parametrize(
    "process, draws", [(MarkovChain((1.0, 2.0, 0.5), 7), None), (Even(0.4), 9)], ids=str
)
def test_the_split_of_the_tree_does_not_matter_and_a_killed_walk_goes_on(
    process, draws, tmp_path, monkeypatch
):
    net = learner(process.num_symbols)
    whole = exact_gap.exact_gap(net, process, draws=draws)
    small(monkeypatch)
    split = exact_gap.exact_gap(net, process, draws=draws)
    for name, values in vars(whole.decomposition).items():
        np.testing.assert_allclose(getattr(split.decomposition, name), values, rtol=1e-5, atol=1e-9)
    monkeypatch.setattr(partial_sums, "_SAVE_EVERY_S", 0.0)

    class Killed(BaseException):
        pass

    def kill(done, nodes):
        if done > nodes / 2:
            raise Killed

    again = partial(exact_gap.exact_gap, net, process, draws=draws, folder=tmp_path)
    with pytest.raises(Killed):
        again(on_progress=kill)
    done = []
    resumed = again(on_progress=lambda *now: done.append(now))
    assert split.nodes / 2 < done[0][0] < split.nodes
    assert done[-1] == (split.nodes, split.nodes)
    for name, values in vars(split.decomposition).items():
        assert values.tobytes() == getattr(resumed.decomposition, name).tobytes()
    monkeypatch.setattr(BeliefWalk, "stem", lambda self: pytest.fail("walked again"))
    assert again().gap == split.gap


def test_tasks_of_workers_give_the_same_bits(monkeypatch):
    # What a worker is sent survives the way there; their scheduling is tested with them.
    import pickle

    net, process = learner(), ChangePoints((1.0, 1.0, 1.0), 0.1)
    small(monkeypatch)
    here = exact_gap.exact_gap(net, process, draws=6)

    def there(function, tasks, **_):
        packed = [pickle.loads(pickle.dumps(task)) for task in tasks]
        assert len(packed) > 3
        # The last ends first.
        yield from ((i, function(packed[i])) for i in reversed(range(len(packed))))

    monkeypatch.setattr(exact_gap, "each_result", there)
    found = exact_gap.exact_gap(net, process, draws=6, workers=2)
    assert found.by_position.tobytes() == here.by_position.tobytes()


def test_only_what_can_be_made_is_walked(monkeypatch):
    blocks = []
    expand = belief_walk.Tree.expand
    monkeypatch.setattr(
        belief_walk.Tree,
        "expand",
        lambda self, level, sums: blocks.append(level.number) or expand(self, level, sums),
    )
    found = exact_gap.exact_gap(learner(2), ZeroOneRandom(), draws=30)
    # A coin every third symbol.
    assert found.nodes < 3 * sum(2 ** (n // 3 + 1) for n in range(30))
    assert sum(blocks) < found.nodes
    # With a million histories of 20 draws, were all of them possible.
    assert size.default_draws(ZeroOneRandom()) == 20
    worst = worst_histories(learner(2), ZeroOneRandom(), draws=8, top=500)
    assert len(worst.by_gap) == find_classes(ZeroOneRandom(), 8).histories.sum()
    assert min(h.probability for h in worst.by_gap) > 0


def test_which_walk_is_taken():
    def walk(process, draws):
        net = learner(process.num_symbols)
        return type(exact_gap._walk_of(net, process, draws, None))

    assert walk(DirichletCategorical((1, 1, 1), 6), None) is CountWalk
    assert walk(Mixture(((0.6, 0.4), (0.1, 0.9)), 6), None) is CountWalk
    assert walk(Mixture(((0.5, 0.5, 0), (0, 0.25, 0.75), (0.5, 0, 0.5)), 6), None) is BeliefWalk
    assert walk(Mess3(), 4) is BeliefWalk


@dataclass(frozen=True)
class Unnormalised(Mess3):
    """A machine with a mistake: a belief that forgets to be normalised."""

    def log_predictive_of(self, belief):
        return super().log_predictive_of(belief) - 1e-6


def test_a_machine_that_is_wrong_is_an_error_and_names_it():
    with pytest.raises(ValueError, match=r"probabilities that sum to 0\.999.*normalised"):
        exact_gap.exact_gap(learner(), Unnormalised(0.6, 0.15, 4))


def test_too_many_draws_and_draws_beside_a_T_are_one_clear_line():
    with pytest.raises(ValueError, match=r"goes up to 23 draws: ask it at fewer --draws"):
        size.check_draws(learner().model, Mess3(), 30)
    with pytest.raises(ValueError, match="T=5 has 4 draws; got 7: leave it out"):
        size.check_draws(learner().model, Mess3(T=5), 7)
    size.check_draws(learner(2).model, ZeroOneRandom(), 60)
    assert "change-points has none" in refused("audit", "--process", "change-points", "--test-T", 5)


@pytest.mark.parametrize("process", [Even(0.4, 6), Mess3(T=5)], ids=str)
def test_netcdf_has_the_beliefs_where_there_are_any(process):
    found = exact_gap.exact_gap(learner(process.num_symbols), process)
    tree = to_datatree(found)
    np.testing.assert_array_equal(tree["exact_gap"]["gap"][0], found.by_position)
    if found.classes is None:
        assert set(tree.children) == {"exact_gap"}
        assert "same_belief" not in tree["exact_gap"]
    else:
        of = tree["exact_gap_by_belief"]
        assert of["histories"].sum() == found.nodes
        weighed = np.bincount(found.draws, (of["probability"] * of["gap"])[0])
        np.testing.assert_allclose(weighed, found.by_position, rtol=1e-12)
