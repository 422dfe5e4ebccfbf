"""`release.json`: what a release is, written when all of it is there."""

import dataclasses
import hashlib
import hmac
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vmixjax.atomic import atomic_path
from vmixjax.config import Channels
from vmixjax.data.bounded import parse_json, read_bounded
from vmixjax.data.fitting import Fit
from vmixjax.data.formats import FORMATS
from vmixjax.data.writing import MANIFEST, WORK
from vmixjax.errors import RunError
from vmixjax.release.keys import digest

_LAYOUT = 2
_SOFTWARE = ("vmixjax", "jax", "jaxlib", "numpy", "pillow")

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
        """All files of the release but this one, and their SHA-256."""
        return {**self.files, **{n: d for s in self.shards for n, d in s.files.items()}}


class _Layout(msgspec.Struct):
    vmixjax: int


@dataclasses.dataclass
class Tally:
    """What became of the images of a shard, or of all.

    Attributes:
      images: how many were mixed.
      skipped: how many were not fit.
      out_of_reach: how many could not have the VFE that was asked for.
      clear: how many have tiles that a mask left as they are.
      before, after: VFE of each, before and after; None for no images.
    """

    images: Count = 0
    skipped: Count = 0
    out_of_reach: Count = 0
    clear: Count = 0
    before: "Spread | None" = None
    after: "Spread | None" = None

    def add(self, other: "Tally") -> None:
        """Counts another's images among its own."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine is None or theirs is None:
                setattr(self, field.name, theirs if mine is None else mine)
            else:
                setattr(self, field.name, mine + theirs)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Sum, smallest and largest of some numbers; added in a fixed order only."""

    total: float
    smallest: float
    largest: float

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(
            self.total + other.total,
            min(self.smallest, other.smallest),
            max(self.largest, other.largest),
        )

    @classmethod
    def of(cls, value: float) -> "Spread":
        """One number."""
        return cls(value, value, value)

    def measured(self, count: int) -> dict[str, float]:
        """For the manifest."""
        return {
            "mean": self.total / count,
            "smallest": self.smallest,
            "largest": self.largest,
        }


def release_identity(secret: bytes, about: Mapping[str, Any]) -> str:
    """What the owner of a secret knows a release by; to others it says nothing."""
    text = json.dumps(about, sort_keys=True)
    return digest(secret, b"vmixjax release", [text])


def software() -> dict[str, str]:
    """Versions that the bytes of a release may depend on."""
    versions = {name: importlib.metadata.version(name) for name in _SOFTWARE}
    return {"python": platform.python_version(), **versions}


def write_manifest(
    root: Path,
    about: Mapping[str, Any],
    identity: str,
    splits: Mapping[str, int],
    tally: Tally,
    fields: Iterable[str],
    shards: Iterable[Mapping[str, Any]],
    files: Mapping[str, str],
    sign: Callable[[bytes], str],
) -> dict[str, Any]:
    """Writes `release.json`.

    Args:
      root: of the release.
      about: how it was mixed.
      identity: what a vault knows it by.
      splits: images in each.
      tally: of all.
      fields: what the release has of each image beside it; see `Sink.holds`.
      shards: of each its split, number of images, and files with their SHA-256.
      files: the other files with their SHA-256.
      sign: gives the signature for the SHA-256 of all before it.

    Returns:
      What it holds, but for the shards, which may have millions of files, and the
      signature.
    """
    assert tally.before is not None
    assert tally.after is not None
    manifest = {
        "vmixjax": _LAYOUT,
        "identity": identity,
        "about": dict(about),
        "splits": dict(splits),
        "images": tally.images,
        "fields": list(fields),
        "skipped": tally.skipped,
        "out_of_reach": tally.out_of_reach,
        "with_clear_tiles": tally.clear,
        "vfe": {
            "before": tally.before.measured(tally.images),
            "after": tally.after.measured(tally.images),
        },
        "software": software(),
        "files": dict(files),
    }
    with atomic_path(root / MANIFEST, aside=root / WORK) as file:
        written = hashlib.sha256()
        head = json.dumps(manifest, indent=1).removesuffix("\n}")
        for piece in _pieces(head, shards):
            file.write(piece.encode())
            written.update(piece.encode())
        file.write(_end(sign(written.digest())))
    return manifest


def _pieces(head: str, shards: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    yield f'{head},\n "shards": [\n'
    for number, shard in enumerate(shards):
        yield (",\n" if number else "") + json.dumps(shard, indent=1)
    yield "\n ]"


def _end(signature: str) -> bytes:
    return f',\n "signature": "{signature}"\n}}\n'.encode()


def signature(secret: bytes, written: bytes) -> str:
    """A MAC of `release.json`, given the SHA-256 of all in it but that."""
    return digest(secret, b"vmixjax manifest", [written.hex()])


def is_signed(manifest: Manifest, written: bytes, secret: bytes) -> bool:
    """Whether who has the secret has written a manifest, and all of it."""
    expected = signature(secret, written)
    return hmac.compare_digest(manifest.signature.encode(), expected.encode())


def read_manifest(root: Path) -> Manifest:
    """What `release.json` holds.

    Raises:
      RunError: it is not there, or is none.
    """
    return read_signed(root)[0]


def read_signed(root: Path) -> tuple[Manifest, bytes]:
    """What `release.json` holds, and the SHA-256 of all but its signature.

    Raises:
      RunError: it is not there, or is none.
    """
    path = root / MANIFEST
    try:
        data = read_bounded(path, _most_bytes(root))
        layout = parse_json(data, _Layout).vmixjax
        if layout != _LAYOUT:
            raise RunError(
                f"{path} was written by another version of vmixjax; use that one"
            )
        manifest = parse_json(data, Manifest)
        if manifest.about.format not in FORMATS:
            raise RunError(
                f"{path} is of the format {manifest.about.format!r}, which is none of "
                f"{', '.join(FORMATS)}; install the package that reads it"
            )
        # Whatever else comes last is not what was signed.
        signed = data.removesuffix(_end(manifest.signature))
        return manifest, hashlib.sha256(signed).digest()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RunError(
            f"{root} is no release, or not a finished one: {MANIFEST} is not there"
        ) from error
    except RunError:
        raise
    except ValueError as error:
        raise RunError(f"{path} is damaged; use a copy of the release") from error


def _most_bytes(root: Path) -> int:
    """How large the manifest of so many files can be, names of 4,096 bytes and all."""
    files = sum(len(names) for _, _, names in os.walk(root))
    return int(2**20 + 2**14 * files)
