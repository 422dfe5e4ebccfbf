"""Checkpoints of a run, by Orbax: written aside, whole or not at all, verified.

A checkpoint holds the state, where the data iterator stood, and a fingerprint of the
state: what comes back other than it was written is set aside, and the one before it
used.
"""

import dataclasses
import json
import operator
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import grain
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from train.config import Config, check, differences, from_values
from train.step import State
from vmixjax.atomic import atomic_path
from vmixjax.data.bounded import read_json
from vmixjax.data.files import is_text
from vmixjax.errors import RunError
from vmixjax.release.exclusive import exclusive

_RUN = "run.json"
_FOLDER = "checkpoints"
_REMOVED = "removed"
"""Where those go that are no longer kept, to be removed: a run may be killed then, but
not while one is moved."""
_TRIES = 3
_MOST_BYTES = 2**24
"""Of what is said of a run; most of it are names of classes."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a workdir is for: a config, images of shape (H, W, C), names of classes."""

    config: Config
    shape: tuple[int, int, int]
    classes: tuple[str, ...]


@contextmanager
def begin(run: Run, workdir: Path, *, resume: bool) -> Iterator[None]:
    """Makes a folder the workdir of a run, or sees that it is the same run's.

    As long as the block lasts no other run can begin there. Process 0 decides for all.

    Raises:
      RunError: It holds a run already and `resume` is off, or a run with another config
        or other data; that it goes on for more steps is no other config. Or another
        process works on it.
    """
    refusal = None
    with ExitStack() as held:
        if jax.process_index() == 0:
            try:
                held.enter_context(exclusive(workdir, "--workdir"))
                _begin(run, workdir, resume=resume)
                removed = workdir / _FOLDER / _REMOVED
                held.callback(shutil.rmtree, removed, ignore_errors=True)
            except RunError as error:
                refusal = error
        if multihost_utils.broadcast_one_to_all(np.int32(refusal is not None)):
            raise refusal or RunError("process 0 says why it cannot start")
        yield


def _begin(run: Run, workdir: Path, *, resume: bool) -> None:
    path = workdir / _RUN
    if not is_text(os.path.realpath(workdir)):
        raise RunError(
            f"--workdir {workdir} has a name that is no text in UTF-8, which Orbax "
            f"cannot write to: name another"
        )
    if not path.exists():
        workdir.mkdir(parents=True, exist_ok=True)
        _write_run(run, path)
        return
    stored = read_run(workdir)
    if not resume:
        raise RunError(
            f"{workdir} holds a run already: continue it with --resume, or name "
            f"another --workdir"
        )
    # More steps go on from where fewer ended; the rate falls over all of them.
    more = run.config.steps > stored.config.steps
    steps = run.config.steps if more else stored.config.steps
    config = dataclasses.replace(stored.config, steps=steps)
    changed = list(differences(config, run.config))
    if stored.shape != run.shape:
        changed.append(f"images of {stored.shape}, not {run.shape}")
    if stored.classes != run.classes:
        changed.append(f"{len(stored.classes)} classes that are not these")
    if changed:
        raise RunError(
            f"{workdir} was started with {'; '.join(changed)}: resume with the same, "
            f"or name another --workdir"
        )
    if more:
        _write_run(dataclasses.replace(stored, config=config), path)


def _write_run(run: Run, path: Path) -> None:
    with atomic_path(path) as file:
        file.write(json.dumps(dataclasses.asdict(run), indent=1).encode())


def read_run(workdir: Path) -> Run:
    """Reads what the run in a workdir is.

    Raises:
      RunError: There is none, or it cannot be read.
    """
    path = workdir / _RUN
    try:
        stored = read_json(path, _Stored, _MOST_BYTES)
        config = from_values(stored.config)
        check(config)
        return Run(config, stored.shape, stored.classes)
    except FileNotFoundError as error:
        raise RunError(f"{workdir} holds no run: {_RUN} is not there") from error
    except ValueError as error:
        raise RunError(
            f"{path} is damaged or of another version: train anew in another folder"
        ) from error


