"""ArrayRecord files are checked before their reader follows what they say."""

import os
import random
import struct
import subprocess
import sys
import time

import pytest
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from vmixjax.data.formats.tfds.array_record import check_array_record

BLOCK = 1 << 16
LIMIT = 1 << 22
PLAIN = "group_size:1,uncompressed"
INDEX = "index of other records"
# The first chunk with records, and what its header says.
FIRST, SIZE, KIND, COUNT, DECODED = 64, 72, 88, 89, 96


def write(path, records, options=PLAIN):
    writer = ArrayRecordWriter(str(path), options)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def some(count=20, size=300, seed=0):
    rng = random.Random(seed)
    return [rng.randbytes(size) for _ in range(count)]


def change(path, at, data):
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def number(value):
    return struct.pack("<Q", value)


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "file", some())


def refused(path, reason, limit=LIMIT):
    with pytest.raises(ValueError, match=reason):
        check_array_record(path, limit=limit)


@pytest.mark.parametrize("packing", ["uncompressed", "zstd", "brotli", "snappy", ""])
@pytest.mark.parametrize("group", [1, 7, 1000])
@pytest.mark.parametrize("padded", ["false", "true"])
def test_files_of_the_writer_pass(tmp_path, packing, group, padded):
    options = [f"group_size:{group}", f"pad_to_block_boundary:{padded}", packing]
    path = write(tmp_path / "file", some(40), ",".join(filter(None, options)))
    assert check_array_record(path, limit=LIMIT) == 40


@pytest.mark.parametrize("size", [0, 1, BLOCK - 130, BLOCK, 3 * BLOCK, LIMIT])
def test_records_of_any_size_pass(tmp_path, size):
    path = write(tmp_path / "file", some(3, size))
    assert check_array_record(path, limit=LIMIT) == 3


def test_headers_of_chunks_may_lie_across_blocks(tmp_path):
    # Where the second chunk begins: 22 bytes before its data in the first.
    for end in range(BLOCK - 80, BLOCK + 2):
        path = write(tmp_path / "file", [bytes(end - FIRST - 45), b"second", b"third"])
        assert check_array_record(path, limit=LIMIT) == 3


@pytest.mark.parametrize("options", ["", PLAIN])
def test_a_file_without_records_passes(tmp_path, options):
    assert check_array_record(write(tmp_path / "file", [], options), limit=LIMIT) == 0


@pytest.mark.parametrize("length", [1, 20, 40, 41, 42, 43, 60, 100])
def test_writers_may_have_options_of_any_length(tmp_path, length):
    options = f"{PLAIN},max_parallelism:{'0' * length}1"
    assert check_array_record(write(tmp_path / "file", some(2), options), limit=LIMIT)


@pytest.mark.parametrize("packing", ["zstd", "brotli", "snappy"])
def test_bombs(tmp_path, packing):
    bomb = write(tmp_path / "bomb", [bytes(LIMIT + 1)], f"group_size:1,{packing}")
    refused(bomb, f"has {LIMIT + 1} bytes to decode at once, over {LIMIT}")
    assert check_array_record(bomb, limit=LIMIT + 1) == 1


def test_what_is_decoded_at_once_counts_not_a_record(tmp_path):
    group = write(tmp_path / "group", [bytes(1000)] * 10, "group_size:10")
    refused(group, "has 10000 bytes to decode at once, over 1000", limit=1000)
    many = write(tmp_path / "many", [b""] * 10_000, "group_size:10000")
    refused(many, "has 160000 bytes to decode at once", limit=100_000)
    index = write(tmp_path / "index", [b""] * 1000)
    refused(index, "has 16016 bytes to decode at once, over 10000", limit=10_000)


def test_snappy_is_not_believed_what_it_decodes_to(tmp_path):
    path = write(tmp_path / "file", [bytes(LIMIT + 1)], "group_size:1,snappy")
    change(path, DECODED, number(10))
    refused(path, f"has {LIMIT + 1} bytes to decode at once")


def test_brotli_must_not_take_a_gigabyte_for_its_window(tmp_path):
    options = "group_size:1,brotli:5,window_log"
    assert check_array_record(
        write(tmp_path / "24", some(), f"{options}:24"), limit=999
    )
    refused(write(tmp_path / "25", some(), f"{options}:25"), "unknown compression")


def test_what_is_read_at_once_counts_too(tmp_path):
    path = write(tmp_path / "file", some(3, 3 * BLOCK))
    change(path, DECODED, number(300))
    refused(path, r"has \d+ bytes to read at once, over 1000", limit=1000)


@pytest.mark.parametrize("packing", ["uncompressed", "zstd"])
def test_truncated_files(tmp_path, packing):
    path = write(tmp_path / "file", some(4, BLOCK), f"group_size:1,{packing}")
    content = path.read_bytes()
    for size in (*range(0, len(content), 8192), len(content) - 1):
        path.write_bytes(content[:size])
        refused(path, "is truncated" if size >= FIRST else "is no ArrayRecord file")


@pytest.mark.parametrize("more", [b"x", bytes(BLOCK), b"x" * BLOCK])
def test_nothing_may_follow(file, more):
    file.write_bytes(file.read_bytes() + more)
    refused(file, "has something behind its end")


