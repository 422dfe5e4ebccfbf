"""Counts and measures of many images, added up shard by shard."""

import dataclasses

from vmixjax.release.schema import Count


@dataclasses.dataclass(frozen=True)
class Range:
    """Sum, smallest and largest of some numbers; added in a fixed order only."""

    total: float
    smallest: float
    largest: float

    def __add__(self, other: "Range") -> "Range":
        return Range(
            self.total + other.total,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )

    @classmethod
    def of(cls, value: float) -> "Range":
        """Makes the range of one number."""
        return cls(value, value, value)

    def measured(self, count: int) -> dict[str, float]:
        """Gives what the manifest says of so many numbers."""
        return {
            "mean": self.total / count,
            "smallest": self.smallest,
            "largest": self.largest,
        }


@dataclasses.dataclass
class Tally:
    """What became of the images of a shard, or of all.

    Attributes:
      images: How many were mixed.
      skipped: How many were not fit.
      out_of_reach: How many could not have the VFE that was asked for.
      clear: How many have tiles that a mask left as they are.
      before, after: VFE of each, before and after; None for no images.
    """

    images: Count = 0
    skipped: Count = 0
    out_of_reach: Count = 0
    clear: Count = 0
    before: Range | None = None
    after: Range | None = None

    def add(self, other: "Tally") -> None:
        """Counts another's images among its own."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is None or theirs is None:
                setattr(self, field.name, theirs if mine is None else mine)
            else:
                setattr(self, field.name, mine + theirs)
