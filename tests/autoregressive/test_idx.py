"""IDX files: what is sound is read back, what is not is refused in one clear line."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoregressive.errors import DataError
from autoregressive.images.idx import IMAGES, LABELS, parse_idx


def idx(magic, shape, content):
    return gzip.compress(struct.pack(f">I{len(shape)}I", magic, *shape) + content)


SOUND = idx(0x803, (3, 28, 28), bytes(3 * 784))


@given(n=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_images_come_back(n, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, 28, 28), np.uint8)
    packed = idx(0x803, (n, 28, 28), pixels.tobytes())
    for data in (packed, gzip.decompress(packed)):
        got = parse_idx(data, IMAGES, "f")
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, pixels)


@given(labels=st.lists(st.integers(0, 9), min_size=1, max_size=30))
@settings(deadline=None, max_examples=20)
def test_labels_come_back(labels):
    got = parse_idx(idx(0x801, (len(labels),), bytes(labels)), LABELS, "f")
    assert got.tolist() == labels


BROKEN = {
    "a web page": (b"\n<html>not found</html>", "f is a web page, not an IDX file"),
    "neither": (
        b"another file, not packed",
        "expected the magic number 0x00000803, got 0x616e6f74",
    ),
    "gzip cut short": (SOUND[:-12], "f is not a whole gzip file"),
    "gzip with a wrong checksum": (SOUND[:-8] + bytes(8), "f is not a whole gzip file"),
    "gzip with a broken body": (SOUND[:10] + b"\xff" + SOUND[11:], "f is not a whole gzip file"),
    "empty": (b"", "holds only 0"),
    "half a header": (gzip.compress(b"\0\0\x08\x03\0\0"), "header of 16 bytes but holds only 6"),
    "labels": (idx(0x801, (2000,), bytes(2000)), "expected the magic number 0x00000803, got 0x000"),
    "other sides": (idx(0x803, (3, 32, 32), bytes(3 * 1024)), "but declares 3 x 32 x 32"),
    "no images": (idx(0x803, (0, 28, 28), b""), "but declares 0 x 28 x 28"),
    "absurdly many": (idx(0x803, (2**32 - 1, 28, 28), b""), "but declares 4294967295 x 28 x 28"),
    "absurd sides": (idx(0x803, (1, 2**31, 2**31), b""), "n x 28 x 28 images with n from 1"),
    "too few pixels": (
        idx(0x803, (3, 28, 28), bytes(2351)),
        "declares 2,352 bytes of images but h",
    ),
    "too many pixels": (
        idx(0x803, (3, 28, 28), bytes(2353)),
        "2,352 bytes of images but holds more",
    ),
}


@pytest.mark.parametrize("content, message", BROKEN.values(), ids=BROKEN)
def test_broken_images_are_refused(content, message):
    with pytest.raises(DataError) as error:
        parse_idx(content, IMAGES, "f")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_images_are_not_labels():
    with pytest.raises(DataError, match=r"does not hold MNIST labels: expected .* 0x00000801"):
        parse_idx(SOUND, LABELS, "f")


@given(content=st.binary(max_size=200))
@settings(deadline=None)
def test_no_rubbish_gets_another_error(content):
    with pytest.raises(DataError):
        parse_idx(gzip.compress(content), IMAGES, "f")


@given(at=st.integers(1, 8), bit=st.integers(0, 7))
@settings(deadline=None)
def test_a_flipped_bit_in_the_checksum_or_the_length_is_refused(at, bit):
    content = bytearray(SOUND)
    content[-at] ^= 1 << bit
    with pytest.raises(DataError, match="f is not a whole gzip file"):
        parse_idx(bytes(content), IMAGES, "f")


def peak_of(content):
    tracemalloc.start()
    with pytest.raises(DataError):
        parse_idx(content, IMAGES, "f")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_bomb_is_not_unpacked():
    assert peak_of(idx(0x803, (3, 28, 28), bytes(2**26))) < 2**22


def test_a_short_file_that_declares_much_takes_little():
    assert peak_of(idx(0x803, (100_000, 28, 28), bytes(784))) < 2**22
