"""Trained networks of images that come with the package.

``meta-learn pixels train`` made them; ``weights/*.json`` beside them are the manifests of those runs.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from autoregressive.checkpoint import CheckpointError
from autoregressive.pixels.network import PixelNetwork

DEFAULT_PIXELS = "lstm-32"


def packaged_pixels(name: str = DEFAULT_PIXELS) -> PixelNetwork:
    """A packaged network of MNIST images. Errors: CheckpointError for an unknown name."""
    known = packaged_names()
    if name not in known:
        raise CheckpointError(f"no packaged network {name!r}: expected one of {', '.join(known)}")
    with as_file(files("autoregressive") / "weights" / f"{name}.safetensors") as path:
        return PixelNetwork.load(path)


def load_pixels(checkpoint: str | Path | None = None) -> PixelNetwork:
    """A saved network of images, or the packaged default. Errors: CheckpointError."""
    return packaged_pixels() if checkpoint is None else PixelNetwork.load(checkpoint)


def packaged_stages() -> dict[str, PixelNetwork]:
    """The packaged default network after 0 epochs, 1 epoch and all, by titles for figures."""
    stages = {"0 epochs": "-epoch-0", "1 epoch": "-epoch-1", "trained": ""}
    return {title: packaged_pixels(DEFAULT_PIXELS + stage) for title, stage in stages.items()}


def packaged_names() -> list[str]:
    """The names that ``packaged_pixels`` knows."""
    folder = files("autoregressive") / "weights"
    if not folder.is_dir():
        return []
    stems = (item.name for item in folder.iterdir() if item.name.endswith(".safetensors"))
    return sorted(name.removesuffix(".safetensors") for name in stems)