_Side = Annotated[int, msgspec.Meta(ge=1, le=2**14)]


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    """A run, as JSON has it."""

    config: dict[str, Any]
    shape: tuple[_Side, _Side, Annotated[int, msgspec.Meta(ge=1, le=4)]]
    classes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]


class _Metrics(msgspec.Struct):
    """By which the best checkpoint is found."""

    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Metadata(msgspec.Struct):
    """What Orbax reads of every checkpoint at once."""

    item_handlers: dict[str, str] | str | None = None
    metrics: dict[str, Any] | None = None
    performance_metrics: dict[str, Any] | None = None
    init_timestamp_nsecs: int | None = None
    commit_timestamp_nsecs: int | None = None
    custom_metadata: dict[str, Any] | None = None


@dataclasses.dataclass
class Checkpoints:
    """The checkpoints in a workdir; `open_checkpoints` makes one."""

    folder: Path
    manager: ocp.CheckpointManager
    say: Callable[[str], None]

    def save(
        self, state: State, batches: grain.DatasetIterator, accuracy: float
    ) -> None:
        """Begins to write one; the next call, or the end, waits for it."""
        self._sweep()
        self.manager.save(
            int(state.step),
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(_stored(state)),
                data=grain.checkpoint.CheckpointSave(batches),
                fingerprint=ocp.args.JsonSave({"state": _fingerprint(state)}),
            ),
            metrics={"accuracy": accuracy},
        )

    def restore(
        self,
        abstract: State,
        batches: grain.DatasetIterator | None,
        *,
        best: bool = False,
    ) -> State | None:
        """Restores the newest state that is whole, and `batches` where they stood.

        Args:
          abstract: Shapes, dtypes and shardings of the state.
          batches: Iterator over the same data; None where only the state is needed.
          best: Whether the state with the highest test accuracy comes first.

        Returns:
          The state; None where there is no checkpoint.

        Raises:
          RunError: None of the checkpoints can be read.
        """
        steps = sorted(self.manager.all_steps(), reverse=True)
        if best and self.manager.best_step() in steps:
            steps.sort(key=lambda step: step != self.manager.best_step())
        for step in steps:
            try:
                with _without_tracebacks():
                    return self._restore(step, abstract, batches)
            except Exception as error:
                # A damaged file can make Orbax and its parts raise nearly anything.
                if not (self.folder / str(step)).exists():
                    # A run that goes on no longer keeps it, and has newer ones.
                    self.manager.reload()
                    return self.restore(abstract, batches, best=best)
                self.say(
                    f"the checkpoint of step {step} is damaged "
                    f"({type(error).__name__}); trying the one before it"
                )
                if batches is not None:
                    self._set_aside(step)
        if steps:
            raise RunError(
                f"no checkpoint in {self.folder} can be read: train anew in another "
                f"folder"
            )
        return None

    def _restore(
        self, step: int, abstract: State, batches: grain.DatasetIterator | None
    ) -> State:
        items: dict[str, Any] = {
            "state": ocp.args.StandardRestore(_stored(abstract)),
            "fingerprint": ocp.args.JsonRestore(),
        }
        if batches is not None:
            items["data"] = grain.checkpoint.CheckpointRestore(batches)
        restored = self.manager.restore(step, args=ocp.args.Composite(**items))
        state: State = abstract.replace(**restored["state"])  # type: ignore[attr-defined]
        if _fingerprint(state) != restored["fingerprint"]["state"]:
            raise ValueError("the state is not as it was written")
        return state

    def _sweep(self) -> None:
        """Removes those that are no longer kept, but not the folder they lie in.

        The last one may be on its way there.
        """
        removed = self.folder / _REMOVED
        if jax.process_index() == 0 and removed.is_dir():
            for path in removed.iterdir():
                shutil.rmtree(path)

    def _set_aside(self, step: int) -> None:
        """So that training on can write this step again."""
        if jax.process_index() == 0:
            path = self.folder / str(step)
            path.rename(path.with_name(f"damaged-{step}"))
        self.manager.reload()


