"""The command line: `python -m train fit|evaluate|predict|label|compare`.

Errors are one line on standard error; results go to standard output.
"""

import dataclasses
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from train.axes import Axes
from train.config import Config
from train.presets import PRESETS
from vmixjax.cli.cache import keep_programs
from vmixjax.command_line import DONE, Command, Program, example_last, say
from vmixjax.errors import RunError

_Config = Annotated[Config, tyro.conf.arg(name="")]
_Axes = Annotated[Axes, tyro.conf.arg(name="")]


@dataclasses.dataclass(frozen=True)
class Hosts:
    """Several processes that train together."""

    distributed: bool = False
    """Join the other processes; on TPU pods and under SLURM they are found. What they
    compile is kept where JAX_COMPILATION_CACHE_DIR says, a folder that all see."""
    coordinator: str | None = None
    """HOST:PORT of process 0."""
    processes: int | None = None
    """How many there are."""
    process: int | None = None
    """Which one this is, from 0."""


_Hosts = Annotated[Hosts, tyro.conf.arg(name="")]


@dataclasses.dataclass(frozen=True)
class Fit:
    """Train a model on images that are mixed anew in every step."""

    workdir: Path
    """Folder for checkpoints, metrics and curves."""
    preset: str = "digits"
    """Where options start; one of those in train/presets.py."""
    resume: bool = False
    """Go on with the run in the workdir, for more steps if --steps says so."""
    config: _Config = PRESETS["digits"]
    hosts: _Hosts = dataclasses.field(default_factory=Hosts)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Test the best checkpoint of a run, on mixed test images."""

    workdir: Path
    """Folder of the run."""
    data_dir: str | None = None
    """Where TFDS keeps the data set, if not where it was in training."""
    mixes: int | None = None
    """Average the predictions for so many mixes of each image."""


@dataclasses.dataclass(frozen=True)
class Predict:
    """Print what a trained model finds in image files: classes, boxes, or masks."""

    paths: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE...")
    ]
    """The images; resized and mixed as in training before the model sees them."""
    workdir: Path
    """Folder of the run."""
    mixed: bool = False
    """The images are mixed already."""
    top: int = 3
    """How many classes, or objects, to print of each."""
    draw: Path | None = None
    """Folder for pictures with the boxes or masks: on the mixed image and, where you
    have it, on the clean one."""
    originals: tuple[Path, ...] = ()
    """What images that are --mixed were, in the same order, to draw on."""
    json: bool = False
    """Print JSON instead of a table; of boxes top, left, bottom and right in pixels."""


@dataclasses.dataclass(frozen=True)
class Label:
    """Write what a trained model, the teacher, says of each image of a data set.

    The owner of clean images trains the teacher on them and keeps it; its soft labels
    go with the release (vmixjax mix --soft-labels), and whoever trains on that learns
    from both (fit --optimizer.distill).
    """

    workdir: Path
    """Folder of the teacher's run, as a rule one with --mixing.where off."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """A .npz file to write. It tells of the images: keep it as you keep them."""
    source: str | None = None
    """Data set, as vmixjax mix is given it; by default what the run learned from."""
    data_dir: str | None = None
    """Where TFDS keeps it, if not where it was in training."""
    image: str | None = None
    """Field that is the image, where several might be."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train on clean images, on mixed ones, on releases; tell what mixing costs."""

    out: Path
    """Folder for compare.json, compare.png and the runs. Started again, it goes on."""
    preset: str = "digits"
    """Where options start, as for fit."""
    seeds: int = 1
    """Runs of each kind."""
    axes: _Axes = dataclasses.field(default_factory=Axes)
    config: _Config = PRESETS["digits"]


def _fit(options: Fit) -> int:
    import jax

    hosts = options.hosts
    if hosts.distributed:
        jax.distributed.initialize(hosts.coordinator, hosts.processes, hosts.process)
    from train.fit import fit
    from train.metrics import CURVES

    outcome = fit(options.config, options.workdir, resume=options.resume)
    if jax.process_index() == 0:
        print(outcome)
        print(f"curves: {options.workdir / CURVES}")
    return DONE


