"""A user's own pictures from a folder: PNG and other formats that Pillow reads.

Grey levels come as they are stored. A colour picture counts as grey where its red, green and blue agree
in every pixel; others are refused, since there are several ways to make them grey. So are transparent
pictures.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Shaped

from autoregressive.errors import DataError
from autoregressive.images.sizes import MOST_IMAGES, MOST_PLACES, format_shape

if TYPE_CHECKING:
    from PIL.Image import Image

# What counts as a picture in a folder.
SUFFIXES = (
    ".png",
    ".bmp",
    ".gif",
    ".jpg",
    ".jpeg",
    ".pbm",
    ".pgm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)


def picture_files(folder: Path) -> list[Path]:
    """The pictures that lie in a folder, by name, hidden files left out. Errors: OSError."""
    files = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    return sorted(p for p in files if not p.name.startswith("."))


def read_pictures(files: Sequence[Path]) -> Shaped[np.ndarray, "n rows columns"]:
    """The grey levels of pictures of one size: uint8, float32 0 to 1 where any has 16 bits, or bool
    where all have one bit.

    Errors: DataError, one line, for what is no picture, has colours, transparent places or several
    frames, and for pictures of several sizes.
    """
    if len(files) > MOST_IMAGES:
        raise DataError(f"{len(files):,} pictures; expected at most {MOST_IMAGES:,}")
    grey: list[Shaped[np.ndarray, "rows columns"]] = []
    for path in files:
        one = read_picture(path)
        if grey and one.shape != grey[0].shape:
            raise DataError(
                f"{path} has {format_shape(one.shape)} pixels, {files[0].name} before it "
                f"{format_shape(grey[0].shape)}: expected pictures of one size; scale them or give a "
                "folder of each size"
            )
        grey.append(one)
    kinds = {one.dtype.kind for one in grey}
    if kinds == {"b"}:
        return np.stack(grey)
    if "f" not in kinds:
        return np.stack([one * np.uint8(255) if one.dtype.kind == "b" else one for one in grey])
    white = {"b": 1, "u": 255, "f": 1}
    return np.stack([(one / white[one.dtype.kind]).astype(np.float32) for one in grey])


def read_picture(path: Path) -> Shaped[np.ndarray, "rows columns"]:
    """One picture, as ``read_pictures`` gives many: uint8, float32 or bool. Errors: DataError."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about metadata, and sizes, which _check looks at
            with Image.open(path) as image:
                _check(image, path)
                return _grey(ImageOps.exif_transpose(image), path)
    except DataError:
        raise
    except UnidentifiedImageError:
        called = path.suffix.lower() == ".png"
        raise DataError(
            f"{path} is not a picture that can be read: "
            + (
                "its content is no PNG; remove it, or save the picture again"
                if called
                else "save it as PNG"
            )
        ) from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} is too large: expected at most {MOST_PLACES:,} pixels") from None
    except PermissionError as error:
        raise DataError(f"cannot read {path} ({error.strerror}): check its permissions") from None
    # What Pillow's readers raise for broken files.
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:80]
        raise DataError(f"{path} is a broken picture ({reason}): save it again as PNG") from None


def _check(image: Image, path: Path) -> None:
    """Errors: DataError for the size or the number of frames, seen before any pixel is decoded."""
    places = image.width * image.height
    if not 2 <= places <= MOST_PLACES:
        raise DataError(
            f"{path} has {image.height} x {image.width} pixels; expected 2 to {MOST_PLACES:,} in all: "
            "scale it"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{path} has {frames} frames; expected one: save each as a PNG")


def _grey(image: Image, path: Path) -> Shaped[np.ndarray, "rows columns"]:
    mode = image.mode
    if mode == "1":
        return np.asarray(image, bool)
    if mode.startswith("I"):  # PNG and TIFF of 16 bits
        levels = np.asarray(image)
        if levels.min() < 0 or levels.max() > 65535:
            raise DataError(f"{path} has more than 16 bits a pixel: save it as PNG of 8 bits")
        return (levels.astype(np.float64) / 65535).astype(np.float32)
    if mode == "L" and "transparency" not in image.info:
        return np.asarray(image, np.uint8)
    if mode not in ("L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"):
        raise DataError(f"{path} is of mode {mode}; expected grey levels: save it as a grey PNG")
    levels = np.asarray(image.convert("RGBA"), np.uint8)
    if (levels[..., 3] < 255).any():
        raise DataError(
            f"{path} has transparent pixels; expected grey levels alone: lay it over a background"
        )
    colour = (levels[..., :3] != levels[..., :1]).any(-1)
    if colour.any():
        row, column = (int(i) for i in np.argwhere(colour)[0])
        rgb = ", ".join(map(str, levels[row, column, :3]))
        raise DataError(
            f"{path} has colours, ({rgb}) in row {row}, column {column}; expected grey levels: save "
            "it as grey"
        )
    return levels[..., 0]
