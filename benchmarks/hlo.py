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

import re
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.hlo_text import Buffer, Computation, Instruction, Size, parse

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

_TRIPS = re.compile(r'known_trip_count":\{"n":"(\d+)"')
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')


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