def _evaluate(options: Evaluate) -> int:
    from train.predict import evaluate

    print(evaluate(options.workdir, data_dir=options.data_dir, mixes=options.mixes))
    return DONE


def _predict(options: Predict) -> int:
    from train.predict import predict

    predictions = predict(
        options.workdir,
        options.paths,
        mixed=options.mixed,
        draw=options.draw,
        originals=options.originals,
    )
    if options.json:
        print(json.dumps([vars(one) for one in predictions], indent=1))
        return DONE
    for one in predictions:
        say(f"{one.path}: {one.line(options.top)}")
    if options.draw is not None:
        say(f"pictures: {options.draw}")
    return DONE


def _label(options: Label) -> int:
    from train.label import label

    asked = dataclasses.asdict(options)
    print(f"{label(**asked)} images: {options.out}")
    return DONE


def _compare(options: Compare) -> int:
    from train.compare import compare, table

    if options.seeds < 1:
        raise RunError(f"--seeds must be at least 1; got {options.seeds}")
    result = compare(
        options.config,
        options.out,
        axes=options.axes,
        seeds=options.seeds,
        preset=options.preset,
    )
    print(table(result))
    print(f"details: {options.out / 'compare.json'}, {options.out / 'compare.png'}")
    return DONE


_FIT = "python -m train fit --preset digits --workdir runs/digits"

COMMANDS = {
    "fit": Command(Fit, _FIT, _fit),
    "evaluate": Command(
        Evaluate, "python -m train evaluate --workdir runs/digits", _evaluate
    ),
    "predict": Command(
        Predict, "python -m train predict --workdir runs/digits seven.png", _predict
    ),
    "label": Command(
        Label, "python -m train label --workdir runs/teacher --out soft.npz", _label
    ),
    "compare": Command(
        Compare,
        "python -m train compare --preset digits --out runs/compare --seeds 3",
        _compare,
    ),
}
"""All commands by name."""

PROGRAM = Program(
    name="python -m train",
    speaker="train",
    about="Train Flax models on images that nobody can recognise. "
    "Compiled programs are kept in your cache folder, unless the environment has "
    "JAX_ENABLE_COMPILATION_CACHE=0.",
    example=_FIT,
    missing="{} is not installed: pip install -e '.[train]' in the checkout",
    interrupted="interrupted; go on from the last checkpoint with --resume",
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    # Orbax, Grain and TFDS tell details of their work and installation below this.
    logging.getLogger("absl").setLevel(logging.ERROR)
    given = sys.argv[1:] if arguments is None else arguments
    return PROGRAM.run(lambda: _run(given))


def _run(arguments: list[str]) -> int:
    """Runs a command, its options starting from the preset that is named."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None or not hasattr(command.options, "preset"):
        return _start(*PROGRAM.parse(arguments, COMMANDS))
    preset = _preset(arguments)
    if preset not in PRESETS:
        raise RunError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
    with example_last(arguments, {"": command.example}):
        options = tyro.cli(
            command.options,
            args=arguments[1:],
            prog=f"{PROGRAM.name} {arguments[0]}",
            default=command.options(tyro.MISSING, preset, config=PRESETS[preset]),
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    return _start(command, options)


def _start(command: Command, options: Any) -> int:
    """Carries out a command, with programs that were compiled before.

    Of several processes JAX lets the first alone keep programs. In folders of their
    own the others would compile what it loads, and on GPUs, which are tuned together,
    wait for it: such a folder must be one that all of them see, so it must be named.
    """
    if not getattr(options, "hosts", Hosts()).distributed:
        keep_programs(PROGRAM.speaker)
    return command.run(options)


def _preset(arguments: list[str]) -> str:
    for i, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--preset":
            return value if equals else (arguments[i + 1 :] or [""])[0]
    return "digits"


if __name__ == "__main__":
    sys.exit(main())
