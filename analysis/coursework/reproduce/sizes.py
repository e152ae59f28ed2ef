"""How much a reproduction computes: the full run and the quick one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from analysis.report.report import Document


@dataclass(frozen=True)
class Sizes:
    """All sizes of a run.

    name: for the page. packaged: whether the networks of the package are used, where they are of the
    same images. pixel_recipe: of pixel networks that are trained. scored_images: of train and test in
    row 4, where networks are packaged. train_images, epochs, pixel_batch, hidden, budget: of trainings;
    None is all images, or the recipe's own value. readouts: of the pixel networks; rows 5 to 10 use the
    first. continued_images, inpainted_images, mistaken_images: in rows 5 and 6, in rows 7 to 10, for the
    effects of mistakes. streams: test streams of symbols. exact_task_length: T in the exact gap of row
    16. questions_budget, questions_seeds, questions_streams: of the study in row 17; a budget of 0
    shows the one that comes with the package. hidden_streams, hidden_models: in row 18.
    """

    name: str
    packaged: bool
    pixel_recipe: str
    scored_images: int | None
    train_images: int | None
    readouts: tuple[tuple[int, ...], ...]
    epochs: int
    pixel_batch: int | None
    hidden: int
    continued_images: int
    inpainted_images: int
    mistaken_images: int
    budget: int | None
    streams: int
    exact_task_length: int
    questions_budget: int
    questions_seeds: int
    questions_streams: int
    hidden_streams: int
    hidden_models: tuple[str, ...]

    def settings(self) -> Document:
        """Plain JSON values."""
        return asdict(self)


FULL = Sizes(
    name="full",
    packaged=False,
    pixel_recipe="coursework",
    scored_images=None,
    train_images=None,
    readouts=((64,), (64, 64)),
    epochs=5,
    pixel_batch=None,
    hidden=32,
    continued_images=100,
    inpainted_images=1_000,
    mistaken_images=200,
    budget=None,
    streams=10_000,
    exact_task_length=20,
    questions_budget=3_200_000,
    questions_seeds=3,
    questions_streams=1_000,
    hidden_streams=2_000,
    hidden_models=("M2", "M4"),
)
QUICK = replace(
    FULL,
    name="quick",
    packaged=True,
    pixel_recipe="best",
    scored_images=2_000,
    train_images=3_000,
    readouts=((64,),),
    streams=1_000,
    exact_task_length=11,
    questions_budget=0,
    hidden_streams=400,
)
