"""Checkpoints: named tensors and a JSON header in one safetensors file. No pickle.

The file's metadata has one entry, ``meta-learn``, of three parts with a space between them: the version
of this layout, a SHA-256 digest over header and tensors, so that damage is noticed, and the header.
Files are written beside their place and renamed: a reader sees the old file or the new one, never half
of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Shaped
from numpy.typing import ArrayLike

from autoregressive.header import Header, Settings

# Tensors by name, of any shape and type.
Tensors = Mapping[str, Shaped[np.ndarray, "..."]]
FORMAT = 2
# The largest file that is opened; networks here have 1e4 to 1e6 numbers.
_MOST_BYTES = 2**30


class CheckpointError(ValueError):
    """A checkpoint cannot be read or does not fit. One line: what was expected, what came."""


def save(path: str | Path, tensors: Mapping[str, ArrayLike], header: Header) -> None:
    """Writes tensors (name -> array) and a JSON header to ``path``, atomically.

    Errors: OSError where the file cannot be written; nothing is left behind then.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    # One entry: several are written in no fixed order, and equal networks would differ as files.
    metadata = {"meta-learn": f"{FORMAT} {tensors_digest(arrays, text)} {text}"}
    write_atomically(path, to_bytes(arrays, metadata))


def load(
    path: str | Path, most_bytes: int = _MOST_BYTES
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], Settings]:
    """The tensors and the header of a checkpoint.

    most_bytes: a larger file is refused before memory is taken for it.
    Errors: CheckpointError where the file is missing, truncated, altered, not a checkpoint of this
    program, or of another format version.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise CheckpointError(
            f"no checkpoint at {path}: {error.strerror or error}; check the path"
        ) from None
    if not path.is_file():
        raise CheckpointError(f"{path} is not a file; a checkpoint is one .safetensors file")
    if size > most_bytes:
        raise CheckpointError(f"{path} has {size} bytes; expected at most {most_bytes}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if "meta-learn" not in metadata:
                raise CheckpointError(
                    f"{path} is a safetensors file but not one that meta-learn wrote: "
                    "its header is missing"
                )
            version, _, rest = metadata["meta-learn"].partition(" ")
            if version != str(FORMAT):
                raise CheckpointError(
                    f"{path} was written by another version of meta-learn (format "
                    f"{version[:20]}, expected {FORMAT}); train it anew"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint (truncated or another kind of file): {error}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    digest, _, text = rest.partition(" ")
    if tensors_digest(tensors, text) != digest:
        raise CheckpointError(f"{path} is damaged: its contents do not match its own checksum")
    try:
        header = json.loads(text)
        # As strict as ``save``: no NaN, no infinity, no text that cannot be written again.
        json.dumps(header, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the header is not a JSON object of finite numbers")
    return tensors, header


def with_prefix(tensors: Tensors, prefix: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """The tensors whose names start with ``prefix``, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@runtime_checkable
class Expected(Protocol):
    """The shape and type that a tensor should have: an array, or what ``jax.eval_shape`` gives."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...


def check_params(
    path: str | Path,
    expected: Mapping[str, Expected],
    params: Tensors,
) -> None:
    """Errors: CheckpointError unless names, shapes and types are the expected ones, all finite."""
    if set(params) != set(expected):
        odd = sorted(set(params) ^ set(expected))
        raise CheckpointError(
            f"{path} is of another architecture: tensors {', '.join(odd)} are missing or not "
            "expected"
        )
    for name, spec in expected.items():
        value = params[name]
        if value.shape != spec.shape or value.dtype != spec.dtype:
            raise CheckpointError(
                f"{path} is of another architecture: tensor {name} is {value.dtype} "
                f"{value.shape}, expected {spec.dtype} {spec.shape}"
            )
        if not np.isfinite(value).all():
            raise CheckpointError(f"{path}: tensor {name} holds NaN or infinity; train it anew")


# Called with the path and the content of every file before it is put into place: a report lists them.
on_write: Callable[[Path, bytes], None] | None = None


def write_atomically(path: str | Path, data: bytes | str) -> None:
    """Writes a whole file beside ``path`` and renames it. Errors: OSError; then no file is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(data, str):
        data = data.encode()
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)  # mkstemp makes files private to the user
        if on_write is not None:
            on_write(path, data)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def settings_digest(settings: object) -> str:
    """24 hexadecimal digits of a SHA-256 over JSON values: names the files of what they determine."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:24]


def tensors_digest(tensors: Mapping[str, ArrayLike], text: str = "") -> str:
    """SHA-256, in hexadecimal, over a text and the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = np.asarray(tensors[name])
        digest.update(f"{name} {value.dtype.str} {value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
