"""The `vmixjax` command: measure, mix, restore, check, audit, and the demo.

The edge of the package: what is heavy is imported where it is used, so that help and
complaints come at once; errors are one line on standard error, results go to
standard output.
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vmixjax._help import example_last
from vmixjax._printable import printable
from vmixjax.config import Channels, MixConfig
from vmixjax.data.formats import FORMATS

DONE, SOME_SKIPPED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: all done; some files skipped; nothing or not all tried; Ctrl-C."""

_ROOM = "; make room, and run the same command again"
_MENDS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "; name a folder elsewhere",
    errno.EACCES: "; change its permissions, or name another",
}

_Paths = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH...")
]
_FORMATS = ("same", *FORMATS)
_Src = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
_Dst = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]


def _optional(metavar: str, unset: str) -> object:
    """How help shows an option that may be left out, and what happens then."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {unset})")


@dataclasses.dataclass(frozen=True)
class Vfe:
    """Measure images: size, VFE, and the range that mixing can reach."""

    paths: _Paths
    """Image files, or folders of them."""
    tile_size: int = 32
    """Side of a tile in pixels; VFE is taken per tile."""
    fit: Literal["pad", "crop"] = "pad"
    """What to do to images that are not whole tiles."""
    json: bool = False
    """Print JSON instead of a table."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """Mix a data set so that it is hard to recognise what its images show.

    SRC is an image file or a folder of them (folders are classes), a TFDS data set
    (tfds:NAME or tfds:DIR), or a WebDataset (a .tar file, a folder of them, or a .txt
    list). DST becomes a release: mixed images, their classes, a manifest, and nothing
    else of the originals. Without --vault nobody can undo the mixing; with it, you can,
    and so can whoever gets hold of the vault. This is obfuscation, not encryption: the
    mean colour of each region remains. Interrupted, the same command goes on where it
    was, if a --vault or --secret-file keeps the secret.
    """

    src: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """What to mix."""
    dst: _Dst
    """A new folder for the release."""
    format: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(_FORMATS)}}}")] = "same"
    """What to write: PNG files, a TFDS data set, tar files; or what SRC is."""
    strength: Annotated[float | None, _optional("S", "1.0")] = None
    """0 to 1, a place in each image's range of VFE; 0 still mixes every tile."""
    target_vfe: Annotated[float | None, _optional("VFE", "by --strength")] = None
    """The VFE to reach, the same for all images; instead of --strength."""
    tile_size: int = 32
    """Side of a tile in pixels."""
    ladder: Annotated[
        tuple[str, ...] | None,
        _optional("REGION:BLOCK...", "8:2 8:1 16:1 32:1, as far as tiles allow"),
    ] = None
    """Levels of mixing, weakest first: sizes of regions and blocks in pixels."""
    channels: Channels = "independent"
    """Whether colours part ways, pixels keep theirs, or values change channels."""
    fit: Literal["pad", "crop"] = "pad"
    """Images that are not whole tiles: repeat the last row and column, or cut off."""
    sensitivity: Annotated[Path | None, _optional("DIR", "all is private")] = None
    """Folder of grey masks, named as the images; black tiles stay as they are."""
    data_dir: Annotated[str | None, _optional("DIR", "where TFDS looks")] = None
    """Where TFDS keeps its data sets."""
    splits: Annotated[tuple[str, ...], _optional("SPLIT...", "all")] = ()
    """Splits to mix."""
    drop: Annotated[tuple[str, ...], _optional("FIELD...", "none")] = ()
    """Features, or suffixes of WebDataset members, to leave behind."""
    keep: Annotated[tuple[str, ...], _optional("FIELD...", "none")] = ()
    """Those to let through although they may show what the images show."""
    keep_names: bool = False
    """Keep the names of images, instead of numbers. Names may name people."""
    vault: Annotated[Path | None, _optional("DIR", "the secret is forgotten")] = None
    """Folder that will hold what undoes the mixing. Never hand it out."""
    vault_passphrase_file: Annotated[Path | None, _optional("FILE", "none")] = None
    """File whose first line is the passphrase that locks the vault."""
    secret_file: Annotated[Path | None, _optional("FILE", "a new secret")] = None
    """File of 32 random bytes: the secret that keys come from."""
    shard_size: int = 1024
    """Images to a shard: what is written, and checked, as one."""
    workers: Annotated[int | None, _optional("N", "one for each processor")] = None
    """Threads that decode and encode. They change no byte."""
    engine: Literal["local", "beam"] = "local"
    """This machine, or Apache Beam; its own options come last, behind --."""
    beam_options: tyro.conf.Suppress[tuple[str, ...]] = ()
    strict: bool = False
    """Stop at the first image that cannot be mixed, instead of leaving it out."""
    json: bool = False
    """Print JSON instead of words."""


