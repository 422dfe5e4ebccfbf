"""ArrayRecord files: checked before their reader, which trusts them, opens them.

The reader takes as much memory as a file says, and ends the process where the index
at the end of a file says the wrong things. So all that it would follow is followed
here first, without decoding any record: chunk after chunk of Riegeli's format
(`riegeli_records_file_format.md`), each of which the index has to describe as it is.
"""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from array_record.python import array_record_module

# A file consists of blocks; each begins with a header, in the midst of anything.
_BLOCK, _BLOCK_HEADER = 1 << 16, 24
_USABLE = _BLOCK - _BLOCK_HEADER
_CHUNK_HEADER = 40
_SIGNATURE = struct.pack(
    "<8Q",
    *(0x3F4A880DD170AF83, 0, 64),
    *(0xA9E187923CC2BA91, 0, 0x72C3B1E9C0139FE1, ord("s"), 0),
)
_MAGIC = 0x71930E704FDAE05E
# First bits of a Brotli stream that takes up to a gigabyte, whatever it holds.
_LARGE_WINDOW = 0x11
_CODECS = {b"b": "brotli", b"s": "snappy", b"z": "zstd"}
_OTHER = "has an index of other records than it holds"
# What is stored of each record of a chunk beside its bytes; doubled while it grows.
_PER_RECORD = 16


class _Chunk(NamedTuple):
    """The header of a chunk, where it is, and the first byte of its data."""

    begin: int
    end: int
    kind: str
    size: int
    records: int
    decoded: int
    first: bytes


def check_array_record(path: Path, *, limit: int) -> int:
    """Checks that an ArrayRecord file can be given to its reader.

    What passes, the reader opens, and no record in it takes more memory than about five
    times the limit. Some may still not be readable: neither their checksums nor what is
    compressed is looked at. Files of TFDS and of this package pass; records that are
    transposed do not.

    Args:
      path: Path of the file.
      limit: Most bytes of a chunk of records, and of the index, once decoded. That
        is a record where each is a chunk of its own.

    Returns:
      The number of records.

    Raises:
      ValueError: The file must not be read; says why, as in "is truncated".
      OSError: It cannot be read.
    """
    # A pipe would block.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is no regular file")
        count = _check(file, status.st_size, limit)
    finally:
        os.close(file)
    # It has checksums for the index, and tells only those who ask.
    reader = array_record_module.ArrayRecordReader(os.fspath(path))
    if not reader.ok() or reader.num_records() != count:
        raise ValueError("is damaged: its index cannot be read")
    return count


def _check(file: int, size: int, limit: int) -> int:
    if os.pread(file, len(_SIGNATURE), 0) != _SIGNATURE:
        raise ValueError("is no ArrayRecord file")
    last = size - _BLOCK
    try:
        footer = _chunk(file, _footer(file, last), last)
    except ValueError as error:
        raise ValueError("is truncated, or has something behind its end") from error
    _check_chunk(footer, limit)
    _check_streams(file, footer, limit)
    total, entries, lengths = _records(file, footer, limit)
    _check_index(file, footer, limit, total, entries, lengths)
    for begin, end in ((footer.end, last), (_chunk(file, last, size).end, size)):
        for chunk in _chunks(file, begin, end):
            _check_padding(file, chunk)
    return total


def _footer(file: int, last: int) -> int:
    """Where the last block says that the index begins."""
    if last <= 0 or last % _BLOCK:
        raise ValueError("has no whole number of blocks")
    chunk = _chunk(file, last, last + _BLOCK)
    data = _read(file, last, _CHUNK_HEADER, min(chunk.size, 128))
    # Three times the same.
    offset, _ = _varint(data, 6)
    entry = b"\x08%b\x10%b" % (_encoded(offset), _encoded(_MAGIC))
    header = chunk.kind, chunk.records, chunk.decoded
    if (
        header != ("r", 3, 3 * len(entry))
        or data != b"\0\3" + bytes([len(entry)] * 3) + entry * 3
        or not len(_SIGNATURE) <= offset < last
        or 0 < offset % _BLOCK <= _BLOCK_HEADER
    ):
        raise ValueError("has no index at the place where it says")
    return offset


