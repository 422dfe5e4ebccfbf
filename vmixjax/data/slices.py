"""Parts of splits, as TFDS writes them: `train[:50%]`, `train[100:200]`."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from vmixjax.data.example import Source, Trace
from vmixjax.data.wrapping import Wrapping
from vmixjax.errors import RunError

_SLICE = re.compile(r"(?P<split>[^\[\]]+)\[(?P<start>\d+%?)?:(?P<stop>\d+%?)?\]")


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of a split.

    Attributes:
      text: As the user named it.
      split: Name of the split.
      start, stop: Where it starts and ends: a number, or a number and a percent sign;
        None for all there is.
    """

    text: str
    split: str
    start: str | None = None
    stop: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """Makes one of what a user named.

        Raises:
          RunError: It is neither a split nor a part of one.
        """
        if "[" not in text and "]" not in text:
            return cls(text, text)
        match = _SLICE.fullmatch(text)
        if match is None:
            raise RunError(
                f"--splits {text}: a part of a split is named as train[:50%] or "
                f"train[100:200]"
            )
        return cls(text, **match.groupdict())

    def range(self, count: int) -> range:
        """Gives the numbers of its examples, of so many.

        Raises:
          RunError: There are none, or not so many.
        """
        start, stop = _number(self.start, 0, count), _number(self.stop, count, count)
        if max(start, stop) > count or (count and start >= stop):
            what = "goes beyond" if max(start, stop) > count else "leaves none of"
            raise RunError(
                f"--splits {self.text} {what} the {count} images of {self.split}; "
                f"name others of them"
            )
        return range(start, stop)


def _number(text: str | None, default: int, count: int) -> int:
    if text is None:
        return default
    if text.endswith("%"):
        return round(int(text[:-1]) * count / 100)
    return int(text)


def take(source: Source, slices: Sequence[Slice]) -> Source:
    """Gives of a source the splits that are named, or their parts.

    Args:
      source: The source, which has all these splits.
      slices: What is named; no split twice.

    Raises:
      RunError: A part has no examples, or a split is named twice.
    """
    names = [one.split for one in slices]
    twice = [one for one in slices if names.count(one.split) > 1]
    if twice:
        raise RunError(
            f"--splits {' '.join(one.text for one in twice)}: parts of one split are "
            f"mixed one by one, into folders of their own"
        )
    ranges = {one.split: one.range(source.splits[one.split]) for one in slices}
    if all(len(numbers) == source.splits[name] for name, numbers in ranges.items()):
        source.splits = {name: source.splits[name] for name in ranges}
        return source
    return _Sliced(source, ranges)


class _Sliced(Wrapping):
    """A source of which some examples are left out, at either end of its splits."""

    def __init__(self, source: Source, ranges: Mapping[str, range]) -> None:
        super().__init__(source)
        self._ranges = ranges
        self.splits = {split: len(numbers) for split, numbers in ranges.items()}

    def number(self, split: str, index: int) -> int:
        return self._ranges[split][index]

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        for split, index in self._source.candidates(name):
            numbers = self._ranges.get(split, range(0))
            if index in numbers:
                yield split, index - numbers.start

    def traces(self) -> Iterator[Trace]:
        """Those of files in which examples lie that are left."""
        for one in self._source.traces():
            numbers = self._ranges.get(one.split, range(0))
            start, stop = max(one.start, numbers.start), min(one.stop, numbers.stop)
            if start < stop:
                yield one._replace(
                    start=start - numbers.start, stop=stop - numbers.start
                )