@dataclasses.dataclass(frozen=True)
class Unmix:
    """Restore a release, or some of its files, exactly, by the vault of its mixing."""

    src: _Src
    """A release, a mixed image file, or a folder of them."""
    dst: _Dst
    """Folder to write to."""
    vault: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder that was given to vmixjax mix --vault."""
    vault_passphrase_file: Annotated[Path | None, _optional("FILE", "none")] = None
    """File whose first line is the vault's passphrase."""
    id: Annotated[str | None, _optional("NAME", "all")] = None
    """Only this image, called as in the release or as its original was."""
    workers: Annotated[int | None, _optional("N", "one for each processor")] = None
    """Threads that decode and encode."""
    overwrite: bool = False
    """Replace files in DST."""
    strict: bool = False
    """Stop at the first file that cannot be restored, instead of skipping it."""


@dataclasses.dataclass(frozen=True)
class Verify:
    """Check that a release is whole, as its manifest says, and says no more.

    Checksums, counts, that every image decodes, its VFE, and that no file carries
    metadata. With the vault: that each image can be restored to its original, and is
    not like it. With --source: that no image of it is in the release.
    """

    release: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RELEASE")]
    """The folder that vmixjax mix wrote."""
    vault: Annotated[Path | None, _optional("DIR", "none")] = None
    """The folder that was given to vmixjax mix --vault."""
    vault_passphrase_file: Annotated[Path | None, _optional("FILE", "none")] = None
    """File whose first line is the vault's passphrase."""
    source: Annotated[str | None, _optional("SRC", "none")] = None
    """What was mixed."""
    data_dir: Annotated[str | None, _optional("DIR", "where TFDS looks")] = None
    """Where TFDS keeps its data sets."""
    json: bool = False
    """Print JSON instead of words."""


