"""How a learner is trained: the budget's split and the optimisation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from autoregressive.optimization import Optimization
from meta_learning.processes.types import Settings

# Learning curves have a point every 20 iterations of the coursework's size.
_SYMBOLS_PER_POINT = 20 * 64 * 100


@dataclass(frozen=True)
class Recipe:
    """One way to train: iterations of ``batch_size`` streams of ``unroll`` symbols."""

    name: str
    iterations: int
    batch_size: int
    unroll: int
    optimization: Optimization

    def __post_init__(self) -> None:
        for field in ("iterations", "batch_size", "unroll"):
            value = getattr(self, field)
            if value < 1:
                raise ValueError(f"{field.replace('_', ' ')} must be 1 or more; got {value}")

    @property
    def symbols(self) -> int:
        """Training symbols in all, RESETs included."""
        return self.iterations * self.batch_size * self.unroll

    @property
    def timescale(self) -> float | None:
        """The initial gates' longest memory, at most the unroll: states that were never trained to
        settle drift on streams longer than it."""
        longest = self.optimization.timescale
        return None if longest is None else min(longest, float(self.unroll))

    @property
    def iterations_per_point(self) -> int:
        """Iterations between two points of the learning curves; short runs have 20 points too."""
        usual = _SYMBOLS_PER_POINT // (self.batch_size * self.unroll)
        return max(1, min(usual, self.iterations // 20))

    def settings(self) -> Settings:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


RECIPES: dict[str, Recipe] = {
    "coursework": Recipe("coursework", 1_000, 64, 100, Optimization(0.001)),
    "default": Recipe(
        "default",
        16_000,
        4,
        100,
        Optimization(
            0.01, optimizer="soap", schedule="cosine", warmup=0.05, clip=1.0, timescale=100.0
        ),
    ),
}


def make_recipe(
    name: str = "default",
    *,
    budget: int | None = None,
    iterations: int | None = None,
    batch_size: int | None = None,
    unroll: int | None = None,
    learning_rate: float | None = None,
) -> Recipe:
    """A registered recipe with changes. ``budget`` (symbols) sets the iterations.

    Errors: ValueError for an unknown name, for sizes < 1, where both budget and iterations are
    given, or where the budget is smaller than one iteration.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}: expected one of {', '.join(sorted(RECIPES))}")
    changes: Settings = {
        "iterations": iterations,
        "batch_size": batch_size,
        "unroll": unroll,
    }
    recipe = RECIPES[name]
    total = budget if budget is not None else recipe.symbols
    if budget is not None and iterations is not None:
        raise ValueError("give a budget of symbols or a number of iterations, not both")
    recipe = dataclasses.replace(
        recipe,
        optimization=recipe.optimization.with_learning_rate(learning_rate),
        **{k: v for k, v in changes.items() if v is not None},
    )
    if iterations is None:
        per_iteration = recipe.batch_size * recipe.unroll
        if total < per_iteration:
            raise ValueError(
                f"a budget of {total} symbols is less than one iteration of "
                f"{recipe.batch_size} x {recipe.unroll} = {per_iteration}"
            )
        recipe = dataclasses.replace(recipe, iterations=total // per_iteration)
    return recipe
