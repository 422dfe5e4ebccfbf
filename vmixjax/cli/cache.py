"""What was compiled is kept for the next run, in the user's cache folder.

JAX does the keeping (`jax_compilation_cache_dir`) once it is told where, which here is
by environment variables: so it need not be imported to be told, nor by workers. What
lies there is code that will be run, so the folder must be its owner's alone. No cache
is ever a reason to stop: where there can be none, programs are compiled as before.
"""

import os
import sys
import warnings
from pathlib import Path

import jaxlib.version

from vmixjax.command_line import printable
from vmixjax.errors import RunError
from vmixjax.release.private import check_private_folder

FOLDER = "JAX_COMPILATION_CACHE_DIR"
"""Variable of the environment that names another folder."""

ENABLED = "JAX_ENABLE_COMPILATION_CACHE"
"""Variable of the environment that turns the cache off."""

_OFF = ("0", "f", "false", "n", "no", "off")

_SETTINGS = {
    # Bytes; what was not used for longest goes first. A mix takes a thousandth of it,
    # the training step of a ResNet-50 for TPU an eighth.
    "JAX_COMPILATION_CACHE_MAX_SIZE": 2**28,
    # However small and soon compiled, or a second run would compile again.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": 0,
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": -1,
    # Those of GPUs have no bound.
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
}

_BUSY_SECONDS = 5
"""How long other processes may have the folder to themselves before this one does
without."""


def keep_programs(speaker: str) -> None:
    """Has JAX, before it is imported, keep what it compiles, wherever it can.

    What the environment says of the cache goes first. A folder that is not safe is
    named on standard error, in the name of the speaker; one that cannot be made or
    written to is done without.
    """
    off = os.environ.get(ENABLED, "").lower() in _OFF
    if off or FOLDER in os.environ or "jax" in sys.modules or _crashes():
        return
    try:
        folder = _folder()
    except RunError as error:
        line = f"{speaker}: compiling anew: {error} ({FOLDER}=DIR)"
        print(printable(line), file=sys.stderr)
        return
    except (OSError, NotImplementedError):  # the latter where files have no locks
        return
    os.environ[FOLDER] = str(folder)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, str(value))
    if _jaxlib() < (0, 10, 2):
        # It calls each program that it loads one for another machine, whose kind is a
        # part of the program's name.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # What cannot be read is compiled again; what cannot be written, or is too large for
    # the bound, in the next run.
    warnings.filterwarnings(
        "ignore",
        "Error (reading|writing) persistent compilation cache entry|Cache value for",
    )


def _folder() -> Path:
    """Makes the folder, or looks whether it is safe and can be written to.

    Raises:
      RunError: Others can, or could, put programs into it.
      OSError: It cannot be made or written to.
    """
    import filelock
    import platformdirs

    folder = platformdirs.user_cache_path("vmixjax", appauthor=False)
    if not folder.is_absolute():
        raise FileNotFoundError(f"no home for {folder}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        check_private_folder(folder, "the cache")
    # The lock that JAX takes for each program.
    with filelock.FileLock(folder / ".lockfile", timeout=_BUSY_SECONDS):
        _remove_halves(folder)
    return folder


def _remove_halves(folder: Path) -> None:
    """Removes what a run that was stopped, or a full disk, left half written.

    JAX writes a program, then when it was last used; without the latter it neither
    reads the program rightly nor makes room for others.
    """
    for program in folder.glob("*-cache"):
        used = program.with_name(program.name.removesuffix("-cache") + "-atime")
        if not (used.exists() and used.stat().st_size and program.stat().st_size):
            program.unlink()


def _crashes() -> bool:
    """Whether this JAX is said to crash where it loads large programs."""
    return sys.platform == "darwin" and _jaxlib() < (0, 10)


def _jaxlib() -> tuple[int, ...]:
    return tuple(map(int, jaxlib.version.__version__.split(".")[:3]))
