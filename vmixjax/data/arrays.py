"""NumPy's files, which may come from anybody: no pickles, and nothing unbounded."""

import hashlib
import io
import math
import os
import zipfile
from pathlib import Path

import numpy as np

from vmixjax.data.inside import open_ordinary

_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What NumPy writes; others inflate to whatever they like."""


def encode_npy(array: np.ndarray) -> bytes:
    """Gives the bytes of a `.npy` file; alike for alike."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def parse_npy(content: bytes) -> np.ndarray:
    """Gives the array in a `.npy` file, as a view of its bytes.

    Raises:
      ValueError: It is none, holds Python objects, no values, or others than it says;
        says what it does.
    """
    file = io.BytesIO(content)
    try:
        # Others are for arrays with names of columns.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("it is of another version")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:
        # It is Python's syntax, and NumPy raises whatever its parsing comes upon.
        raise ValueError("is no NumPy array") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects, which are not read")
    size = math.prod(shape) * dtype.itemsize
    if size <= 0 or min(shape, default=1) < 0 or size != len(content) - file.tell():
        raise ValueError(f"has other bytes than {dtype} {shape} takes, or none")
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def read_npz(path: Path, limit: int) -> tuple[dict[str, np.ndarray], str]:
    """Reads the arrays in a `.npz` file, and gives the SHA-256 of it.

    Args:
      path: Path of the file.
      limit: Most bytes of the file, and of all arrays together.

    Raises:
      ValueError: It is none, or damaged, or larger; says what it is.
      RunError: It is no ordinary file.
      OSError: It is not there, or cannot be read.
    """
    # `Path.resolve` has an error of its own for links that lead to each other.
    real = Path(os.path.realpath(path))
    with open_ordinary(real, path, "name another") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(f"has {size} bytes, of {limit} at most")
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        try:
            with zipfile.ZipFile(file) as archive:
                contents = _contents(archive, limit)
        except Exception as error:
            # On damaged archives it raises nearly every type there is.
            raise ValueError("is no whole .npz file") from error
    arrays = {}
    for name, content in contents.items():
        try:
            arrays[name] = parse_npy(content)
        except ValueError as error:
            raise ValueError(f"has {name}, which {error}") from error
    return arrays, digest


def _contents(archive: zipfile.ZipFile, limit: int) -> dict[str, bytes]:
    """The bytes of each member."""
    members = archive.infolist()
    if sum(member.file_size for member in members) > limit:
        raise ValueError("inflates to too much")
    contents = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in _PLAIN or name in contents:
            raise ValueError("is none of NumPy's")
        with archive.open(member) as file:
            contents[name] = file.read(member.file_size + 1)
    return contents
