"""The coursework's four models and three test streams, by name."""

from __future__ import annotations

import math
from dataclasses import dataclass

from meta_learning.processes import DirichletCategorical, FixedCategorical, Process

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
    """One of the coursework's test streams: of Dirichlet(alpha) tasks, or of a fixed p."""

    name: str
    title: str
    alpha: tuple[float, ...] | None = None
    p: tuple[float, ...] | None = None

    def make(self, T: float) -> Process:
        """The process that draws these streams at task length T."""
        if self.p is not None:
            return FixedCategorical(self.p, T)
        assert self.alpha is not None
        return DirichletCategorical(self.alpha, T)


TEST_STREAMS: dict[str, StreamKind] = {
    "1": StreamKind("1", "tasks from Dirichlet(10, 1, 1)", alpha=CONCENTRATED),
    "2": StreamKind("2", "tasks from Dirichlet(1.3, 1.3, 1.3)", alpha=FLAT),
    "3": StreamKind("3", "always p = (1, 0, 0)", p=ALWAYS_FIRST),
}

# The test stream whose tasks come from the prior that a model was trained on.
OWN_STREAM = {"M1": "1", "M2": "1", "M3": "2", "M4": "2"}


@dataclass(frozen=True)
class Setting:
    """On what a network of the study of generalisation is trained: a process, and an unroll."""

    process: DirichletCategorical
    unroll: int = 100

    @property
    def name(self) -> str:
        """For captions: "alpha=10,1,1, T=20, unroll 100"."""
        alpha = ",".join(f"{a:g}" for a in self.process.alpha)
        return f"alpha={alpha}, T={self.process.T:g}, unroll {self.unroll}"


NEARLY_UNIFORM = (1.1, 1.1, 1.1)
STUDY_LENGTHS = (5, 20, 50, math.inf)
STUDY_UNROLLS = (5, 20)
# Training T, training prior and training unroll, each varied while the others stay.
STUDY: tuple[Setting, ...] = (
    *(Setting(DirichletCategorical(a, T)) for a in (CONCENTRATED, FLAT) for T in STUDY_LENGTHS),
    Setting(DirichletCategorical(NEARLY_UNIFORM, 20)),
    Setting(DirichletCategorical(CONCENTRATED, 1)),
    *(
        Setting(DirichletCategorical(a, T), unroll)
        for a in (CONCENTRATED, FLAT)
        for T in (5, 20, math.inf)
        for unroll in STUDY_UNROLLS
    ),
)
