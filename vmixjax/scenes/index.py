"""Candidates: pairs of images that have corners in common, without comparing all pairs.

The corners of all images are sorted by some of their bits, several times and each time
by others; those that are alike come to lie beside each other, and only neighbours are
compared. So the work grows with the number of corners, and no faster where thousands of
images have the same ones, as the frames of a film do: neighbours make chains.

References:
  M. Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002;
  G. Manku et al., "Detecting Near-Duplicates for Web Crawling", WWW 2007: sorted
  permutations of bits.
"""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from vmixjax.scenes.descriptor import BYTES, Descriptor

_STARTS = range(0, BYTES, 4)
"""First of the eight bytes that corners are sorted by, each time."""

_SHORTER = 2
"""Bits by which what two neighbours share may be shorter than by chance."""

_ALIKE = 20
"""Bits of 128 that two views of a corner may differ in."""

_NEAR, _SCALE = 3.0, 0.13
"""Pixels of small pictures by which two corners may lie otherwise than in the other
view; and what is added for each pixel between them."""

_WEAK, _WEAK_PART = 500, 50
"""Candidates with no more than two corners in common: so many, and one for so many
images. Few of them show the same, and by chance there are more in larger data sets."""

_SLICE = 2**20
"""Corners that are looked at together: bounds memory."""


class Index:
    """Descriptors of all images of a data set, packed; may be filled from many threads.

    Args:
      count: Number of the images.
    """

    def __init__(self, count: int) -> None:
        self._sizes = np.zeros((count, 2), np.int32)
        self._counts = np.zeros(count + 1, np.int64)
        self._parts: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()

    def add(self, first: int, descriptors: Sequence[Descriptor | None]) -> None:
        """Takes descriptors of images that follow each other.

        Args:
          first: Number of the first image.
          descriptors: One for each; None for an image that cannot be read.
        """
        there = [one for one in descriptors if one is not None]
        if not there:
            return
        corners = np.concatenate([one.corners for one in there])
        bits = np.concatenate([one.bits for one in there])
        with self._lock:
            for number, one in enumerate(descriptors, first):
                if one is not None:
                    self._sizes[number] = one.height, one.width
                    self._counts[number + 1] = len(one.corners)
            self._parts[first] = corners, bits

    def pack(self) -> "Packed":
        """Gives all that was taken; nothing can be added any more."""
        parts = [self._parts.pop(first) for first in sorted(self._parts)]
        empty = np.empty((0, 2), np.uint8), np.empty((0, BYTES), np.uint8)
        parts = parts or [empty]
        corners, bits = (np.concatenate([part[i] for part in parts]) for i in range(2))
        return Packed(self._sizes, np.cumsum(self._counts), corners, bits)


