"""What a compiled program does to memory, read from the text of its HLO.

`compiled.cost_analysis()` is the well-kept way to ask, and does not do here: it has
one sum for a whole program and none for its kernels; a custom call, which is what a
kernel by Pallas or a library is, counts as nothing; a loop counts as one turn of it;
what lies in the memory of a chip counts as if it were far away; and for a GPU that is
not there it is None. So this reads what `compiled.as_text()` prints after all passes of
the compiler, in which each instruction that runs is one kernel, copy, or call.

What is counted, for each instruction that runs, is what it reads and what it writes:

- operands and results of fusions, copies, reductions, custom calls, ...; nothing for
  parameters, constants, tuples and bitcasts;
- of an operand that a fusion only slices, the slices; of a result that is an operand
  updated in place, the update;
- a loop's body as often as it runs, where the compiler tells or its condition does
  (`Kernel.guessed` says where not: one turn is counted); of branches, the one that
  moves the most;
- a copy that starts at one place and is done at another, once;
- on TPU nothing of what stays on chip (memory spaces such as S(1), its vector memory);
  and, beside the bytes of the values, those of whole tiles (`padded`), since TPUs pad
  the last two dimensions: T(8,128).
"""

import functools
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

FREE = frozenset(
    (
        *("parameter", "constant", "tuple", "get-tuple-element", "bitcast"),
        *("after-all", "partition-id", "replica-id", "opt-barrier"),
        *("get-dimension-size", "domain", "add-dependency"),
    )
)
FREE_CALLS = frozenset(("AllocateBuffer", "ConcatBitcast", "Sharding"))
"""Custom calls that name memory and move none."""

SLICES = frozenset(("slice", "dynamic-slice", "gather"))

_HEAD = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (.*)$")
_OPCODE = re.compile(r"\s*([a-z][\w\-]*)\(")
_LEAF = re.compile(r"\b([a-z]+\d*\w*)\[([\d,<=]*)\](?:\{([^}]*)\})?")
_SPACE = re.compile(r"S\((\d+)\)")
_TILES = re.compile(r"T((?:\([\d,]+\))+)")
_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_HOST = "5"


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


class Kernel(NamedTuple):
    """An instruction that runs.

    Attributes:
      name, opcode: as in the text; of a custom call, its target.
      times: how often it runs.
      read, written: bytes each time, but for what stays on chip.
      touched: the more of what it reads and what it writes, on chip or not.
      cycles: what a TPU's compiler estimates for each time; 0 where it does not.
      guessed: it is in a loop of which nothing tells how often it turns.
    """

    name: str
    opcode: str
    times: int
    read: Size
    written: Size
    touched: int
    cycles: int
    guessed: bool

    @property
    def moved(self) -> Size:
        """Bytes read and written, each time."""
        return self.read + self.written


def kernels(text: str) -> list[Kernel]:
    """Lists what runs, each instruction once, loops and calls followed.

    Args:
      text: what `compiled.as_text()` gives.

    Raises:
      ValueError: It has no entry computation.
    """
    computations, entry = parse(text)
    return list(_Program(computations).run(entry, 1, False))


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


