"""How a learner is trained: iterations, batch size, unroll, and the optimisation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from autoregressive.header import Settings
from autoregressive.optimization import Optimization

# Learning curves have a point every 20 iterations of the coursework's size.
_SYMBOLS_PER_POINT = 20 * 64 * 100
# What the loss asks of a prediction: the symbol that came, or the probabilities that it was drawn from.
TARGETS = ("symbols", "oracle")


@dataclass(frozen=True)
class Recipe:
    """One way to train: iterations of ``batch_size`` streams of ``unroll`` symbols.

    targets: "symbols": the loss is -log q(x_t | x_<t). "oracle": it is the cross-entropy of q from the
    oracle's p(x_t | latent, x_<t), of which x_t is one draw. Its mean given x_<t is the same, so Bayes
    minimises both, and its gradients vary less (Rao and Blackwell).
    """

    name: str
    iterations: int
    batch_size: int
    unroll: int
    optimization: Optimization
    targets: str = "symbols"

    def __post_init__(self) -> None:
        for field in ("iterations", "batch_size", "unroll"):
            value = getattr(self, field)
            if value < 1:
                raise ValueError(f"{field.replace('_', ' ')} must be 1 or more; got {value}")
        if self.targets not in TARGETS:
            raise ValueError(f"targets must be {' or '.join(TARGETS)}; got {self.targets!r}")

    @property
    def symbols(self) -> int:
        """Training symbols in all, RESETs included."""
        return self.iterations * self.batch_size * self.unroll

    @property
    def timescale(self) -> float | None:
        """The longest memory of the initial gates, in steps; at most the unroll, since a state that
        remembers longer than it was trained for drifts on longer streams."""
        longest = self.optimization.timescale
        return None if longest is None else min(longest, float(self.unroll))

    @property
    def iterations_per_point(self) -> int:
        """Iterations between two points of the learning curves, few enough for 20 in short runs."""
        usual = _SYMBOLS_PER_POINT // (self.batch_size * self.unroll)
        return max(1, min(usual, self.iterations // 20))

    def settings(self) -> Settings:
        """All fields as plain JSON values; targets only where they are not the usual ones, so that
        networks that were trained before there were others are still found."""
        settings = dataclasses.asdict(self)
        if self.targets == TARGETS[0]:
            del settings["targets"]
        return settings


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
    targets: str | None = None,
) -> Recipe:
    """A registered recipe with changes; None keeps what the recipe has.

    budget: training symbols in all, RESETs included, from which the iterations follow. With neither it
    nor iterations, the recipe's own number of symbols is the budget, whatever the batch size and unroll.
    Errors: ValueError for an unknown name, a size < 1, both a budget and iterations, or a budget smaller
    than one iteration.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}: expected one of {', '.join(sorted(RECIPES))}")
    if budget is not None and iterations is not None:
        raise ValueError("give a budget of symbols or a number of iterations, not both")
    recipe = RECIPES[name]
    symbols = recipe.symbols if budget is None else budget
    recipe = dataclasses.replace(
        recipe,
        iterations=recipe.iterations if iterations is None else iterations,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
        unroll=recipe.unroll if unroll is None else unroll,
        optimization=recipe.optimization.with_learning_rate(learning_rate),
        targets=recipe.targets if targets is None else targets,
    )
    if iterations is None:
        per_iteration = recipe.batch_size * recipe.unroll
        if symbols < per_iteration:
            raise ValueError(
                f"a budget of {symbols} symbols is less than one iteration of "
                f"{recipe.batch_size} x {recipe.unroll} = {per_iteration}"
            )
        recipe = dataclasses.replace(recipe, iterations=symbols // per_iteration)
    return recipe
