"""Reads the text of HLO: computations, their instructions, and sizes of arrays.

Only what `hlo.py` counts with is kept of each line.
"""

import functools
import math
import re
from typing import NamedTuple

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_LEAF = re.compile(r"\b([a-z]+\d*\w*)\[([\d,<=]*)\](?:\{([^}]*)\})?")
_SPACE = re.compile(r"S\((\d+)\)")
_TILES = re.compile(r"T((?:\([\d,]+\))+)")
_HOST = "5"
"""The memory space of the host."""


class Size(NamedTuple):
    """Bytes of values, and of the tiles that they take in memory."""

    bytes: int = 0
    padded: int = 0

    def __add__(self, other: object) -> "Size":
        if not isinstance(other, Size):
            return NotImplemented
        return Size(self.bytes + other.bytes, self.padded + other.padded)

    def at_most(self, other: "Size") -> "Size":
        """The smaller of both."""
        return Size(
            min(self.bytes, other.bytes),
            min(self.padded, other.padded),
        )


class Buffer(NamedTuple):
    """One array: its size, whether it is a single value, whether it stays on chip."""

    size: Size
    scalar: bool
    on_chip: bool


class Instruction(NamedTuple):
    """One line of HLO."""

    name: str
    opcode: str
    buffers: tuple[Buffer, ...]
    operands: tuple[str, ...]
    rest: str

    def attribute(self, name: str) -> str | None:
        """The computation, or word, that an attribute names."""
        found = re.search(rf"\b{name}=\"?%?([\w.\-$]+)", self.rest)
        return found[1] if found else None


class Computation(NamedTuple):
    """Instructions by name, in order."""

    instructions: dict[str, Instruction]
    root: Instruction


def parse(text: str) -> tuple[dict[str, Computation], str]:
    """Reads all computations, and which of them is the entry.

    Raises:
      ValueError: There is no entry.
    """
    computations: dict[str, Computation] = {}
    entry = ""
    name, lines, root = "", dict[str, Instruction](), None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            name, lines, root = head[2], {}, None
            entry = name if head[1] else entry
        elif line.startswith("}") and lines:
            last = root or next(reversed(lines.values()))
            computations[name], lines = Computation(lines, last), {}
        elif name and (match := _LINE.match(line)):
            instruction = _instruction(match[2], match[3])
            lines[instruction.name] = instruction
            root = instruction if match[1] else root
    if entry not in computations:
        raise ValueError("the text has no ENTRY: give what compiled.as_text() gives")
    return computations, entry


def _instruction(name: str, text: str) -> Instruction:
    end = _closing(text, 0) if text.startswith("(") else text.index(" ")
    opcode = _OPCODE.match(text, end)
    if opcode is None:
        raise ValueError(f"cannot read the HLO instruction {name} = {text[:80]}")
    start = opcode.end() - 1
    # What a constant is may hold anything, and no operands.
    stop = start + 1 if opcode[1] == "constant" else _closing(text, start)
    operands = re.findall(r"%([\w.\-]+)", text[start:stop])
    if opcode[1] == "parameter":
        operands = [text[start + 1 : stop - 1]]
    return Instruction(
        name, opcode[1], buffers(text[:end]), tuple(operands), text[stop:]
    )


def _closing(text: str, start: int) -> int:
    """Where what the parenthesis at `start` opens has ended."""
    depth = 0
    for match in re.compile(r"[()]").finditer(text, start):
        depth += 1 if match[0] == "(" else -1
        if not depth:
            return match.end()
    return len(text)


@functools.lru_cache(maxsize=100_000)
def buffers(text: str) -> tuple[Buffer, ...]:
    """Reads the arrays of a type, such as `(f32[8,3]{1,0:T(8,128)S(1)}, u32[])`."""
    return tuple(_buffer(*match.groups()) for match in _LEAF.finditer(text))


def _buffer(dtype: str, sides: str, layout: str | None) -> Buffer:
    shape = [int(side.lstrip("<=")) for side in sides.split(",") if side]
    digits = re.search(r"\d+", dtype)
    bits = 8 if dtype == "pred" else int(digits[0]) if digits else 0
    count = math.prod(shape)
    order, _, tiling = (layout or "").partition(":")
    tiles = _TILES.search(tiling)
    space = _SPACE.search(tiling)
    padded = count
    if tiles and count:
        # From the slowest dimension to the fastest.
        ordered = [shape[int(i)] for i in order.split(",") if i][::-1]
        padded = math.prod(_tiled(ordered, tiles[1]))
    return Buffer(
        Size(-(-count * bits // 8), -(-padded * bits // 8)),
        count <= 1,
        # GPUs number other kinds of their one memory; they have no tiles.
        bool(tiles and space and space[1] != _HOST),
    )


def _tiled(sides: list[int], tiles: str) -> list[int]:
    """The sides of a padded array: `(8,128)(4,1)` are tiles of 8 x 128, of 4 x 1."""
    for tile in re.findall(r"\(([\d,]+)\)", tiles):
        of = [int(side) for side in tile.split(",")]
        sides = [1] * (len(of) - len(sides)) + sides
        last = sides[-len(of) :]
        counts = [-(-side // t) for side, t in zip(last, of, strict=True)]
        sides = sides[: -len(of)] + counts + of
    return sides
