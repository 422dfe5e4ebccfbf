"""The types that `release.json` is checked against when it is read."""

from typing import Annotated, Literal

import msgspec

from vmixjax.config import Channels
from vmixjax.data.fitting import Fit

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Signature = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32,128}\Z")]
_Pixels = Annotated[int, msgspec.Meta(ge=1, le=2**16)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `MixConfig`, as JSON has it."""

    tile_size: _Pixels
    ladder: Annotated[
        tuple[tuple[_Pixels, _Pixels], ...], msgspec.Meta(min_length=1, max_length=255)
    ]
    channels: Channels


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a release is mixed: see `Recipe` and `ReleaseConfig`."""

    config: Config
    fit: Fit
    strength: float
    target_vfe: float | None
    masks: bool
    format: Annotated[str, msgspec.Meta(max_length=64)]
    names: Literal["kept", "numbers"]
    drop: list[str]
    keep: list[str]
    shard_size: Count
    examples: dict[str, Count]


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
    about: About
    splits: dict[str, Count]
    images: Count
    fields: list[str]
    skipped: Count
    out_of_reach: Count
    with_clear_tiles: Count
    vfe: Vfes
    software: dict[str, str]
    files: dict[str, Sha256]
    shards: list[ShardFiles]
    signature: Signature

    def all_files(self) -> dict[str, str]:
        """Gives all files of the release but this one, and their SHA-256."""
        return {**self.files, **{n: d for s in self.shards for n, d in s.files.items()}}


class Layout(msgspec.Struct):
    """What tells by which version a `release.json` was written."""

    vmixjax: int
