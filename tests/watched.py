"""Commands run in this process, under watch: what they say, touch, take and need."""

import contextlib
import faulthandler
import gc
import io
import os
import resource
import shutil
import signal
import sqlite3
import stat
import sys
import threading
import time
import traceback
import unicodedata
import warnings
from pathlib import Path

import mutants

MUTANTS = int(os.environ.get("VMIXJAX_MUTANTS", "35"))
"""Of each kind."""
ONLY = os.environ.get("VMIXJAX_MUTANT")
"""The numbers of those to look at, if it is only these, with commas between."""

SECONDS, BYTES = 30, 2**30
"""What a command may take at most: on a busy machine, a sound one takes some."""

_ROOM = 4 * 2**30
"""Address space that it may ask for: more would end the tests, not the command."""


class Wrong(AssertionError):
    """A command did what none may do with any input."""


_most: list[int] = []
"""Bytes in memory, at most, during each command."""


class _TooSlow(BaseException):
    """Raised within a command; no handler of its own catches it."""


def each_mutant(kind, tmp_path, check):
    """Does what `check(dice, folder)` yields, for all mutants of a kind.

    Each has a new folder. What is wrong is told of all of them at once, and their
    folders stay.
    """
    faults, began = [], time.monotonic()
    _most.clear()
    for number in range(MUTANTS) if ONLY is None else map(int, ONLY.split(",")):
        folder, before = tmp_path / f"{kind}-{number}", len(faults)
        folder.mkdir()
        for way in check(mutants.chance(kind, number), folder):
            try:
                way()
            except Wrong as wrong:
                faults.append(f"{kind} {number}: {wrong}")
        if len(faults) == before:
            shutil.rmtree(folder)
    took, most = time.monotonic() - began, max(_most, default=0) >> 20
    print(f"{kind}: {took:.1f} s, {most} MiB at most, {len(faults)} wrong")
    assert not faults, "\n".join([f"see {tmp_path}", *faults])


def run(main, arguments, *, inside, may_change=()):
    """The status of a command, and what it said.

    Args:
      main: takes arguments, and returns the status.
      arguments: of it.
      inside: folder; nothing in it may change.
      may_change: but for these, below it.

    Raises:
      Wrong: it ended with an exception, printed a traceback or control characters,
        changed a file, or took too long or too much memory.
    """
    arguments = [str(argument) for argument in arguments]
    before = snapshot(inside, may_change)
    said, strays = inside.parent / f"{inside.name}.said", []
    with _caught(said), _hooks(strays), _limits(inside) as limits:
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code
        except BaseException as error:
            status = error
    text = said.read_bytes().decode("utf-8", "replace")
    said.unlink()
    found = list(_faults(status, text, limits))
    if strays:
        found.append(f"raised in a thread, or at the end, {_place(strays[0])}")
    after = snapshot(inside, may_change)
    if after != before:
        names = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
        found.insert(0, f"changed {names[:5]}, which is not its to change")
    if found:
        raise Wrong(f"{arguments[0]} {'; it '.join(found)}")
    return status, text


def _faults(status, text, limits):
    if isinstance(status, _TooSlow):
        yield f"took more than {SECONDS} s, and was {_place(status)}"
    elif isinstance(status, BaseException):
        yield f"raised {_place(status)}"
    elif status not in (0, 1, 2):
        yield f"ended with status {status}"
    elif limits["seconds"] > SECONDS:
        yield f"took {limits['seconds']:.0f} s"
    if limits["bytes"] > BYTES:
        yield f"took {limits['bytes'] >> 20} MiB"
    if "Traceback" in text:
        yield f"printed a traceback: {text[-500:]!r}"
    raw = {char for char in text if unicodedata.category(char) == "Cc"} - set("\n\r\t")
    if raw:
        where = next(line for line in text.splitlines() if raw & {*line})
        yield f"printed {sorted(raw)[:9]}: {where[:200]!r}"


