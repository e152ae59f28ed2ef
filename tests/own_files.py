"""Files of images as users have them, made of arrays."""

import gzip
import io
import struct

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (10, 5, 7), np.uint8)
BINARY = GREY > 127


def idx(grey, packed=False, magic=0x803):
    data = struct.pack(f">{1 + grey.ndim}I", magic, *grey.shape) + grey.tobytes()
    return gzip.compress(data) if packed else data


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def png(array, mode=None, suffix="png", **options):
    image = Image.fromarray(array)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, suffix, **options)
    return file.getvalue()


def pictures(arrays=GREY, **options):
    return {
        f"{n:02}.{options.get('suffix', 'png')}": png(a, **options) for n, a in enumerate(arrays)
    }


def lay(root, content, name="images"):
    """Bytes as a file, a dict as a folder."""
    path = root / name
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    path.mkdir(exist_ok=True)
    for inside, more in content.items():
        lay(path, more, inside)
    return path