class Packed:
    """Descriptors of all images, in the order of the images.

    Args:
      sizes: int32 (N, 2), height and width of each.
      ends: int64 (N + 1), where the corners of each begin; then their number.
      corners: uint8 (K, 2), see `Descriptor`.
      bits: uint8 (K, 16).
    """

    def __init__(
        self,
        sizes: np.ndarray,
        ends: np.ndarray,
        corners: np.ndarray,
        bits: np.ndarray,
    ) -> None:
        self._sizes, self._ends = sizes, ends
        self._corners, self._bits = corners, bits
        counts = np.diff(ends)
        self._owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    def __getitem__(self, image: int) -> Descriptor:
        """Gives the descriptor of an image."""
        part = slice(self._ends[image], self._ends[image + 1])
        height, width = self._sizes[image].tolist()
        return Descriptor(height, width, self._corners[part], self._bits[part])

    @property
    def nbytes(self) -> int:
        """Bytes of all descriptors."""
        arrays = self._sizes, self._ends, self._corners, self._bits, self._owners
        return sum(array.nbytes for array in arrays)

    def candidates(self) -> np.ndarray:
        """Finds pairs of images that have at least two corners in common.

        These have to lie to each other in one view as they do in the other.

        Returns:
          int64 (P, 2), the earlier image first; pairs with more in common come first.
        """
        parts = [self._agreeing(codes) for codes in self._alike()]
        parts = parts or [(np.empty(0, np.int64),) * 2]
        found, counts = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        strong, weak = found[counts > 1], found[counts == 1]
        most = _WEAK + len(self._sizes) // _WEAK_PART
        weak = weak[:: max(1, -(-len(weak) // most))]
        order = np.argsort(-counts[counts > 1], kind="stable")
        found = np.concatenate([strong[order], weak])
        return np.stack([found // len(self._sizes), found % len(self._sizes)], 1)

    def _alike(self) -> Iterator[np.ndarray]:
        """Pairs of corners of different images with nearly the same bits.

        Yields:
          Codes of some of them, in order; all that have the same first image.
        """
        count = max(len(self._bits), 1)
        found = [np.empty(0, np.int64)]
        for start in _STARTS:
            found += [a * count + b for a, b in self._neighbours(start)]
        codes = np.concatenate(found)
        del found
        codes.sort()
        begin = 0
        while begin < len(codes):
            last = codes[min(begin + _SLICE, len(codes)) - 1]
            stop = int(self._ends[self._owners[last // count] + 1]) * count
            end = int(np.searchsorted(codes, stop))
            yield codes[begin:end]
            begin = end

    def _agreeing(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Codes of pairs of images, and how many of their corners lie alike."""
        codes, _ = _distinct(codes)
        first = codes // len(self._bits)
        second = codes - first * len(self._bits)
        pairs = self._owners[first].astype(np.int64) * len(self._sizes)
        pairs += self._owners[second]
        order = np.argsort(pairs, kind="stable")
        first, second, pairs = first[order], second[order], pairs[order]
        agree = np.zeros(len(pairs), bool)
        for apart in (1, 2, 3):
            (at,) = np.nonzero(pairs[apart:] == pairs[:-apart])
            on = at + apart
            agree[on] |= self._agree(first[at], second[at], first[on], second[on])
        return _distinct(pairs[agree])

    def _neighbours(self, start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Corners that are alike, among those whose bits from a byte on are alike."""
        count, words = len(self._bits), self._bits.view(np.uint64)
        number = max(count - 1, 1).bit_length()
        keys = self._sorted(start, number)
        mask = np.uint64((1 << number) - 1)
        # What neighbours have in common by chance is about as long as a number.
        differ = np.uint64(1) << np.uint64(64 - max(number - _SHORTER, 0) - 1)
        for begin in range(0, count, _SLICE):
            part = keys[begin : begin + _SLICE + 1]
            near = (part[1:] ^ part[:-1]) < differ
            a = (part[:-1][near] & mask).astype(np.int64)
            b = (part[1:][near] & mask).astype(np.int64)
            other = self._owners[a] != self._owners[b]
            a, b = a[other], b[other]
            alike = _different_bits(words[a], words[b]) <= _ALIKE
            a, b = a[alike], b[alike]
            yield np.minimum(a, b), np.maximum(a, b)

    def _sorted(self, start: int, number: int) -> np.ndarray:
        """Bits from a byte on, and behind them the number of the corner, in order."""
        columns = [(start + i) % BYTES for i in range(8)]
        keys = np.zeros(len(self._bits), np.uint64)
        for column in columns:
            keys <<= np.uint64(8)
            keys |= self._bits[:, column]
        keys >>= np.uint64(number)
        keys <<= np.uint64(number)
        keys |= np.arange(len(keys), dtype=np.uint64)
        keys.sort()
        return keys

    def _agree(
        self, a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
    ) -> np.ndarray:
        """Whether c lies to a, in one view, as d to b in the other, and apart."""
        corners = self._corners
        one = [corners[c, i].astype(np.int16) - corners[a, i] for i in (0, 1)]
        other = [corners[d, i].astype(np.int16) - corners[b, i] for i in (0, 1)]
        length = np.maximum(np.abs(one[0]), np.abs(one[1]))
        apart = np.maximum(np.abs(one[0] - other[0]), np.abs(one[1] - other[1]))
        there = np.maximum(np.abs(other[0]), np.abs(other[1]))
        near = apart <= _NEAR + _SCALE * length
        return near & (length > _NEAR) & (there > _NEAR)


def _different_bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Counts the bits in which rows of words differ."""
    count = np.zeros(len(one), np.uint8)
    for column in range(one.shape[1]):
        count += np.bitwise_count(one[:, column] ^ other[:, column])
    return count


def _distinct(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct numbers in their order, and how often each is there.

    As `numpy.unique`, which takes several times longer for millions of them.
    """
    if not len(codes):
        return codes, np.empty(0, np.int64)
    codes = np.sort(codes)
    (starts,) = np.nonzero(np.diff(codes, prepend=-1))
    return codes[starts], np.diff(starts, append=len(codes))
