"""Commands in processes of their own: their time, memory, and what they compile.

They run with Python as it is, and nothing of ours but what they themselves import. The
compiled programs are counted in JAX's own log.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_LAUNCHER = """
import json, os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(process, 0)
seconds = time.perf_counter() - start
cpu = usage.ru_utime + usage.ru_stime
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, cpu, usage.ru_maxrss]))
"""
"""Starts the command and waits for it. A process of its own, and a small one: what is
started counts the memory of the one that started it as its own, which here is large."""

_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes to what the operating system counts memory in."""

_COMPILED, _FOUND = "Finished XLA compilation of", "Persistent compilation cache hit"
"""What JAX's log says of each program, and of those that it need not compile."""

_CACHES = (
    "JAX_COMPILATION_CACHE",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PERSISTENT_CACHE",
)
"""How variables of whoever measures begin that would change what is measured."""


class Run(NamedTuple):
    """What a command took.

    Attributes:
      seconds: Seconds until it ended, the start of Python included.
      cpu_seconds: Seconds of all processors.
      peak_bytes: Most memory that it had at once.
      compiled: Programs that it had compiled.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    compiled: int


def run_vmixjax(*arguments: str | Path, cache: Path | None = None) -> Run:
    """Runs the command line in a process of its own.

    Args:
      *arguments: Command and options.
      cache: Folder in which users' caches lie, the one of compiled programs among
        them; where there is none, nothing is cached.

    Raises:
      RuntimeError: It failed; its last words are in the message.
    """
    if cache is None:
        settings = {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    else:
        settings = {"XDG_CACHE_HOME": str(cache)}
    return run_python(["-m", "vmixjax.cli", *map(str, arguments)], settings)


def run_python(arguments: Sequence[str], settings: Mapping[str, str]) -> Run:
    """Runs Python in a process of its own.

    Args:
      arguments: Arguments of Python.
      settings: Variables of its environment, beside those that are there.

    Raises:
      RuntimeError: It failed; its last words are in the message.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_CACHES)}
    environment |= {"JAX_LOG_COMPILES": "1", **settings}
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    status, seconds, cpu_seconds, peak = json.loads(told.stdout)
    if status:
        raise RuntimeError(
            f"python {' '.join(arguments)} ended with {status}: {told.stderr[-2000:]}"
        )
    compiled = told.stderr.count(_COMPILED) - told.stderr.count(_FOUND)
    return Run(seconds, cpu_seconds, peak * _UNIT, compiled)
