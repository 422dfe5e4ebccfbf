"""`vmixjax mix`: a data set becomes a release."""

import dataclasses
import json
import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from vmixjax.cli.options import (
    DataDir,
    Destination,
    FollowLinks,
    Image,
    PassphraseFile,
    Splits,
    Workers,
    check_workers,
    errors_name,
    mix_config,
    optional,
    status,
)
from vmixjax.command_line import SOME_SKIPPED, Command, counted, say
from vmixjax.config import Channels
from vmixjax.data.formats import FORMATS
from vmixjax.errors import RunError

if TYPE_CHECKING:
    from vmixjax.release.config import Recipe, ReleaseConfig
    from vmixjax.release.mix import Engine

_FORMATS = ("same", *FORMATS)

_NAMED = 3
"""Images that hardly changed, in a line."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """Mix a data set so that it is hard to recognise what its images show.

    SRC is an image file or a folder of them (folders are classes), a TFDS data set
    (tfds:NAME or tfds:DIR), a WebDataset (a .tar file, a folder of them, or a .txt
    list), or images with boxes (coco:DIR, voc:DIR, yolo:DIR). DST becomes a release:
    mixed images, their classes and boxes, a manifest, and nothing else of the
    originals. Without --vault nobody can undo the mixing; with it, you can, and so can
    whoever gets hold of the vault. This is obfuscation, not encryption: the mean colour
    of each region remains. Interrupted, the same command goes on where it was, if a
    --vault or --secret-file keeps the secret.
    """

    src: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """What to mix."""
    dst: Destination
    """A new folder for the release."""
    format: Annotated[str, tyro.conf.arg(metavar=f"{{{','.join(_FORMATS)}}}")] = "same"
    """What to write: PNG files, a TFDS data set, tar files, boxes as others have
    them; or what SRC is."""
    strength: Annotated[float | None, optional("S", "1.0")] = None
    """0 to 1, a place in each image's range of VFE; 0 still mixes every tile."""
    target_vfe: Annotated[float | None, optional("VFE", "by --strength")] = None
    """The VFE to reach, the same for all images; instead of --strength."""
    tile_size: int = 32
    """Side of a tile in pixels."""
    ladder: Annotated[
        tuple[str, ...] | None,
        optional("REGION:BLOCK...", "8:1 16:1 32:1, as far as tiles allow"),
    ] = None
    """Levels of mixing, weakest first: sizes of regions and blocks in pixels."""
    channels: Channels = "independent"
    """Whether colours part ways, pixels keep theirs, or values change channels."""
    fit: Literal["pad", "crop"] = "pad"
    """Images that are not whole tiles: repeat the last row and column, or cut off."""
    sensitivity: Annotated[Path | None, optional("DIR", "all is private")] = None
    """Folder of grey masks, named as the images; black tiles stay as they are."""
    soft_labels: Annotated[Path | None, optional("FILE", "none")] = None
    """What a teacher says of each image, .npz: goes into the release beside it."""
    data_dir: DataDir = None
    """Where TFDS keeps its data sets."""
    splits: Splits = ()
    """Splits to mix, or parts of them, as train[:50%]."""
    drop: Annotated[tuple[str, ...], optional("FIELD...", "none")] = ()
    """Features, or suffixes of WebDataset members, to leave behind."""
    keep: Annotated[tuple[str, ...], optional("FIELD...", "none")] = ()
    """Those to let through although they may show what the images show."""
    mask_cells: Annotated[int | None, optional("N", "masks do not pass")] = None
    """Masks keep one class for N x N pixels; 0: the smallest regions that are mixed."""
    image: Image = None
    """Feature, or suffix, that is the image, where several might be."""
    follow_links: FollowLinks = ()
    """Folders that links in SRC may lead into."""
    keep_names: bool = False
    """Keep the names of images, instead of numbers. Names may name people."""
    keep_order: bool = False
    """Keep the order of SRC, instead of a shuffled one. It may tell which is which."""
    vault: Annotated[Path | None, optional("DIR", "the secret is forgotten")] = None
    """Folder that will hold what undoes the mixing. Never hand it out."""
    vault_passphrase_file: PassphraseFile = None
    """File whose first line is the passphrase that locks the vault."""
    secret_file: Annotated[Path | None, optional("FILE", "a new secret")] = None
    """File of 32 random bytes: the secret that keys come from."""
    shard_size: int = 1024
    """Images to a shard: what is written, and checked, as one."""
    update: bool = False
    """Bring a finished release up to date with SRC; what is gone from it is removed."""
    workers: Workers = None
    """Threads that decode and encode. They change no byte."""
    engine: Literal["local", "beam"] = "local"
    """This machine, or Apache Beam; its own options come last, behind --."""
    beam_options: tyro.conf.Suppress[tuple[str, ...]] = ()
    strict: bool = False
    """Stop at the first image that cannot be mixed, instead of leaving it out."""
    allow_overlaps: bool = False
    """Mix images that show the same scene on many grids, and together give it back."""
    json: bool = False
    """Print JSON instead of words."""


