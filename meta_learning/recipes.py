"""How a learner is trained: the budget's split, the optimiser, its schedule."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optax

# The coursework's budget: 1,000 iterations of 64 streams of 100 symbols.
COURSEWORK_SYMBOLS = 1_000 * 64 * 100
# Learning curves have a point every 20 iterations of the coursework's size.
_SYMBOLS_PER_POINT = 20 * 64 * 100


@dataclass(frozen=True)
class Recipe:
    """One way to train. ``warmup``, ``averaging`` are fractions of the iterations.

    learning_rate: the peak; constant, or with a linear warm-up and a cosine decay to 0.
    clip: the largest global norm of a gradient, or None. averaging: the span of the moving average
    of the weights. timescale: the longest memory, in steps, of the initial gates, or None for the
    plain initialisation.
    """

    name: str
    iterations: int
    batch_size: int
    unroll: int
    learning_rate: float
    optimizer_name: str = "adam"
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float | None = None
    averaging: float = 0.0
    timescale: float | None = None

    def __post_init__(self) -> None:
        for field in ("iterations", "batch_size", "unroll"):
            value = getattr(self, field)
            if value < 1:
                raise ValueError(f"{field.replace('_', ' ')} must be 1 or more; got {value}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"the learning rate must be positive; got {self.learning_rate}")

    @property
    def symbols(self) -> int:
        """Training symbols in all, RESETs included."""
        return self.iterations * self.batch_size * self.unroll

    @property
    def iterations_per_point(self) -> int:
        """Iterations between two points of the learning curves."""
        return max(1, _SYMBOLS_PER_POINT // (self.batch_size * self.unroll))

    def optimizer(self) -> optax.GradientTransformation:
        """Adam (Kingma and Ba 2015) or SOAP (Vyas et al. 2024) with this recipe's schedule."""
        import optax

        from autoregressive.soap import scale_by_soap

        rate: Any = self.learning_rate
        if self.schedule == "cosine":
            warmup = max(1, round(self.warmup * self.iterations))
            rate = optax.warmup_cosine_decay_schedule(
                0.0, self.learning_rate, warmup, max(self.iterations, warmup + 1)
            )
        direction = {"adam": optax.scale_by_adam, "soap": scale_by_soap}[self.optimizer_name]()
        parts = [direction, optax.scale_by_learning_rate(rate)]
        if self.clip is not None:
            parts.insert(0, optax.clip_by_global_norm(self.clip))
        return optax.chain(*parts)

    def settings(self) -> dict[str, Any]:
        """All fields as plain JSON values."""
        return dataclasses.asdict(self)


RECIPES: dict[str, Recipe] = {
    "coursework": Recipe("coursework", 1_000, 64, 100, learning_rate=0.001),
    "default": Recipe(
        "default",
        16_000,
        4,
        100,
        learning_rate=0.01,
        optimizer_name="soap",
        schedule="cosine",
        warmup=0.05,
        clip=1.0,
        timescale=100.0,
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
    changes: dict[str, Any] = {
        "iterations": iterations,
        "batch_size": batch_size,
        "unroll": unroll,
        "learning_rate": learning_rate,
    }
    recipe = RECIPES[name]
    total = budget if budget is not None else recipe.symbols
    if budget is not None and iterations is not None:
        raise ValueError("give a budget of symbols or a number of iterations, not both")
    recipe = dataclasses.replace(recipe, **{k: v for k, v in changes.items() if v is not None})
    if iterations is None:
        per_iteration = recipe.batch_size * recipe.unroll
        if total < per_iteration:
            raise ValueError(
                f"a budget of {total} symbols is less than one iteration of "
                f"{recipe.batch_size} x {recipe.unroll} = {per_iteration}"
            )
        recipe = dataclasses.replace(recipe, iterations=total // per_iteration)
    return recipe
