"""The coursework's four models and three test streams, by name."""

from __future__ import annotations

from dataclasses import dataclass

from meta_learning.process import DirichletCategorical, FixedCategorical, Process

CONCENTRATED = (10.0, 1.0, 1.0)
FLAT = (1.3, 1.3, 1.3)
ALWAYS_FIRST = (1.0, 0.0, 0.0)

EXPERIMENTS: dict[str, DirichletCategorical] = {
    "M1": DirichletCategorical(CONCENTRATED, 5),
    "M2": DirichletCategorical(CONCENTRATED, 20),
    "M3": DirichletCategorical(FLAT, 5),
    "M4": DirichletCategorical(FLAT, 20),
}


@dataclass(frozen=True)
class StreamKind:
    """One of the coursework's test streams. ``make(T)`` gives the process at a task length."""

    name: str
    title: str
    alpha: tuple[float, ...] | None = None
    p: tuple[float, ...] | None = None

    def make(self, T: float) -> Process:
        if self.p is not None:
            return FixedCategorical(self.p, T)
        assert self.alpha is not None
        return DirichletCategorical(self.alpha, T)


TEST_STREAMS: dict[str, StreamKind] = {
    "1": StreamKind("1", "tasks from Dirichlet(10, 1, 1)", alpha=CONCENTRATED),
    "2": StreamKind("2", "tasks from Dirichlet(1.3, 1.3, 1.3)", alpha=FLAT),
    "3": StreamKind("3", "always p = (1, 0, 0)", p=ALWAYS_FIRST),
}