def run(options: Mix) -> int:
    """Mixes a data set, or what is left of it; returns the exit status."""
    _check(options)
    config = _config(options)

    from vmixjax.release.mix import mix_release
    from vmixjax.release.progress import Progress

    engine, progress = _engine(options), Progress("mixing")
    largest = max(block for _, block in config.recipe.config.ladder)
    if largest > 1:
        progress.say(
            f"blocks of {largest} stay whole, like pieces of a jigsaw, and attackers "
            f"put some of them together again; blocks of 1 leave no pieces"
        )
    with errors_name(options.dst):
        manifest = mix_release(config, engine, progress, workers=options.workers)
    if options.json:
        left_out = [*progress.doubts, *progress.skipped]
        told = {"left_out": left_out, "unchanged": progress.hardly_changed}
        print(json.dumps({**manifest, **told}, indent=1))
    else:
        _summarize(manifest)
        if manifest["hardly_changed"]:
            needed = manifest["hardly_changed"]
            say(_hardly_changed(needed, progress.hardly_changed, config.recipe))
    skipped = status(manifest["images"], manifest["skipped"])
    return SOME_SKIPPED if progress.doubts else skipped


def _check(options: Mix) -> None:
    """Refuses what can be told without a look at SRC or DST."""
    strength, target = options.strength, options.target_vfe
    if strength is not None and target is not None:
        raise RunError("--strength and --target-vfe exclude each other; give one")
    if strength is not None and not 0 <= strength <= 1:
        raise RunError(f"--strength must be 0 to 1; got {strength}")
    if target is not None and not 0 <= target < math.inf:
        raise RunError(f"--target-vfe must be a number of at least 0; got {target}")
    check_workers(options.workers)
    if options.format not in _FORMATS:
        raise RunError(
            f"--format {options.format}: it must be {', '.join(_FORMATS[:-1])} or "
            f"{_FORMATS[-1]}; all hold PNG, since lossy formats would spoil the mixing"
        )


def _config(options: Mix) -> "ReleaseConfig":
    mixing = mix_config(options.tile_size, options.ladder, options.channels)
    if options.sensitivity is not None and not options.sensitivity.is_dir():
        raise RunError(f"--sensitivity {options.sensitivity} is not a folder of masks")

    from vmixjax.data.formats import format_of
    from vmixjax.release.config import Recipe, ReleaseConfig

    recipe = Recipe(
        mixing,
        options.fit,
        1.0 if options.strength is None else options.strength,
        options.target_vfe,
        options.sensitivity,
    )
    same = options.format == "same"
    format = format_of(options.src).name if same else options.format
    asked = dataclasses.asdict(options)
    wanted = {field.name for field in dataclasses.fields(ReleaseConfig)} & set(asked)
    values = {name: asked[name] for name in wanted}
    return ReleaseConfig(**{**values, "recipe": recipe, "format": format})