def test_nothing_may_follow_even_if_it_is_such_a_file(file):
    file.write_bytes(file.read_bytes() * 2)
    refused(file, "a chunk of kind 'r', which is not read")


@pytest.mark.parametrize("behind", [1, BLOCK + 1])
def test_nothing_may_hide_in_the_padding(file, behind):
    change(file, file.stat().st_size - behind, b"x")
    refused(file, "something hidden in its padding")


@pytest.mark.parametrize("content", [b"", b"x", bytes(BLOCK), some(1, 5 * BLOCK)[0]])
def test_other_files(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(path, "is no ArrayRecord file")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is no regular file")
    refused(tmp_path, "is no regular file")
    with pytest.raises(FileNotFoundError):
        check_array_record(tmp_path / "missing", limit=LIMIT)


def test_transposed_records_are_not_read(tmp_path):
    path = write(tmp_path / "file", some(), "group_size:1,transpose")
    refused(path, "a chunk of kind 't', which is not read")


@pytest.mark.parametrize("size", [1 << 32, (1 << 64) - 1, (1 << 64) - 104])
def test_chunks_end_before_the_file(file, size):
    change(file, SIZE, number(size))
    refused(file, "a chunk runs beyond its end")


@pytest.mark.parametrize(
    ("at", "data", "reason"),
    [
        (DECODED, number(299), INDEX),
        (DECODED, number(1 << 63), "bytes to decode at once"),
        (COUNT, b"\2", "unequal numbers"),
        (COUNT, b"\0", "unequal numbers"),
        (COUNT, b"\xff" * 7, "runs beyond its end"),
        (KIND, b"x", "a chunk of kind 'x', which is not read"),
        (KIND, b"p", "padding is none"),
        (FIRST + 40, b"x", "unknown compression|ends early"),
    ],
)
def test_headers_that_lie(file, at, data, reason):
    change(file, at, data)
    refused(file, reason)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Of these the reader dies, or reads nothing: numbers of all chunks and of all
        # records, records of the first chunk, and places of chunks out of order.
        (b"\x08\x01\x10\x14\x18\x14", b"\x08\x01\x10\x14\x18\x7f"),
        (b"\x08\x01\x10\x14\x18\x14", b"\x08\x01\x10\x7f\x18\x14"),
        (b"\x08@\x10\xac\x02\x18\x01", b"\x08@\x10\xac\x02\x18\x00"),
        (b"\x08@\x10\xac\x02\x18\x01", b"\x08@\x10\xac\x02\x18\x7f"),
        (b"\x08@\x10\xac\x02\x18\x01", b"\x08A\x10\xac\x02\x18\x01"),
        (
            b"\x08@\x10\xac\x02\x18\x01\x08\x98\x03",
            b"\x08\x98\x03\x10\xac\x02\x18\x01\x08@",
        ),
    ],
)
def test_an_index_that_lies(file, old, new):
    content = file.read_bytes()
    assert content.count(old) == 1
    change(file, content.index(old), new)
    refused(file, INDEX)


@pytest.mark.parametrize("packing", ["zstd", "brotli", "snappy"])
def test_a_compressed_index_is_read(tmp_path, packing):
    path = write(tmp_path / "file", some(), f"group_size:1,{packing}")
    change(path, DECODED, number(299))
    refused(path, INDEX)


def test_the_reader_has_the_last_word_on_the_index(file):
    content = file.read_bytes()
    change(file, content.index(b"group_size"), b"GROUP")
    refused(file, "its index cannot be read")


READ = """
import re, sys
from pathlib import Path
from array_record.python.array_record_module import ArrayRecordReader
from vmixjax.data.formats.tfds.array_record import check_array_record
passed = 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        count = check_array_record(path, limit=1 << 20)
    except ValueError:
        continue
    passed += 1
    reader = ArrayRecordReader(str(path))
    assert reader.ok() and reader.num_records() == count, path
    for read in (*([index] for index in range(count)), range(count)):
        try:
            reader.read(read)
        except RuntimeError:
            pass
# Of this program alone: what `getrusage` tells includes who started it.
most = re.search("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())
assert int(most[1]) < 300 << 10, most
print(passed)
"""


@pytest.mark.parametrize("packing", ["uncompressed", "zstd", "brotli", "snappy"])
def test_what_passes_the_reader_survives(tmp_path, packing):
    rng = random.Random(packing)
    path = write(tmp_path / "file", some(4, 30), f"group_size:1,{packing}")
    content = path.read_bytes()
    mutants = tmp_path / "mutants"
    mutants.mkdir()
    used = [at for at, byte in enumerate(content) if byte]
    for name in range(300):
        mutant = bytearray(content)
        mutant[rng.choice(used)] ^= 1 << rng.randrange(8)
        (mutants / str(name)).write_bytes(mutant)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(mutants)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < 300


def test_large_files_take_no_time(tmp_path):
    path = write(tmp_path / "file", [bytes(3000)] * 50_000)
    start = time.perf_counter()
    assert check_array_record(path, limit=LIMIT) == 50_000
    assert time.perf_counter() - start < 5
    assert ArrayRecordReader(str(path)).num_records() == 50_000
