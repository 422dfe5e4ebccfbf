"""What a release says of itself, counts and measures: types that JSON is checked by."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from vmixjax.config import Channels
from vmixjax.data.pixels import Fit

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Signature = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32,128}\Z")]
MOST_CLASSES = 2**10
"""That images are counted of: what holds classes may hold a number for each image."""

_Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `MixConfig`, as JSON has it."""

    tile_size: _Pixels
    ladder: Annotated[
        tuple[tuple[_Pixels, _Pixels], ...], msgspec.Meta(min_length=1, max_length=255)
    ]
    channels: Channels


class About(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """How a release is mixed: see `Recipe` and `ReleaseConfig`."""

    config: Config
    fit: Fit
    strength: float
    target_vfe: float | None
    masks: bool
    format: Annotated[str, msgspec.Meta(max_length=64)]
    names: Literal["kept", "numbers"]
    order: Literal["kept", "shuffled", "updated"]
    drop: list[str]
    keep: list[str]
    image: str | None
    shard_size: Count
    examples: dict[str, Count]
    soft_labels: bool = False
    boxes: bool = False
    mask_cells: Count = 0


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """VFE of many images."""

    mean: float
    smallest: float
    largest: float


class Vfes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """VFE of all images, before mixing and after."""

    before: Measured
    after: Measured


class ShardFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shard: its split, how many images it has, its files and their SHA-256."""

    split: str
    images: Count
    files: dict[str, Sha256]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `release.json` holds, and nothing else: it must not carry anything more."""

    vmixjax: int
    identity: str
    source: Signature | None
    about: About
    splits: dict[str, Count]
    classes: dict[str, Count]
    images: Count
    fields: list[str]
    skipped: Count
    out_of_reach: Count
    with_clear_tiles: Count
    hardly_changed: dict[str, Count]
    vfe: Vfes
    software: dict[str, str]
    files: dict[str, Sha256]
    shards: list[ShardFiles]
    signature: Signature
    soft_labels: Signature | None = None
    boxes: dict[str, Count] = {}
    with_boxes: Count = 0
    boxes_cut_off: Count = 0

    def all_files(self) -> dict[str, str]:
        """Gives all files of the release but this one, and their SHA-256."""
        return {**self.files, **{n: d for s in self.shards for n, d in s.files.items()}}


class Layout(msgspec.Struct):
    """What tells by which version a `release.json` was written."""

    vmixjax: int


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
      classes: How many each class has, by its number; the first `MOST_CLASSES` only.
      hardly_changed: How many mixing hardly changed, by the size of tiles they need.
      before, after: VFE of each, before and after; None for no images.
      boxes: How many boxes each class of objects has, by its number, as for `classes`.
      with_boxes: How many images have boxes.
      boxes_cut_off: How many boxes are gone, as crops left nothing of them.
    """

    images: Count = 0
    skipped: Count = 0
    out_of_reach: Count = 0
    clear: Count = 0
    classes: dict[str, Count] = dataclasses.field(default_factory=dict)
    hardly_changed: dict[str, Count] = dataclasses.field(default_factory=dict)
    before: Range | None = None
    after: Range | None = None
    boxes: dict[str, Count] = dataclasses.field(default_factory=dict)
    with_boxes: Count = 0
    boxes_cut_off: Count = 0

    def add(self, other: "Tally") -> None:
        """Counts another's images among its own."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if isinstance(mine, dict):
                _add_counts(mine, theirs)
            elif mine is None or theirs is None:
                setattr(self, field.name, theirs if mine is None else mine)
            else:
                setattr(self, field.name, mine + theirs)


@dataclasses.dataclass(frozen=True)
class Note:
    """What is noted of a finished shard.

    Attributes:
      files: Paths in the release and their SHA-256.
      size: Bytes of all of them.
      tally: Tally of its images.
    """

    files: dict[str, Sha256]
    size: Count
    tally: Tally

    def as_json(self) -> dict[str, Any]:
        """Gives it for JSON; of what earlier versions did not count, what there is."""
        fields = dataclasses.asdict(self)
        since = {"boxes", "with_boxes", "boxes_cut_off"}
        tally = {k: v for k, v in fields["tally"].items() if v or k not in since}
        return {**fields, "tally": tally}


def _add_counts(mine: dict[str, int], theirs: Mapping[str, int]) -> None:
    for name, count in theirs.items():
        if name in mine or len(mine) < MOST_CLASSES:
            mine[name] = mine.get(name, 0) + count
