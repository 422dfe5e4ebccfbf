"""`release.json`: what a release is, written when all of it is there."""

import dataclasses
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vmixjax.release.atomic import atomic_path
from vmixjax.release.errors import RunError
from vmixjax.release.keys import digest

MANIFEST = "release.json"
WORK = "UNFINISHED"
"""Folder in a release that is not done: files under way, and which are done."""

_LAYOUT = 1
_SOFTWARE = ("vmixjax", "jax", "jaxlib", "numpy", "pillow")


@dataclasses.dataclass
class Tally:
    """What became of the images of a shard, or of all.

    Attributes:
      images: how many were mixed.
      skipped: how many were not fit.
      out_of_reach: how many could not have the VFE that was asked for.
      clear: how many have tiles that a mask left as they are.
      before, after: VFE of each, before and after.
    """

    images: int = 0
    skipped: int = 0
    out_of_reach: int = 0
    clear: int = 0
    before: "Spread" = dataclasses.field(default_factory=lambda: Spread())
    after: "Spread" = dataclasses.field(default_factory=lambda: Spread())

    def add(self, other: "Tally") -> None:
        """Counts another's images among its own."""
        for field in dataclasses.fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, mine + theirs)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Tally":
        """From what `dataclasses.asdict` gave."""
        spreads = {name: Spread(**values[name]) for name in ("before", "after")}
        return cls(**{**values, **spreads})


@dataclasses.dataclass(frozen=True)
class Spread:
    """Sum, smallest and largest of some numbers; added in a fixed order only."""

    total: float = 0.0
    smallest: float = float("inf")
    largest: float = float("-inf")

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
    shards: Iterable[Mapping[str, Any]],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Writes `release.json`.

    Args:
      root: of the release.
      about: how it was mixed.
      identity: what a vault knows it by.
      splits: images in each.
      tally: of all.
      shards: of each its split, number of images, and files with their SHA-256.
      files: the other files with their SHA-256.

    Returns:
      What it holds, but for the shards: they may have millions of files.
    """
    manifest = {
        "vmixjax": _LAYOUT,
        "identity": identity,
        "about": dict(about),
        "splits": dict(splits),
        "images": tally.images,
        "skipped": tally.skipped,
        "out_of_reach": tally.out_of_reach,
        "with_clear_tiles": tally.clear,
        "vfe": {
            name: {
                "mean": spread.total / tally.images,
                "smallest": spread.smallest,
                "largest": spread.largest,
            }
            for name, spread in (("before", tally.before), ("after", tally.after))
        },
        "software": software(),
        "files": dict(files),
    }
    with atomic_path(root / MANIFEST, aside=root / WORK) as file:
        head = json.dumps(manifest, indent=1).removesuffix("\n}")
        file.write(f'{head},\n "shards": [\n'.encode())
        for number, shard in enumerate(shards):
            file.write(b",\n" if number else b"")
            file.write(json.dumps(shard, indent=1).encode())
        file.write(b"\n ]\n}\n")
    return manifest


def read_manifest(root: Path) -> dict[str, Any]:
    """What `release.json` holds.

    Raises:
      RunError: it is not there, or is none.
    """
    path = root / MANIFEST
    try:
        manifest = dict(json.loads(path.read_text()))
        layout = manifest["vmixjax"]
    except FileNotFoundError as error:
        raise RunError(
            f"{root} is no release, or not a finished one: {MANIFEST} is not there"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged; use a copy of the release") from error
    if layout != _LAYOUT:
        raise RunError(
            f"{path} was written by another version of vmixjax; use that one"
        )
    return manifest
