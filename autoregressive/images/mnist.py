"""MNIST, binarised: the four published files (Y. LeCun, C. Cortes, C. J. C. Burges), and the split
55,000 train, 5,000 validation, 10,000 test. Validation is the end of the published training files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from autoregressive.images.binarisation import DEFAULT, Binarisation
from autoregressive.images.fetch import read_verified
from autoregressive.images.idx import IMAGES, LABELS, Kind, parse_idx
from autoregressive.images.image_set import ImageSet, check_split
from autoregressive.images.published import MNIST_PARTS, published_set

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
# SHA-256 of the compressed files, by what stands before "-ubyte.gz".
DIGESTS = {
    "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
# SHA-256 of what is inside them.
CONTENT_DIGESTS = {
    "train-images-idx3": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_mnist(
    split: str, mirrors: Sequence[str] = MIRRORS, *, how: Binarisation = DEFAULT
) -> ImageSet:
    """The binarised images of a split. Errors: DataError (see ``fetch`` and ``idx``)."""
    return published_set("mnist", split, _items(split, IMAGES, mirrors), how)


def load_labels(split: str, mirrors: Sequence[str] = MIRRORS) -> UInt8[np.ndarray, " n"]:
    """The digits of a split. Errors: DataError (see ``fetch`` and ``idx``)."""
    return _items(split, LABELS, mirrors)


def _items(split: str, kind: Kind, mirrors: Sequence[str]) -> UInt8[np.ndarray, "n ..."]:
    check_split(split)
    part = MNIST_PARTS[split]
    stem = f"{part.prefix}-{kind.name}-idx{1 + len(kind.shape)}"
    name = f"{stem}-ubyte.gz"
    content = read_verified("mnist", name, DIGESTS[stem], mirrors, CONTENT_DIGESTS[stem])
    return parse_idx(content, kind, name)[part.start : part.stop]
