"""The optimiser of a recipe: direction, schedule, clipping, averaging."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optax


@dataclass(frozen=True)
class Optimization:
    """How gradients become updates.

    learning_rate: the peak; positive. optimizer: "adam" (Kingma and Ba 2015) or "soap" (Vyas et al.
    2024). schedule: "constant", or "cosine": a linear warm-up over the fraction ``warmup`` of the
    iterations, then a decay to 0. clip: the largest global norm of a gradient; None does not clip.
    averaging: the span of the moving average of the parameters, a fraction of the iterations; 0 keeps
    none. timescale: the longest memory, in steps, of the initial gates; None: plain initialisation.
    Errors: ValueError for a learning rate that is not positive.
    """

    learning_rate: float
    optimizer: str = "adam"
    schedule: str = "constant"
    warmup: float = 0.0
    clip: float | None = None
    averaging: float = 0.0
    timescale: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"the learning rate must be positive; got {self.learning_rate}")

    def transformation(self, iterations: int) -> optax.GradientTransformation:
        """The optax transformation for a run of ``iterations``."""
        import optax

        from autoregressive.soap import scale_by_soap

        rate: float | optax.Schedule = self.learning_rate
        if self.schedule == "cosine":
            warmup = max(1, round(self.warmup * iterations))
            rate = optax.warmup_cosine_decay_schedule(
                0.0, self.learning_rate, warmup, max(iterations, warmup + 1)
            )
        direction = {"adam": optax.scale_by_adam, "soap": scale_by_soap}[self.optimizer]()
        parts = [direction, optax.scale_by_learning_rate(rate)]
        if self.clip is not None:
            parts.insert(0, optax.clip_by_global_norm(self.clip))
        return optax.chain(*parts)

    def with_learning_rate(self, learning_rate: float | None) -> Optimization:
        """The same with another peak, or itself for None."""
        if learning_rate is None:
            return self
        return dataclasses.replace(self, learning_rate=learning_rate)