def _records(file: int, footer: _Chunk, limit: int) -> tuple[int, bytes, bytes]:
    """All chunks up to the index: the number of records, and what is to be in it."""
    count = total = group = 0
    begin = len(_SIGNATURE)
    entries, lengths = bytearray(), bytearray()
    for chunk in _chunks(file, begin, footer.begin):
        if chunk.kind != "r":
            _check_padding(file, chunk)
            continue
        _check_chunk(chunk, limit)
        _check_streams(file, chunk, limit)
        # By the number in the first, the reader finds all others.
        group = group or chunk.records
        if total != count * group or not 0 < chunk.records <= group:
            raise ValueError("has chunks with unequal numbers of records")
        # What lies before the next chunk is read with this one.
        _check_span(chunk.begin - begin, limit)
        begin = chunk.begin
        count += 1
        total += chunk.records
        if count >= footer.records:
            raise ValueError(_OTHER)
        entry = b"\x08%b\x10%b\x18%b" % (
            _encoded(chunk.begin),
            _encoded(chunk.decoded),
            _encoded(chunk.records),
        )
        entries += entry
        lengths.append(len(entry))
    _check_span(footer.begin - begin, limit)
    return total, bytes(entries), bytes(lengths)


def _check_index(
    file: int, footer: _Chunk, limit: int, total: int, entries: bytes, lengths: bytes
) -> None:
    """Checks the index byte by byte: another parser might take it for another one."""
    sizes, index = _decode(file, footer, limit)
    first, at = _varint(sizes, 0)
    counts = b"\x08\x01\x10%b\x18%b" % (_encoded(len(lengths)), _encoded(total))
    about = _field(b"\x0a", index[:first])
    if (
        footer.records != 1 + len(lengths)
        or sizes[at:] != lengths
        or index[first:] != entries
        or not about.startswith(counts)
    ):
        raise ValueError(_OTHER)
    if about != counts:
        # Options of the writer, which older ones do not keep.
        _field(b"\x22", about.removeprefix(counts))


def _field(tag: bytes, data: bytes) -> bytes:
    """The content of a message that consists of one field of bytes."""
    size, at = _varint(data, 1)
    if data[:at] != tag + _encoded(size) or size != len(data) - at:
        raise ValueError(_OTHER)
    return data[at:]


def _chunks(file: int, begin: int, end: int) -> Iterator[_Chunk]:
    """All chunks from one to the next, which have to fill the space exactly."""
    while begin < end:
        chunk = _chunk(file, begin, end)
        yield chunk
        begin = chunk.end


def _chunk(file: int, begin: int, end: int) -> _Chunk:
    header = _read(file, begin, 0, _CHUNK_HEADER + 1)
    if len(header) < _CHUNK_HEADER:
        raise ValueError("is truncated")
    size, kind, decoded = struct.unpack_from("<8xQ8xQQ", header)
    records = kind >> 8
    stop = begin + records
    if 0 < stop % _BLOCK <= _BLOCK_HEADER:
        stop += _BLOCK_HEADER + 1 - stop % _BLOCK
    stop = max(stop, _position(begin, _CHUNK_HEADER + size))
    if stop > end:
        raise ValueError("is damaged: a chunk runs beyond its end")
    first = header[_CHUNK_HEADER:]
    return _Chunk(begin, stop, chr(kind & 255), size, records, decoded, first)


def _check_chunk(chunk: _Chunk, limit: int) -> None:
    """Checks the header of a chunk with records."""
    if chunk.kind != "r":
        raise ValueError(f"has a chunk of kind {chunk.kind!r}, which is not read")
    _check_decoded(max(chunk.decoded, _PER_RECORD * chunk.records), limit)
    _check_span(chunk.end - chunk.begin, limit)


