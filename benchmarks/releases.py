"""Releasing a folder of photographs, beside decoding and encoding them alone."""

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from PIL import Image

import vmixjax
from benchmarks.measure import Way
from benchmarks.photographs import Size, write_photographs
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import encode_png
from vmixjax.release.config import Recipe, ReleaseConfig
from vmixjax.release.mix import mix_release, run_local
from vmixjax.release.progress import Progress

WORKERS = os.cpu_count() or 1

Encode = Callable[[Path], bytes]
"""Gives the file of a photograph as PNG."""


def _pillow(path: Path, level: int) -> bytes:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.save(buffer, format="PNG", compress_level=level)
    return buffer.getvalue()


CODECS: dict[str, Encode] = {
    "our codec": lambda path: encode_png(read_image(path)),
    # What Pillow does unless it is told.
    "Pillow, level 6": partial(_pillow, level=6),
    "Pillow, level 1": partial(_pillow, level=1),
}
"""Ways to decode and encode."""


@contextlib.contextmanager
def releases(
    sizes: Sequence[Size], config: vmixjax.MixConfig | None = None
) -> Iterator[tuple[dict[str, Way], Way]]:
    """Ways from JPEG files to PNG files, as many threads for all; `CODECS` first.

    The codecs do not look for overlaps, nor check what they wrote, hash it, or force it
    to disk; a release does.

    Args:
      sizes: Sizes of the photographs.
      config: How they are mixed; the default of `vmixjax mix` if None.

    Yields:
      The ways, and what takes away all that they wrote. Each way gives the folder that
      it wrote to.
    """
    with tempfile.TemporaryDirectory() as folder:
        root, written = Path(folder), Path(folder) / "written"
        files = write_photographs(root / "photographs", sizes)

        def target(*parts: str) -> Path:
            written.mkdir(exist_ok=True)
            return Path(tempfile.mkdtemp(dir=written)).joinpath(*parts)

        def convert(encode: Encode) -> Path:
            out = target()

            def one(path: Path) -> None:
                (out / f"{path.stem}.png").write_bytes(encode(path))

            with ThreadPoolExecutor(WORKERS) as threads:
                list(threads.map(one, files))
            return out

        def release(strength: float = 1.0, *, vault: bool = False) -> Path:
            order = ReleaseConfig(
                str(root / "photographs"),
                target("release"),
                Recipe(config or vmixjax.MixConfig(), strength=strength),
                strict=True,
                vault=target("vault") if vault else None,
            )
            mix_release(order, partial(run_local, workers=WORKERS), _Quiet())
            return order.dst

        yield (
            {
                **{name: partial(convert, CODECS[name]) for name in CODECS},
                "release": release,
                "release at half strength": lambda: release(0.5),
                "release with a vault": lambda: release(vault=True),
            },
            lambda: shutil.rmtree(written),
        )


class _Quiet(Progress):
    def __init__(self) -> None:
        super().__init__("")

    @contextlib.contextmanager
    def of(
        self,
        images: int,
        there: int = 0,
        *,
        title: str | None = None,
        delay: float = 0.0,
    ) -> Iterator[None]:
        del images, there, title, delay
        yield
