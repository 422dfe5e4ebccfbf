"""Releasing a folder of photographs, beside decoding and encoding them alone."""

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import vmixjax
from benchmarks.measure import Way
from vmixjax.data.codecs.images import read_image
from vmixjax.data.codecs.png import encode_png
from vmixjax.release.config import Recipe, ReleaseConfig
from vmixjax.release.mix import mix_release, run_local
from vmixjax.release.progress import Progress

WORKERS = os.cpu_count() or 1


@contextlib.contextmanager
def releases(count: int, side: int) -> Iterator[dict[str, Way]]:
    """Ways from JPEG files to PNG files, as many threads for all, below a new folder.

    The codecs do not check what they wrote, hash it, or force it to disk; a release
    does.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = _photographs(root / "photos", count, side)
        number = iter(range(10**9))

        def target() -> Path:
            return root / str(next(number))

        def codec(encode: Callable[[np.ndarray], bytes]) -> None:
            out = target()
            out.mkdir()

            def one(path: Path) -> None:
                (out / f"{path.stem}.png").write_bytes(encode(read_image(path)))

            with ThreadPoolExecutor(WORKERS) as threads:
                list(threads.map(one, files))

        def release(strength: float) -> None:
            recipe = Recipe(vmixjax.MixConfig(), strength=strength)
            order = ReleaseConfig(str(root / "photos"), target(), recipe)
            mix_release(
                order, lambda *given: run_local(*given, workers=WORKERS), _Quiet()
            )

        yield {
            "decode, encode": lambda: codec(encode_png),
            "decode, encode by Pillow": lambda: codec(lambda image: _pillow(image, 6)),
            "decode, encode by Pillow, quick": lambda: codec(
                lambda image: _pillow(image, 1)
            ),
            "release": lambda: release(1.0),
            "release at half strength": lambda: release(0.5),
        }


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


def _pillow(image: np.ndarray, level: int) -> bytes:
    """Level 6 is what Pillow does unless it is told."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=level)
    return buffer.getvalue()


def _photographs(folder: Path, count: int, side: int) -> list[Path]:
    """Crops of the photographs that scikit-image ships, as JPEG files."""
    folder.mkdir()
    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = pictures[i % len(pictures)]
        top, left = (rng.integers(0, n - side + 1) for n in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        Image.fromarray(crop).save(folder / f"{i:05d}.jpg", quality=90)
    return sorted(folder.iterdir())
