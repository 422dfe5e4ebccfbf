"""A WebDataset: tar files of samples, each some files that differ in the suffix."""

import array
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from vmixjax.release.errors import RunError
from vmixjax.release.examples import (
    Example,
    Field,
    Label,
    Pixels,
    Text,
    numbered_candidates,
)
from vmixjax.release.images import ImageError, decode_image

_IMAGES = {"png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"}
_LABEL, _TEXT = "cls", "txt"


class WebDatasetSource:
    """Samples of tar files, in their order.

    Kept in memory is where in its file each sample begins, and nothing else.

    Args:
      tars: the files.
      drop: suffixes of members to leave behind.
      keep: suffixes of members, other than cls and txt, to let through as text; None
        lets all of them through.

    Raises:
      RunError: a file is no tar, two samples have the same key, a sample has no image
        or several, or members that may show what the image shows.
    """

    name = "mixed"
    pixels: Pixels | None = None

    def __init__(
        self, tars: Sequence[Path], drop: Sequence[str], keep: Sequence[str] | None
    ) -> None:
        self._tars = tuple(tars)
        self.places: Sequence[Path] = self._tars
        self._drop = frozenset(drop)
        self._starts = [array.array("q") for _ in tars]
        suffixes: set[str] = set()
        seen: set[int] = set()
        for tar, starts in zip(tars, self._starts, strict=True):
            previous = None
            for key, suffix, start in _members(tar):
                if key != previous:
                    if hash(key) in seen:
                        raise RunError(
                            f"two samples in SRC have the key {key!r}; rename one"
                        )
                    seen.add(hash(key))
                    starts.append(start)
                    previous = key
                suffixes.add(suffix)
        if not seen:
            raise RunError(f"SRC {tars[0]} holds no samples")
        for option, names in (("--drop", drop), ("--keep", keep or ())):
            strange = sorted(set(names) - suffixes)
            if strange:
                raise RunError(
                    f"{option} {strange[0]}: the samples have "
                    f"{', '.join(sorted(suffixes))}"
                )
        fields: dict[str, Field] = {}
        for suffix in sorted(suffixes - _IMAGES - self._drop):
            if suffix == _LABEL:
                fields[suffix] = Label()
            elif suffix == _TEXT or keep is None or suffix in keep:
                fields[suffix] = Text()
            else:
                raise RunError(
                    f"the samples have members .{suffix}, which may show what the "
                    f"images show: leave them behind with --drop {suffix}, or let them "
                    f"through with --keep {suffix}"
                )
        self.fields: Mapping[str, Field] = fields
        self.splits: Mapping[str, int] = {"train": sum(map(len, self._starts))}

    def read(self, split: str, index: int) -> Example:
        """See `Source.read`."""
        del split
        path, key, kept = self._sample(index)
        where = f"{path}: {key}"
        images = sorted(_IMAGES & set(kept))
        if len(images) != 1:
            raise ImageError(
                f"{where} has {len(images)} images; it needs one, and others dropped "
                f"with --drop SUFFIX"
            )
        values: dict[str, int | str] = {}
        for name, field in self.fields.items():
            try:
                text = kept[name].decode()
                values[name] = int(text) if isinstance(field, Label) else text
            except (KeyError, ValueError) as error:
                raise ImageError(
                    f"{where} has no .{name} that can be read; mend it, or drop all "
                    f"with --drop {name}"
                ) from error
        return Example(
            name=key,
            folder=str(values.get(_LABEL, "")),
            kept=key,
            image=decode_image(kept[images[0]], where),
            values=values,
        )

    def candidates(self, name: str) -> Iterator[tuple[str, int]]:
        """See `Source.candidates`."""
        yield from numbered_candidates(name, self.splits)

    def content(self, split: str, index: int) -> bytes:
        """See `Source.content`."""
        del split
        _, _, members = self._sample(index)
        (suffix,) = _IMAGES & set(members)
        return members[suffix]

    def traces(self) -> Iterator[str]:
        """See `Source.traces`: sizes of files, and their samples."""
        for tar, starts in zip(self._tars, self._starts, strict=True):
            yield f"{tar.name}\0{tar.stat().st_size}\0{len(starts)}"

    def _sample(self, index: int) -> tuple[Path, str, dict[str, bytes]]:
        """Where a sample is, its key, and those of its members that are wanted."""
        tar = 0
        while index >= len(self._starts[tar]):
            index -= len(self._starts[tar])
            tar += 1
        path = self._tars[tar]
        key, members = _sample(path, self._starts[tar][index])
        wanted = {name: members[name] for name in members if name not in self._drop}
        return path, key, wanted


def list_tars(path: Path) -> list[Path]:
    """The tar files that a path names; none if it is something else.

    Raises:
      RunError: a list names a file that is not there.
    """
    if path.is_dir():
        files = [p for p in sorted(path.iterdir()) if not p.name.startswith(".")]
        files = [p for p in files if p.is_file() and p.suffix != ".json"]
        only = [p for p in files if p.suffix == ".tar"]
        return only if len(only) == len(files) else []
    if path.suffix == ".tar":
        return [path]
    if path.suffix != ".txt":
        return []
    lines = path.read_text().splitlines()
    tars = [path.parent / line.strip() for line in lines if line.strip()]
    for tar in tars:
        if tar.suffix != ".tar" or not tar.is_file():
            raise RunError(f"SRC {path} lists {tar}, which is no tar file there")
    return tars


def _members(path: Path) -> Iterator[tuple[str, str, int]]:
    """Key, suffix and where it begins, of each ordinary member."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isfile():
                    yield *_key(member.name), member.offset
                # They would be kept, all of them, for as long as the file is open.
                tar.members.clear()  # type: ignore[attr-defined]
    except (tarfile.TarError, EOFError) as error:
        raise RunError(f"{path} is no whole tar file; copy it again") from error


def _key(name: str) -> tuple[str, str]:
    """A sample's key is all up to the first dot of the file's own name."""
    path = PurePosixPath(name)
    stem, _, suffix = path.name.partition(".")
    return (path.parent / stem).as_posix(), suffix.lower()


def _sample(path: Path, start: int) -> tuple[str, dict[str, bytes]]:
    """The key and the members of the sample that begins at a place in a file."""
    found: dict[str, bytes] = {}
    sample = ""
    try:
        with path.open("rb") as file:
            file.seek(start)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    if not member.isfile():
                        continue
                    key, suffix = _key(member.name)
                    if found and key != sample:
                        break
                    sample = key
                    content = tar.extractfile(member)
                    assert content is not None
                    found[suffix] = content.read()
    except FileNotFoundError as error:
        raise RunError(
            f"{path} was there and is gone; bring it back and run again"
        ) from error
    except (tarfile.TarError, EOFError) as error:
        raise RunError(f"{path} has changed; bring it back and run again") from error
    return sample, found
