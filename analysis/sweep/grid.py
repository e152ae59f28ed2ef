"""A grid of settings: all combinations of processes, cells, widths and lengths of training.

Each axis is a tuple of different values in the order given; the last axis runs fastest. A grid is
checked when it is made: what cannot be trained is refused before any training.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from analysis.contracts import check_cell, check_process
from meta_learning.learner import learner_model
from meta_learning.processes import Process, process_kind
from meta_learning.processes.parameters import slashes
from meta_learning.recipes import Recipe, make_recipe

# The axes that are not parameters of processes.
NETWORK_AXES = ("cell", "hidden", "iterations")
# Names that no parameter of a process can have as an axis.
_RESERVED = {"process", *NETWORK_AXES, "seed", "position", "point", "predictor", "bound"}


@dataclass(frozen=True)
class Point:
    """One setting of the grid. hidden: units of the cell."""

    process: Process
    cell: str
    hidden: int
    recipe: Recipe


@dataclass(frozen=True)
class Grid:
    """axes: name -> values; "process", then parameters of the processes, then ``NETWORK_AXES``. points:
    every combination, the last axis fastest."""

    axes: dict[str, tuple[Hashable, ...]]
    points: tuple[Point, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of values on each axis."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def recipe(self) -> Recipe:
        """How all networks are trained, but for the iterations."""
        return self.points[0].recipe


def make_grid(
    processes: Sequence[str],
    parameters: Mapping[str, Sequence[Hashable]],
    cells: Sequence[str],
    hidden: Sequence[int],
    recipes: Sequence[Recipe],
) -> Grid:
    """The grid of all combinations.

    processes: names. parameters: name -> values, or their texts. A parameter that every process has is
    an axis; one that only some have must have a single value, which those get. hidden: widths. recipes:
    alike but for their iterations.
    Errors: ValueError for an unknown process, cell or parameter, a value that comes twice or does not
    fit, and several values of a parameter that some process lacks.
    """
    kinds = [process_kind(name) for name in processes]
    shared: dict[str, Sequence[Hashable]] = {}
    for name, given in parameters.items():
        lacking = [kind.name for kind in kinds if name not in kind.parameters]
        if not lacking:
            shared[name] = given
        elif len(lacking) == len(kinds):
            kinds[0].from_parameters({name: given[0]})  # raises, and says which parameters it has
        elif len(given) > 1:
            raise ValueError(
                f"{name} has several values, but {', '.join(lacking)} has no {name}; give it one "
                "value, or sweep these processes apart"
            )
    axes: dict[str, tuple[Hashable, ...]] = {
        "process": tuple(processes),
        **{name: _read(kinds[0], name, given) for name, given in shared.items()},
        "cell": tuple(cells),
        "hidden": tuple(hidden),
        "iterations": tuple(recipe.iterations for recipe in recipes),
    }
    for name, values in axes.items():
        texts = [text_of(value) for value in values]
        for text in texts:
            if texts.count(text) > 1:
                raise ValueError(f"{name} {text} comes twice; give every value once")
    sources = []
    for kind in kinds:
        own = {n: given[0] for n, given in parameters.items() if n in kind.parameters}
        for values in product(*shared.values()):
            sources.append(kind.from_parameters(own | dict(zip(shared, values, strict=True))))
    points = tuple(
        Point(process, cell, width, recipe)
        for process, cell, width, recipe in product(sources, cells, hidden, recipes)
    )
    for source in sources:
        check_process(source)
    for cell in cells:
        check_cell(cell)
    for point in points:
        learner_model(point.process.num_symbols, point.cell, point.hidden)
    return Grid(axes, points)


def make_recipes(
    name: str,
    *,
    iterations: Sequence[int] = (),
    budgets: Sequence[int] = (),
    batch_size: int | None = None,
    unroll: int | None = None,
    learning_rate: float | None = None,
    targets: str | None = None,
) -> list[Recipe]:
    """The recipe ``name`` for each length of training, given in iterations or as budgets of symbols, or
    for its own length. Errors: ValueError where both are given; those of ``make_recipe``."""
    if iterations and budgets:
        raise ValueError("give --iterations or --budget, not both")
    lengths = [{"iterations": n} for n in iterations] or [{"budget": n} for n in budgets]
    return [
        make_recipe(
            name,
            batch_size=batch_size,
            unroll=unroll,
            learning_rate=learning_rate,
            targets=targets,
            **length,
        )
        for length in lengths or [{}]
    ]


def text_of(value: Hashable) -> str:
    """A value of an axis as text, as the command line reads it: 20, inf, "10,1,1", "0.9,0.1/0.2,0.8"."""
    if isinstance(value, tuple):
        return (slashes(value) or ",").join(text_of(v) for v in value)
    return value if isinstance(value, str) else f"{value:.12g}"


def coordinate(values: Sequence[Hashable]) -> list[float] | list[str]:
    """The values of an axis as a labelled array has them: numbers where all are, texts otherwise."""
    numbers = [v for v in values if isinstance(v, int | float)]
    if len(numbers) < len(values):
        return [text_of(v) for v in values]
    whole = all(math.isfinite(v) and int(v) == v for v in numbers)
    return [int(v) if whole else float(v) for v in numbers]


def _read(kind: type[Process], name: str, given: Sequence[Hashable]) -> tuple[Hashable, ...]:
    """Values of a parameter, read where they are texts. Errors: ValueError."""
    if name in _RESERVED:
        raise ValueError(
            f"a parameter called {name} cannot be an axis: the grid has its own {name}"
        )
    read = kind.parameters[name].read
    return tuple(read(v) if isinstance(v, str) else v for v in given)