@contextmanager
def open_checkpoints(
    workdir: Path, keep: int, say: Callable[[str], None]
) -> Iterator[Checkpoints]:
    """Opens the checkpoints of a workdir; waits at the end for what is being written.

    The `keep` newest are kept, beside the best. Complaints are said by `say`.

    Raises:
      RunError: What is noted of a checkpoint, by which the best is found, is damaged.
    """
    folder = Path(os.path.realpath(workdir / _FOLDER))
    _check_notes(folder)
    policies = checkpoint_managers.preservation_policy
    accuracy = operator.itemgetter("accuracy")
    kept = [policies.LatestN(keep), policies.BestN(get_metric_fn=accuracy, n=1)]
    options = ocp.CheckpointManagerOptions(
        create=True,
        best_fn=accuracy,
        todelete_subdir=_REMOVED,
        preservation_policy=policies.AnyPreservationPolicy(kept),
    )
    try:
        manager = _managed(folder, options)
    except OSError:
        raise
    except Exception as error:
        # On what it does not expect Orbax raises whatever its parts do.
        raise RunError(
            f"{folder} is damaged: remove its newest checkpoint, or train anew in "
            f"another folder"
        ) from error
    with manager:
        yield Checkpoints(folder, manager, say)


def _managed(
    folder: Path, options: ocp.CheckpointManagerOptions
) -> ocp.CheckpointManager:
    """A manager of what is there, also while a run goes on."""
    for _ in range(_TRIES):
        try:
            return ocp.CheckpointManager(folder, options=options)
        except FileNotFoundError:
            # One was listed, and moved before it was looked at.
            continue
    return ocp.CheckpointManager(folder, options=options)


def _check_notes(folder: Path) -> None:
    """Sees that Orbax can read what it reads of all before one is chosen."""
    there = folder.iterdir() if folder.is_dir() else ()
    steps = [path for path in there if path.name.isdecimal()]
    for step in sorted(steps, key=lambda path: int(path.name)):
        try:
            read_json(step / "metrics" / "metrics", _Metrics, _MOST_BYTES)
            read_json(step / "_CHECKPOINT_METADATA", _Metadata, _MOST_BYTES)
        except (OSError, ValueError) as error:
            if not step.exists():
                continue
            raise RunError(
                f"the notes on a checkpoint, {step}, are damaged: remove that folder, "
                f"and go on from the one before"
            ) from error


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """Keeps those from the user that TensorStore's threads print.

    Of a damaged checkpoint they print one for each array that was still being read,
    shortly after the reading failed.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    except Exception:
        time.sleep(1)
        raise
    finally:
        sys.unraisablehook = hook


def _stored(state: State) -> dict[str, Any]:
    """The parts of a state that a checkpoint has: not the average where there is none.

    Checkpoints from before there were averages are read so, too.
    """
    names = {field.name for field in dataclasses.fields(state)}
    if not state.average:
        names.remove("average")
    return {name: getattr(state, name) for name in names}


@jax.jit
def _sums(state: State) -> list[jax.Array]:
    def sum_of(leaf: jax.Array) -> jax.Array:
        words = jax.lax.bitcast_convert_type(leaf, f"uint{8 * leaf.dtype.itemsize}")
        return jnp.sum(words.astype(jnp.uint32), dtype=jnp.uint32)

    return [sum_of(leaf) for leaf in jax.tree.leaves(state)]


def _fingerprint(state: State) -> list[int]:
    """One number for each array: wrapping sums, the same however it is sharded."""
    return [int(np.asarray(one)) for one in _sums(state)]
