"""Rows 5 and 6: images continued by sampling, and pictures of them."""

from __future__ import annotations

from analysis.coursework.reproduce.kept import Result
from analysis.coursework.reproduce.run import SAMPLES, Run
from analysis.images import figures
from analysis.images import page as pages
from analysis.images.runs import FIRST_MISSING, choose_images, epoch_file
from analysis.report.formats import nats
from analysis.report.report import Panel, Table


def continuation(run: Run) -> Result:
    """Row 5."""
    results, _ = run.continuation
    last = list(results.values())[-1]
    short, long = last["10"], last["300"]
    answer = (
        f"Over 10 pixels the truth costs {nats(short['truth']['mean'])} nats a pixel and under the "
        f"free-running samples {nats(short['crossed']['mean'])}; over 300 pixels "
        f"{nats(long['truth']['mean'])} and {nats(long['crossed']['mean'])}."
    )
    ratio = [h["crossed"]["mean"] / h["truth"]["mean"] for h in (short, long)]
    paragraphs = [
        (
            "Short against long:",
            f"what the samples get wrong adds up: C is {ratio[0]:.2f} times B over 10 pixels and "
            f"{ratio[1]:.2f} times over 300. The samples' own cost A is {nats(long['own']['mean'])} "
            f"over 300 pixels against B's {nats(long['truth']['mean'])}: A does not look at the truth, "
            "and does not say whether the continuation is the right one.",
        )
    ]
    numbers = {
        "networks": results,
        "images": len(run.truth),
        "samples": SAMPLES,
        "seed": run.seed,
        "first_missing": FIRST_MISSING,
    }
    panel = Panel(
        "costs",
        figures.continuation_costs(results),
        "Three cross-entropies against the number of missing pixels, a panel a network.",
        f"{len(run.truth)} test images, {SAMPLES} samples each; bars: two standard errors over images. "
        f"{run.of_data}",
    )
    return Result(
        answer,
        numbers,
        [pages.continuation_table(results)],
        [panel],
        paragraphs,
        own=_continue_command(run),
        made=run.pixels.made,
    )


def pictures(run: Run) -> Result:
    """Row 6."""
    _, samples = run.continuation
    chosen = choose_images(samples)
    cost, spread = samples.crossed.mean((1, 2)), samples.own.mean(2).std(1)
    rows = [
        [kind, str(index), nats(float(cost[index])), nats(float(spread[index]))]
        for kind, index in chosen.items()
    ]
    numbers = {
        kind: {"image": index, "crossed": float(cost[index]), "spread_of_own": float(spread[index])}
        for kind, index in chosen.items()
    }
    shown = sum(1 if horizon == 1 else 5 for horizon in (1, 10, 28, 300)) * len(chosen)
    panels = []
    for kind, index in chosen.items():
        (panel,) = pages.continuation_panels(
            run.truth, samples, {kind: index}, run.test_images.shape
        )
        panels.append(
            panel._replace(
                name=f"continuations-{kind.replace(' ', '-')}",
                caption=f"{kind.capitalize()}: image {index}, sampled "
                f"pixels in orange. {run.of_data}",
            )
        )
    table = Table(
        "The three images, scores at 300 pixels, nats a pixel",
        ["image", "number", "C", "spread of A"],
        rows,
        pages.CHOICE,
    )
    answer = (
        f"{shown} in-paintings: {len(chosen)} images, each with 1 sample of 1 pixel and 5 of 10, "
    )
    answer += "28 and 300 pixels."
    return Result(
        answer,
        {"chosen": numbers, "shown": shown},
        [table],
        panels,
        own=_continue_command(run),
        made=run.pixels.made,
    )


def _continue_command(run: Run) -> str:
    folder = run.pixels_folder(run.sizes.readouts[0])
    last = max(run.pixels.epochs)
    files = " ".join(str(epoch_file(folder, n)) for n in sorted({0, 1, last}))
    return (
        f"meta-learn pixels continue {files} --data {run.data} --images {len(run.truth)} --seed "
        f"{run.seed}"
    )
