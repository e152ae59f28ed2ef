"""The digits of EMNIST, binarised (G. Cohen, S. Afshar, J. Tapson, A. van Schaik, 2017).

The published images lie on their side, mirrored: rows and columns change places here, so that digits
stand upright as MNIST's do. Split: 220,000 train, 20,000 validation (the end of the published training
file), 40,000 test. The files are published inside one archive of 560 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.fetch import read_from_archive
from autoregressive.images.idx import IMAGES, parse_idx
from autoregressive.images.image_set import ImageSet, check_split
from autoregressive.images.published import Part, published_set

MIRRORS = (
    "https://biometrics.nist.gov/cs_links/EMNIST/",
    "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
)
ARCHIVE = "gzip.zip"
# SHA-256 of the archive, as TensorFlow Datasets has it, and MD5 of the compressed files in it, as
# Deeplearning4j has them.
ARCHIVE_DIGEST = "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"
DIGESTS = {
    "emnist-digits-train-images-idx3-ubyte.gz": "d2662ecdc47895a6bbfce25de9e9a677",
    "emnist-digits-test-images-idx3-ubyte.gz": "a159b8b3bd6ab4ed4793c1cb71a2f5cc",
}
_PARTS = {
    "train": Part("train", 0, 220_000),
    "validation": Part("train", 220_000, 240_000),
    "test": Part("test", 0, 40_000),
}


def load_emnist_digits(
    split: str, mirrors: Sequence[str] = MIRRORS, *, how: Binarisation = DEFAULT
) -> ImageSet:
    """The binarised images of a split. Errors: DataError (see ``fetch`` and ``idx``)."""
    check_split(split)
    part = _PARTS[split]
    name = f"emnist-digits-{part.prefix}-images-idx3-ubyte.gz"
    content = read_from_archive("emnist", name, DIGESTS, ARCHIVE, ARCHIVE_DIGEST, mirrors)
    grey = parse_idx(content, IMAGES, name)[part.start : part.stop]
    return published_set("emnist-digits", split, grey.swapaxes(1, 2), how)
