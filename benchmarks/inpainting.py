"""In-painting of 2 x 2 patches: prefix-sharing enumeration against naive batched PyTorch.

    python benchmarks/inpainting.py [FILE.npy] [--repeats 3] [--out results.json]

FILE.npy: masked images in the coursework's format; without it, 20 images of random strokes. Both sides
use the packaged LSTM-32, all cores, after a warm-up: ours with
``autoregressive.pixels.inpainting.posteriors`` in float64, PyTorch (extra ``bench``) with nn.LSTM in
float32 over every completion of every image from pixel 0, read-out included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from autoregressive.images.masked import read_masked
from autoregressive.model import cell_params
from autoregressive.pixels.inpainting import posteriors
from autoregressive.pixels.network import PixelNetwork
from autoregressive.pixels.packaged import packaged_pixels
from autoregressive.pixels.posterior import completions
from autoregressive.versions import versions

_BATCH = 1000


def pytorch(network: PixelNetwork) -> Callable[[np.ndarray], np.ndarray]:
    """The same network in PyTorch: nn.LSTM, ReLU, 64, ReLU, one logit. From images that all miss m
    pixels to log p(completion | observed), (n, 2^m)."""
    import torch

    def fill(tensor: torch.Tensor, value: Any) -> None:
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.array(value)))

    cell = cell_params(network.params)
    lstm = torch.nn.LSTM(1, cell["w_hh"].shape[1], batch_first=True)
    fill(lstm.weight_ih_l0, cell["w_ih"])
    fill(lstm.weight_hh_l0, cell["w_hh"])
    fill(lstm.bias_ih_l0, cell["b"])
    fill(lstm.bias_hh_l0, np.zeros_like(cell["b"]))
    layers: list[Any] = []
    for n in range(len(network.model.readout) + 1):
        w, b = (network.params[f"readout.{n}.{kind}"] for kind in "wb")
        layer = torch.nn.Linear(w.shape[1], w.shape[0])
        fill(layer.weight, w)
        fill(layer.bias, b)
        layers += [torch.nn.ReLU(), layer]
    readout = torch.nn.Sequential(*layers)

    def naive(images: np.ndarray) -> np.ndarray:
        m = int((images[0] < 0).sum())
        whole = np.repeat(np.maximum(images, 0)[:, None], 2**m, axis=1)
        for image, row in zip(images, whole, strict=True):
            row[:, np.flatnonzero(image < 0)] = completions(m)
        flat = torch.from_numpy(whole.reshape(-1, images.shape[1]).astype(np.float32))
        total = []
        with torch.inference_mode():
            for chunk in flat.split(_BATCH):
                logits = readout(lstm(chunk[:, :-1, None])[0])[..., 0]
                loss = torch.nn.functional.softplus(logits) - chunk[:, 1:] * logits
                total.append(loss.double().sum(1))
            log_p = -torch.cat(total).reshape(len(images), -1)
            return torch.log_softmax(log_p, 1).numpy()

    return naive


def strokes(count: int = 20) -> np.ndarray:
    """Random images (count, 784) with a 2 x 2 patch in the middle missing."""
    ink = np.where(np.arange(784) % 9 < 3, 0.7, 0.05)
    masked = (np.random.default_rng(0).random((count, 784)) < ink).astype(np.int8)
    masked[:, [13 * 28 + 13, 13 * 28 + 14, 14 * 28 + 13, 14 * 28 + 14]] = -1
    return masked


def seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    images = read_masked(arguments.file).masked if arguments.file else strokes()
    network = packaged_pixels()
    naive = pytorch(network)
    ours = np.array([p.log_probs for p in posteriors(network, images)])
    theirs = naive(images)
    starts_known = images[:, 0] >= 0
    difference = float(np.abs(ours - theirs)[starts_known].max())

    times: dict[str, list[float]] = {"ours": [], "pytorch": []}
    for _ in range(arguments.repeats):  # side by side, so that both meet the same load
        times["ours"].append(seconds(lambda: posteriors(network, images)))
        times["pytorch"].append(seconds(lambda: naive(images)))
    middle = {name: statistics.median(values) for name, values in times.items()}
    result = {
        "images": len(images),
        "sequences": int(ours.size),
        "seconds": times,
        "median": middle,
        "ratio": middle["pytorch"] / middle["ours"],
        "largest_difference_nats": difference,
        "cores": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
        "torch": version("torch"),
        "versions": versions(),
        "command": "python benchmarks/inpainting.py " + " ".join(sys.argv[1:2]).split("/")[-1],
    }
    print(json.dumps(result, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