def _check_streams(file: int, chunk: _Chunk, limit: int) -> None:
    """Checks the two streams of a chunk, lengths and records, for what they expand to.

    Those of Zstandard are never decoded beyond what the header says, those of Snappy
    always at once, and those of Brotli a window at once.
    """
    if chunk.first in (b"\0", b"z"):
        return
    length, at = _varint(_read(file, chunk.begin, _CHUNK_HEADER, 16), 1)
    for start in (at, at + length):
        if start >= chunk.size:
            raise ValueError("is damaged: a chunk ends early")
        head = _read(file, chunk.begin, _CHUNK_HEADER + start, 24)
        _, at = _varint(head, 0)
        if chunk.first == b"s":
            _check_decoded(_varint(head, at)[0], limit)
        elif chunk.first != b"b" or head[at] & 0x7F == _LARGE_WINDOW:
            raise ValueError("has a chunk of an unknown compression")


def _check_decoded(size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"has {size} bytes to decode at once, over {limit}")


def _check_span(size: int, limit: int) -> None:
    # What does not compress, grows; and then there may be padding.
    if size > limit + limit // 8 + 2 * _BLOCK:
        raise ValueError(f"has {size} bytes to read at once, over {limit}")


def _check_padding(file: int, chunk: _Chunk) -> None:
    if chunk.kind != "p":
        raise ValueError(f"has a chunk of kind {chunk.kind!r}, which is not read")
    if chunk.records or chunk.decoded or chunk.size > 2 * _BLOCK:
        raise ValueError("is damaged: its padding is none")
    if _read(file, chunk.begin, _CHUNK_HEADER, chunk.size).strip(b"\0"):
        raise ValueError("has something hidden in its padding")


def _decode(file: int, chunk: _Chunk, limit: int) -> tuple[bytes, bytes]:
    """The lengths of the records of a chunk, as varints, and the records."""
    data = _read(file, chunk.begin, _CHUNK_HEADER, chunk.size)
    size, at = _varint(data, 1)
    lengths = _inflate(chunk.first, data[at : at + size], limit)
    records = _inflate(chunk.first, data[at + size :], limit)
    if len(records) != chunk.decoded:
        raise ValueError("is damaged: its index cannot be read")
    return lengths, records


def _inflate(kind: bytes, data: bytes, limit: int) -> bytes:
    if kind == b"\0":
        return data
    # TFDS needs it too; files that this package writes do not.
    import pyarrow

    size, at = _varint(data, 0)
    _check_decoded(size, limit)
    try:
        inflated: bytes = pyarrow.Codec(_CODECS[kind]).decompress(
            data[at:], size, asbytes=True
        )
    except (KeyError, OSError, pyarrow.ArrowException) as error:
        raise ValueError("is damaged: its index cannot be read") from error
    return inflated


def _position(begin: int, size: int) -> int:
    """Where the given number of bytes of a chunk end, with headers of blocks."""
    blocks = (size + (begin + _USABLE - 1) % _BLOCK) // _USABLE
    return begin + size + blocks * _BLOCK_HEADER


def _read(file: int, begin: int, skip: int, size: int) -> bytes:
    """Bytes of a chunk, without the headers of blocks; fewer at the end of the file."""
    start, stop = _position(begin, skip), _position(begin, skip + size)
    data = os.pread(file, stop - start, start)
    first = -start % _BLOCK
    if first >= stop - start:
        return data
    parts = [data[:first]]
    for at in range(first, len(data), _BLOCK):
        parts.append(data[at + _BLOCK_HEADER : at + _BLOCK])
    return b"".join(parts)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of up to 64 bits, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
    raise ValueError("is damaged: a number has no end")


def _encoded(number: int) -> bytes:
    """A varint, as short as it can be."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    data.append(number)
    return bytes(data)