def write_decoys(home):
    """Files that no command may touch, and names that lead to them."""
    (home / "decoys" / "below").mkdir(parents=True)
    for name in ("keep.txt", "decoys/keep.png", "decoys/below/keep.json"):
        (home / name).write_text("keep")
    return ["../keep.txt", "../decoys/keep.png", f"{home}/keep.txt"]


def snapshot(folder, without=()):
    """Names, kinds, rights and contents of all below a folder; no link is followed."""
    found, without = {}, {str(path) for path in without}
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if f"{here}/{name}" not in without]
        for name in [*folders, *files]:
            path = Path(here, name)
            if str(path) not in without:
                status = path.lstat()
                found[str(path.relative_to(folder))] = (
                    status.st_mode,
                    _content(path, status),
                )
    return found


def tree(folder):
    """Contents of all files below a folder, and what else is there."""
    return {
        name: content
        for name, (mode, content) in snapshot(folder).items()
        if not stat.S_ISDIR(mode)
    }


def _content(path, status):
    if stat.S_ISLNK(status.st_mode):
        return f"link to {path.readlink()}"
    if not stat.S_ISREG(status.st_mode):
        return ""
    # Larger ones have holes; nobody here writes such.
    return path.read_bytes() if status.st_size < 2**27 else f"{status.st_size} bytes"


def _place(error):
    """An exception, and the last line of ours that it went through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/vmixjax/" in f.filename or "/train/" in f.filename]
    ours = [f for f in ours if "site-packages" not in f.filename] or frames
    last = ours[-1] if ours else None
    where = f"{Path(last.filename).name}:{last.lineno} {last.name}" if last else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:200]!r}"


@contextlib.contextmanager
def _caught(path):
    """All that is written to standard output and error goes to a file, from C too."""
    saved = os.dup(1), os.dup(2)
    streams = sys.stdout, sys.stderr
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        # As Python opens them.
        out, err = io.FileIO(1, "w", closefd=False), io.FileIO(2, "w", closefd=False)
        sys.stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(err, "utf-8", "backslashreplace", "\n")
        sys.stderr.reconfigure(write_through=True)
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            sys.stdout, sys.stderr = streams
            for number, descriptor in enumerate(saved, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)


@contextlib.contextmanager
def _hooks(strays):
    """Exceptions that nobody waits for; warnings are printed, as users see them."""
    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda told: strays.append(told.exc_value)
    sys.unraisablehook = lambda told: strays.append(told.exc_value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show
            yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks


def _show(message, category, filename, lineno, file=None, line=None):
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


@contextlib.contextmanager
def _limits(inside):
    """Time and memory; what hangs is ended, at last with the process itself."""
    found = {}

    def late(*_):
        raise _TooSlow

    usual = resource.getrlimit(resource.RLIMIT_AS)
    release = threading.Timer(SECONDS + 1, _release, [inside])
    alarm = signal.signal(signal.SIGALRM, late)
    size = _reset_peak()
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
    began = time.monotonic()
    try:
        release.start()
        signal.setitimer(signal.ITIMER_REAL, SECONDS + 0.5)
        if (asked := _address_space()) is not None:
            resource.setrlimit(resource.RLIMIT_AS, (asked + _ROOM, usual[1]))
        yield found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        release.cancel()
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, usual)
        found["seconds"] = time.monotonic() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        found["bytes"] = most - size
        _most.append(most)


def _release(inside):
    """Ends waiting in C, which no signal ends: for pipes, and for endless queries."""
    for one in gc.get_objects():
        if isinstance(one, sqlite3.Connection):
            with contextlib.suppress(sqlite3.Error):
                one.interrupt()
    for path in inside.rglob("*"):
        if path.is_fifo():
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def _address_space():
    try:
        pages = Path("/proc/self/statm").read_text().split()[0]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def _reset_peak():
    """Bytes in memory now, from where on the most is measured; or the most so far."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
