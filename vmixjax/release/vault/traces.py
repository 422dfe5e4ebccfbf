"""What a vault remembers of the files that a release was made of, as bytes."""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from vmixjax.data.bounded import parse_json
from vmixjax.data.example import Trace
from vmixjax.release.schema import Count
from vmixjax.release.vault.entry import bytes_name, name_bytes

TOGETHER = 2**12
"""Traces that are sealed as one."""

_MOST_BYTES = 2**26
"""Of so many: names have 4,096 bytes at most."""


class _Row(msgspec.Struct, array_like=True):
    """A trace; names as bytes, since they need not be text."""

    split: str
    name: bytes
    start: Count
    stop: Count
    size: Count
    time: int


def encode(traces: Sequence[Trace]) -> bytes:
    """Gives the bytes that `decode` makes the same traces of."""
    rows = [_Row(one.split, name_bytes(one.name), *one[2:]) for one in traces]
    return zlib.compress(json.dumps(msgspec.to_builtins(rows)).encode())


def decode(data: bytes) -> Iterator[Trace]:
    """Makes the traces of what `encode` gave.

    Raises:
      ValueError, zlib.error: It is damaged.
    """
    # No more is inflated than there should be.
    text = zlib.decompressobj().decompress(data, _MOST_BYTES)
    for row in parse_json(text, list[_Row]):
        yield Trace(
            row.split, bytes_name(row.name), row.start, row.stop, row.size, row.time
        )


def in_pieces(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    """Yields traces so many at a time."""
    piece: list[Trace] = []
    for one in traces:
        piece.append(one)
        if len(piece) == TOGETHER:
            yield piece
            piece = []
    if piece:
        yield piece
