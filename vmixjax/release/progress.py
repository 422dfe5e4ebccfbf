"""How a long run shows how far it is: a bar, or lines in a log."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from vmixjax._printable import printable
from vmixjax.data.example import Source
from vmixjax.data.writing import release_of
from vmixjax.errors import ImageError, RunError

_SECONDS = 30.0
"""Between two lines where nobody watches."""


class Progress:
    """Tells people on standard error what is done, images/s, and the time left.

    Args:
      title: Title of the bar.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.skipped: list[str] = []
        self.doubts: list[str] = []
        self.hardly_changed: list[dict[str, Any]] = []
        self._bar: Any = None

    @contextlib.contextmanager
    def of(
        self,
        images: int,
        there: int = 0,
        *,
        title: str | None = None,
        delay: float = 0.0,
    ) -> Iterator[None]:
        """Shows a bar for so many images, of which some are there already.

        Args:
          images: Number of all images.
          there: Number of those that are there.
          title: Another title for this bar.
          delay: Seconds before which it is not shown.
        """
        watched = sys.stderr.isatty()
        with tqdm(
            desc=title or self.title,
            total=images,
            initial=there,
            unit="image",
            file=None if watched else _Lines(),
            mininterval=0.1 if watched else _SECONDS,
            maxinterval=10.0 if watched else 2 * _SECONDS,
            # Without a terminal there is no telling how wide it is.
            ncols=None if watched else 79,
            disable=images < 2,
            delay=delay,
        ) as self._bar:
            yield
        self._bar = None

    def tell(self, images: int, error: ImageError | None) -> None:
        """Counts images, and says why one was left out."""
        if error is not None:
            self.skipped.append(str(error))
            self.say(f"skipped: {error}")
        if self._bar is not None:
            self._bar.update(images)

    def doubt(self, line: str) -> None:
        """Says what keeps all from being done, though no image can be named."""
        self.doubts.append(line)
        self.say(line)

    def leave_out(self, shard: str, images: int) -> None:
        """Counts images that another machine left out."""
        line = f"{images} of shard {shard}, see the workers' logs"
        self.skipped.append(line)
        self.say(f"skipped: {line}")

    def say(self, line: str) -> None:
        """Writes a line of its own."""
        tqdm.write(printable(f"vmixjax: {line}"), file=sys.stderr)


def tell_of_source(source: Source, progress: Progress, *, strict: bool) -> None:
    """Tells what there is to say of a source before it is read.

    Args:
      source: The source.
      progress: Is told of it.
      strict: Whether nothing may be left out.

    Raises:
      RunError: Something is left out, and may not be.
    """
    release = release_of(source.places)
    if release is not None:
        progress.say(
            f"SRC {release} is a release: its images are mixed already, and whoever "
            f"undoes what is mixed now has those"
        )
    for line in source.remarks():
        progress.say(line)
    for line in source.left_out():
        if strict:
            raise RunError(f"{line} (--strict)")
        progress.doubt(line)


class _Lines:
    """Standard error, with a new line wherever a bar would be drawn over."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            sys.stderr.write(f"{line}\n")

    def flush(self) -> None:
        sys.stderr.flush()