@dataclasses.dataclass(frozen=True)
class Demo:
    """See it work, offline: photographs mixed at three strengths, a model trained."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("vmixjax-demo")
    """Folder for report.html."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """Find out what an attacker gets back from images like yours, once protected.

    Attacks that know the method, its settings and public images, but no key, are made
    on your images, protected by vmixjax and by other methods. OUT gets report.html,
    with a verdict in plain words, and audit.json. Both, and the folder work, tell of
    your originals: keep them as carefully. Interrupted, the same command goes on.
    """

    src: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Your images: whatever vmixjax mix takes. Folders, or labels, are classes."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("vmixjax-audit")
    """Folder for the report and what it is made from."""
    public: Annotated[str | None, _optional("SRC", "the other half of SRC")] = None
    """Images like yours that an attacker may have. None may be yours."""
    methods: Annotated[tuple[str, ...], _optional("NAME...", "by --budget")] = ()
    """What to compare: mix:REGION[/BLOCK], mix-joint:REGION, pixelate:PIXELS and so
    on, or pixelate:match for as much learned as from the first, which the verdict is
    about."""
    attacks: Annotated[tuple[str, ...], _optional("NAME...", "all")] = ()
    """What to try: thumbnail, restoration, jigsaw, average, known_pairs,
    gradient_inversion, membership."""
    budget: Literal["quick", "hour", "full"] = "quick"
    """Minutes, an hour, or many."""
    image_size: Annotated[int | None, _optional("PIXELS", "by --budget")] = None
    """Bring all images to squares of so many pixels, which regions are measured in."""
    data_dir: Annotated[str | None, _optional("DIR", "where TFDS looks")] = None
    """Where TFDS keeps its data sets."""
    splits: Annotated[tuple[str, ...], _optional("SPLIT...", "all")] = ()
    """Splits of SRC to take; --public takes all that it has."""
    seed: int = 0
    """Of all random choices."""


_Command = (
    Annotated[Vfe, tyro.conf.subcommand("vfe")]
    | Annotated[Mix, tyro.conf.subcommand("mix")]
    | Annotated[Unmix, tyro.conf.subcommand("unmix")]
    | Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Audit, tyro.conf.subcommand("audit")]
    | Annotated[Demo, tyro.conf.subcommand("demo")]
)

_EXAMPLES = {
    "": "vmixjax mix photos mixed --vault ~/photos-vault",
    "vfe": "vmixjax vfe holiday/*.jpg --tile-size 16",
    "mix": "vmixjax mix photos mixed --vault ~/photos-vault",
    "unmix": "vmixjax unmix mixed restored --vault ~/photos-vault",
    "verify": "vmixjax verify mixed --vault ~/photos-vault",
    "audit": "vmixjax audit photos --public tfds:cifar10 --out audit",
    "demo": "vmixjax demo --out demo",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    behind: list[str] = []
    if "--" in arguments:
        place = arguments.index("--")
        arguments, behind = arguments[:place], arguments[place + 1 :]
    try:
        command = _parse(arguments)
        if behind:
            if not isinstance(command, Mix) or command.engine != "beam":
                raise _Refusal(f"{behind[0]} behind --: only --engine beam takes such")
            command = dataclasses.replace(command, beam_options=tuple(behind))
        run = {
            Vfe: _vfe,
            Mix: _mix,
            Unmix: _unmix,
            Verify: _verify,
            Audit: _audit,
            Demo: _demo,
        }[type(command)]
        return run(command)  # type: ignore[operator]
    except _Refusal as refusal:
        return _complain(str(refusal))
    except KeyboardInterrupt:
        _complain("interrupted; every file that was written is whole")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; flushing it at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        mend = _MENDS.get(error.errno or 0, "")
        return _complain(f"{where}{error.strerror or error}{mend}")


def _parse(arguments: list[str]) -> Vfe | Mix | Unmix | Verify | Audit | Demo:
    with example_last(arguments, _EXAMPLES):
        return tyro.cli(
            _Command,
            args=arguments,
            prog="vmixjax",
            description="VisualMixer: images that networks can train on and people "
            "cannot recognise.",
            config=(tyro.conf.FlagCreatePairsOff,),
        )


class _Refusal(Exception):
    """Ends a run with one line."""


def _complain(line: str) -> int:
    print(printable(f"vmixjax: {line}"), file=sys.stderr)
    return REFUSED


def _say(line: str) -> None:
    """A line on standard output, whatever names from files it holds."""
    print(printable(line))


@contextlib.contextmanager
def _refusals(dst: Path | None = None) -> Iterator[None]:
    """Turns what a run cannot go on from into one line; `dst` is where it writes."""
    from vmixjax.errors import RunError, VaultError

    try:
        yield
    except (RunError, VaultError) as error:
        raise _Refusal(str(error)) from error
    except OSError as error:
        error.filename = error.filename or dst
        raise


def _config(
    tile_size: int, ladder: Iterable[str] | None, channels: Channels
) -> MixConfig:
    """A config from options; errors name the option."""
    try:
        if ladder is None:
            # The standard ladder as far as it fits, up to a whole tile.
            rungs = [r for r in MixConfig.ladder if tile_size % r[0] == 0]
            if (tile_size, 1) not in rungs:
                rungs.append((tile_size, 1))
        else:
            rungs = [_rung(text) for text in ladder]
        return MixConfig(tile_size, tuple(rungs), channels)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        if tile_size < 2:
            raise _Refusal(f"--tile-size must be 2 or more; got {tile_size}") from error
        raise _Refusal(f"--tile-size {tile_size}, --ladder: {error}") from error


def _rung(text: str) -> tuple[int, int]:
    region, colon, block = text.partition(":")
    if not (colon and region.isdecimal() and block.isdecimal()):
        raise ValueError(f"{text!r} is not REGION:BLOCK, such as 16:1")
    return int(region), int(block)


def _vfe(options: Vfe) -> int:
    from vmixjax.data.codecs.images import read_image
    from vmixjax.data.files import find_files
    from vmixjax.entropy import vfe
    from vmixjax.errors import ImageError
    from vmixjax.planning import vfe_range
    from vmixjax.release.progress import Progress
    from vmixjax.release.recipe import fit_image

    config = _config(options.tile_size, None, "independent")
    rows: list[dict[str, object]] = []

    def measure(path: Path) -> None:
        image = read_image(path)
        fitted = fit_image(str(path), image, config.tile_size, options.fit)
        lowest, highest = map(float, vfe_range(fitted, config))
        rows.append(
            {
                "path": str(path),
                "height": image.shape[0],
                "width": image.shape[1],
                "channels": image.shape[2],
                "vfe": float(vfe(fitted, config.tile_size)),
                "lowest": lowest,
                "highest": highest,
            }
        )

    paths = []
    for path in options.paths:
        root = path if path.is_dir() else path.parent
        paths += [root / name for name in find_files(path)]
    progress = Progress("measuring")
    with progress.of(len(paths)):
        for path in paths:
            try:
                measure(path)
                progress.tell(1, None)
            except ImageError as error:
                progress.tell(1, error)
    if options.json:
        print(json.dumps({"images": rows, "skipped": progress.skipped}, indent=1))
    elif rows:
        _table(
            ("image", "size", "VFE", "mixed, from", "to"),
            [
                (
                    row["path"],
                    f"{row['height']} x {row['width']} x {row['channels']}",
                    *(f"{row[name]:.2f}" for name in ("vfe", "lowest", "highest")),
                )
                for row in rows
            ],
        )
    if not paths:
        raise _Refusal("no image to measure")
    return _status(len(rows), len(progress.skipped))


def _mix(options: Mix) -> int:
    if options.strength is not None and options.target_vfe is not None:
        raise _Refusal("--strength and --target-vfe exclude each other; give one")
    strength = 1.0 if options.strength is None else options.strength
    if not 0 <= strength <= 1:
        raise _Refusal(f"--strength must be 0 to 1; got {strength}")
    target = options.target_vfe
    if target is not None and not 0 <= target < math.inf:
        raise _Refusal(f"--target-vfe must be a number of at least 0; got {target}")
    _check_workers(options.workers)
    if options.format not in _FORMATS:
        raise _Refusal(
            f"--format {options.format}: it must be {', '.join(_FORMATS[:-1])} or "
            f"{_FORMATS[-1]}; all hold PNG, since lossy formats would spoil the mixing"
        )
    config = _config(options.tile_size, options.ladder, options.channels)
    if options.sensitivity is not None and not options.sensitivity.is_dir():
        raise _Refusal(f"--sensitivity {options.sensitivity} is not a folder of masks")

    from vmixjax.data.formats import format_of
    from vmixjax.release.config import ReleaseConfig
    from vmixjax.release.mix import mix_release, run_local
    from vmixjax.release.progress import Progress
    from vmixjax.release.recipe import Recipe

    with _refusals(options.dst):
        same = options.format == "same"
        format = format_of(options.src).name if same else options.format
    order = ReleaseConfig(
        src=options.src,
        dst=options.dst,
        recipe=Recipe(config, options.fit, strength, target, options.sensitivity),
        format=format,
        data_dir=options.data_dir,
        splits=options.splits,
        drop=options.drop,
        keep=options.keep,
        names=options.keep_names,
        shard_size=options.shard_size,
        strict=options.strict,
        secret_file=options.secret_file,
        vault=options.vault,
        passphrase_file=options.vault_passphrase_file,
    )
    engine = partial(run_local, workers=options.workers)
    if options.engine == "beam":
        if options.secret_file is None and options.vault is None:
            raise _Refusal(
                "--engine beam needs a secret that all workers can read: give it a "
                "--secret-file or a --vault"
            )
        try:
            from vmixjax.release.beam import run_beam
        except ModuleNotFoundError as error:
            raise _Refusal(
                "Apache Beam is not installed, and --engine beam needs it: "
                "pip install 'vmixjax[beam]'"
            ) from error
        engine = partial(run_beam, options=options.beam_options)
    progress = Progress("mixing")
    with _refusals(options.dst):
        manifest = mix_release(order, engine, progress)
    if options.json:
        print(json.dumps({**manifest, "left_out": progress.skipped}, indent=1))
    else:
        _summary(manifest)
    return _status(manifest["images"], manifest["skipped"])


def _summary(manifest: dict[str, Any]) -> None:
    before, after = (manifest["vfe"][when] for when in ("before", "after"))
    print(
        f"{manifest['images']} mixed; mean VFE {before['mean']:.2f} before, "
        f"{after['mean']:.2f} after"
    )
    if manifest["out_of_reach"]:
        print(f"{manifest['out_of_reach']} of them cannot reach the VFE asked for")
    if manifest["with_clear_tiles"]:
        count = manifest["with_clear_tiles"]
        print(f"{count} of them with tiles left as they are, as the masks say")


def _unmix(options: Unmix) -> int:
    from vmixjax.release.progress import Progress
    from vmixjax.release.unmix import unmix_release

    _check_workers(options.workers)
    progress = Progress("restoring")
    with _refusals(options.dst):
        restored = unmix_release(
            options.src,
            options.dst,
            options.vault,
            passphrase_file=options.vault_passphrase_file,
            image=options.id,
            overwrite=options.overwrite,
            strict=options.strict,
            workers=options.workers,
            progress=progress,
        )
    print(f"{restored} restored")
    status = _status(restored, len(progress.skipped))
    return SOME_SKIPPED if progress.doubts else status


def _verify(options: Verify) -> int:
    from vmixjax.data.formats import open_source
    from vmixjax.release.progress import Progress
    from vmixjax.release.verify import verify_release

    with _refusals():
        original = None
        if options.source is not None:
            original = open_source(options.source, data_dir=options.data_dir, keep=None)
        report = verify_release(
            options.release,
            vault_folder=options.vault,
            passphrase_file=options.vault_passphrase_file,
            original=original,
            progress=Progress("verifying"),
        )
    if options.json:
        print(json.dumps(dataclasses.asdict(report), indent=1))
    else:
        for check in report.checks:
            _say(f"checked: {check}")
        for problem in report.problems:
            _say(f"WRONG: {problem}")
        problems = len(report.problems)
        print(
            f"{problems} problem{'' if problems == 1 else 's'}" if problems else "good"
        )
    return SOME_SKIPPED if report.problems else DONE


def _audit(options: Audit) -> int:
    from vmixjax.audit import AuditConfig, audit_images

    order = AuditConfig(
        src=options.src,
        public=options.public,
        methods=options.methods,
        attacks=options.attacks,
        budget=options.budget,
        image_size=options.image_size,
        data_dir=options.data_dir,
        splits=options.splits,
        seed=options.seed,
    )
    with _refusals():
        verdict = audit_images(order, options.out)
    for line in verdict.splitlines():
        _say(line)
    _say(f"see {options.out / 'report.html'}")
    return DONE


def _demo(options: Demo) -> int:
    from vmixjax.demo import run_demo

    options.out.mkdir(parents=True, exist_ok=True)
    print(run_demo(options.out).summary)
    return DONE


def _check_workers(workers: int | None) -> None:
    if workers is not None and workers < 1:
        raise _Refusal(f"--workers must be 1 or more; got {workers}")


def _status(done: int, skipped: int) -> int:
    if skipped:
        files = f"{skipped} image{'s' if skipped > 1 else ''}"
        print(f"vmixjax: {files} skipped, {done} done", file=sys.stderr)
    return SOME_SKIPPED if skipped else DONE


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Columns as wide as they need to be; numbers to the right."""
    lines = [head, *([printable(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