class _Program:
    """All computations, to be followed from one of them."""

    def __init__(self, computations: dict[str, Computation]) -> None:
        self.computations = computations

    def run(self, name: str, times: int, guessed: bool) -> Iterator[Kernel]:
        """Yields what runs when a computation does."""
        here = self.computations[name].instructions
        for one in here.values():
            if one.opcode in FREE or one.opcode.endswith(("-start", "-update")):
                continue
            if one.opcode == "while":
                turns = self._turns(one, here)
                every = times * (1 if turns is None else turns)
                for part in ("condition", "body"):
                    inner = one.attribute(part) or ""
                    yield from self.run(inner, every, guessed or turns is None)
            elif one.opcode == "conditional":
                yield from self._most(one, times, guessed)
            elif one.opcode == "call":
                yield from self.run(one.attribute("to_apply") or "", times, guessed)
            elif kernel := self._kernel(one, here, times, guessed):
                yield kernel
            elif one.opcode == "async-done":
                start = self._start(one, here)
                yield from self.run(start.attribute("calls") or "", times, guessed)

    def _most(self, one: Instruction, times: int, guessed: bool) -> list[Kernel]:
        """What the branch runs that moves the most."""
        listed = re.search(r"branch_computations=\{([^}]*)\}", one.rest)
        names = re.findall(r"%?([\w.\-]+)", listed[1]) if listed else []
        names += re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", one.rest)
        branches = [list(self.run(name, times, guessed)) for name in names]
        return max(branches, key=lambda b: sum(k.moved.padded * k.times for k in b))

    def _start(self, one: Instruction, here: dict[str, Instruction]) -> Instruction:
        """The instruction that started what this one waits for."""
        while one.opcode.endswith(("-done", "-update")):
            one = here[one.operands[0]]
        return one

    def _kernel(
        self, one: Instruction, here: dict[str, Instruction], times: int, guessed: bool
    ) -> Kernel | None:
        """Counts one instruction; None for what moves no arrays itself."""
        start, opcode = self._start(one, here), one.opcode.removesuffix("-done")
        target = one.attribute("custom_call_target") if opcode == "custom-call" else ""
        if opcode == "async" or target in FREE_CALLS:
            return None
        inputs = [here[name].buffers for name in start.operands]
        outputs = one.buffers
        if (target or "").startswith(("__cublas", "__cudnn")):
            outputs = outputs[:1]  # What follows is room to work in.
        reads, writes = self._parts(start, opcode, here)
        read, read_all = _sum(inputs, reads)
        written, written_all = _sum([(b,) for b in outputs], writes)
        if all(b.scalar for b in (*outputs, *(b for x in inputs for b in x))):
            return None  # Counters of loops, and the like.
        cycles = _CYCLES.search(one.rest)
        return Kernel(
            one.name,
            target or opcode,
            times,
            read,
            written,
            max(read_all, written_all),
            int(cycles[1]) if cycles else 0,
            guessed,
        )

    def _parts(
        self, one: Instruction, opcode: str, here: dict[str, Instruction]
    ) -> tuple[dict[int, Size], dict[int, Size]]:
        """Which operands are read, and which results written, in part only."""
        if opcode == "fusion":
            inner = self.computations[one.attribute("calls") or ""]
            return self._sliced(inner), self._updated(inner)
        if opcode in SLICES:
            # Of what has started: (operand), result, flag.
            results = one.buffers[1:2] if "-start" in one.opcode else one.buffers
            return {0: _whole(results)}, {}
        if opcode == "dynamic-update-slice":
            update = _whole(here[one.operands[1]].buffers)
            return {0: Size()}, {0: update}
        return {}, {}

    def _sliced(self, inner: Computation) -> dict[int, Size]:
        """Parameters of a fusion that it reads in part: those it slices or updates."""
        users: dict[str, list[tuple[Instruction, int]]] = {}
        for one in inner.instructions.values():
            for place, name in enumerate(one.operands):
                users.setdefault(name, []).append((one, place))

        def part(name: str) -> Size | None:
            total = Size()
            for one, place in users.get(name, []):
                found: Size | None = None
                if one.opcode == "bitcast":
                    found = part(one.name)
                elif one.opcode in SLICES and place == 0:
                    found = _whole(one.buffers)
                elif one.opcode == "dynamic-update-slice" and place == 0:
                    found = Size()
                elif one.opcode == "fusion":
                    nested = self.computations[one.attribute("calls") or ""]
                    found = self._sliced(nested).get(place)
                if found is None:
                    return None
                total += found
            return total

        parts = {
            int(one.operands[0]): part(one.name)
            for one in inner.instructions.values()
            if one.opcode == "parameter"
        }
        return {place: size for place, size in parts.items() if size is not None}

    def _updated(self, inner: Computation) -> dict[int, Size]:
        """Results of a fusion that are a parameter, updated in place."""
        here = inner.instructions
        roots = [inner.root]
        if inner.root.opcode == "tuple":
            roots = [here[name] for name in inner.root.operands]
        found = {}
        for place, one in enumerate(roots):
            total = Size()
            while one.opcode in ("bitcast", "dynamic-update-slice"):
                if one.opcode == "dynamic-update-slice":
                    total += _whole(here[one.operands[1]].buffers)
                one = here[one.operands[0]]
            if one.opcode == "parameter" and total.bytes:
                found[place] = total
        return found

    def _turns(self, loop: Instruction, here: dict[str, Instruction]) -> int | None:
        """How often a loop turns: as the compiler says, or as its condition does."""
        if told := _TRIPS.search(loop.rest):
            return int(told[1])
        condition = self.computations[loop.attribute("condition") or ""]
        body = self.computations[loop.attribute("body") or ""]
        first = here[loop.operands[0]]
        test = condition.root
        if test.opcode != "compare" or test.attribute("direction") != "LT":
            return None
        index, limit = (condition.instructions[name] for name in test.operands)
        place = index.attribute("index")
        if index.opcode != "get-tuple-element" or place is None:
            return None

        def value(one: Instruction, there: dict[str, Instruction]) -> int | None:
            """What a scalar is: a constant, or one that the loop was given."""
            while one.opcode in ("copy", "bitcast", "convert"):
                one = there[one.operands[0]]
            if one.opcode == "constant":
                number = re.match(r"(-?\d+)\)", one.rest)
                return int(number[1]) if number else None
            if one.opcode == "get-tuple-element" and there is not here:
                return given(int(one.attribute("index") or 0))
            return None

        def given(i: int) -> int | None:
            """What a scalar is before the first turn."""
            if first.opcode != "tuple":
                return None
            return value(here[first.operands[i]], here)

        step = body.instructions.get(
            body.root.operands[int(place)] if body.root.opcode == "tuple" else ""
        )
        if step is None or step.opcode != "add":
            return None
        steps = [
            value(body.instructions[name], body.instructions) for name in step.operands
        ]
        start, stop = given(int(place)), value(limit, condition.instructions)
        # One of the two is the index itself, whose first value is `start`.
        if start is None or stop is None or None in steps:
            return None
        by = sum(s for s in steps if s is not None) - start
        return max(0, -(-(stop - start) // by)) if by > 0 else None


def _whole(all_of: tuple[Buffer, ...]) -> Size:
    return sum((b.size for b in all_of), Size())


def _sum(places: list[tuple[Buffer, ...]], parts: dict[int, Size]) -> tuple[Size, int]:
    """Bytes that leave the chip or come to it; and bytes in all."""
    far, everything = Size(), 0
    for place, all_of in enumerate(places):
        for buffer in all_of:
            size = buffer.size
            if place in parts:
                size = parts[place].at_most(size)
            everything += size.bytes
            if not buffer.on_chip:
                far += size
    return far, everything