def _engine(options: Mix) -> "Engine":
    if options.engine == "local":
        from vmixjax.release.mix import run_local

        return partial(run_local, workers=options.workers)
    if options.update:
        raise RunError("--update is done on one machine: leave out --engine beam")
    if options.secret_file is None and options.vault is None:
        raise RunError(
            "--engine beam needs a secret that all workers can read: give it a "
            "--secret-file or a --vault"
        )
    try:
        from vmixjax.release.beam import run_beam
    except ModuleNotFoundError as error:
        raise RunError(
            "Apache Beam is not installed, and --engine beam needs it: "
            "pip install 'vmixjax[beam]'"
        ) from error
    return partial(run_beam, options=options.beam_options)


def _summarize(manifest: dict[str, Any]) -> None:
    from vmixjax.data.probabilities import SOFT_LABEL

    before, after = (manifest["vfe"][when] for when in ("before", "after"))
    print(
        f"{manifest['images']} mixed; mean VFE {before['mean']:.2f} before, "
        f"{after['mean']:.2f} after"
    )
    classes = f"classes: {counted(found)}" if (found := manifest["classes"]) else ""
    say(f"splits: {counted(manifest['splits'])}; {classes or 'no classes'}")
    if manifest.get("boxes"):
        say(_boxes(manifest))
    if manifest.get("boxes_cut_off"):
        print(f"{manifest['boxes_cut_off']} boxes were cut off with what they were in")
    if manifest["about"].get("mask_cells"):
        say(_masks(manifest["about"]))
    if SOFT_LABEL in manifest["fields"]:
        say("soft labels: each image has what a network that saw it clean makes of it")
    if manifest["out_of_reach"]:
        print(f"{manifest['out_of_reach']} of them cannot reach the VFE asked for")
    if manifest["with_clear_tiles"]:
        count = manifest["with_clear_tiles"]
        print(f"{count} of them with tiles left as they are, as the masks say")


def _boxes(manifest: dict[str, Any]) -> str:
    """How many boxes went along, and what they tell."""
    boxes = manifest["boxes"]
    return (
        f"boxes: {sum(boxes.values()):,} of {_of(len(boxes), 'class', 'classes')} in "
        f"{_of(manifest.get('with_boxes', 0), 'image', 'images')}; whoever has the "
        f"release knows where these things are, how large, and what"
    )


def _masks(about: dict[str, Any]) -> str:
    """What masks went along, and what they tell."""
    cells = about["mask_cells"]
    if cells == 1:
        return "masks: of every pixel; they draw the outlines of what images show"
    return (
        f"masks: one class for {cells} x {cells} pixels; whoever has the release knows "
        f"what is where, as coarsely"
    )


def _of(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _hardly_changed(
    needed: dict[str, int], told: list[dict[str, Any]], recipe: "Recipe"
) -> str:
    """How many images came out as they went in, which, and what would mix them."""
    count = sum(needed.values())
    each = [
        f"{one['image']} (VFE {one['before']:.2f} before, {one['after']:.2f} after, "
        f"{one['moved']:.1%} of its pixels moved)"
        for one in told[:_NAMED]
    ]
    named = f": {', '.join(each)}" if each else ""
    more = f" and {count - len(each)} more" if count > len(each) > 0 else ""
    tile = max(map(int, needed))
    return (
        f"{count} hardly changed, since each region of {'them' if count > 1 else 'it'} "
        f"is nearly of one colour{named}{more}; to mix such, take "
        f"{_larger(recipe, tile)}"
    )


def _larger(recipe: "Recipe", tile_size: int) -> str:
    """Options by which tiles of a size are mixed as wholes, pixel by pixel."""
    config = recipe.config
    options = [f"--tile-size {tile_size}"]
    if config.ladder[-1] != (config.tile_size, 1):
        options.append(f"--ladder {tile_size}:1")
    if not recipe.takes_strongest:
        options.append("--strength 1")
    if recipe.fit == "crop":
        options.append("--fit pad")
    return " ".join(options)


COMMAND = Command(Mix, "vmixjax mix photos mixed --vault ~/photos-vault", run)
