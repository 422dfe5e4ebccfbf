"""Images of the same scene: how many are found, and what it costs to look.

    python -m benchmarks.overlaps                      pieces of photographs
    python -m benchmarks.overlaps --tfds DIR --limits 15000 30000 60000

The second takes the images of a data set that TFDS has prepared, such as
`data/cifar10/3.0.2`, as many as each limit, and tells the time and memory of each.
"""

import dataclasses
import itertools
import resource
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import tyro
from skimage import data

from vmixjax.data import open_source
from vmixjax.scenes import Index, Scene, describe, find_scenes, link

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "retina", "camera", "coins")
REGIONS = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
      tfds: Folder of a data set that TFDS has prepared; pieces of photographs if none.
      limits: Numbers of its images.
      sides: Sides of the pieces of photographs.
      pairs: Pairs of pieces, for each side and each change.
    """

    tfds: str | None = None
    limits: tuple[int, ...] = (10**9,)
    sides: tuple[int, ...] = (64, 128, 224)
    pairs: int = 140


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": np.copy,
    "10 % larger": lambda image: cv2.resize(
        image, None, fx=1.1, fy=1.1, interpolation=cv2.INTER_CUBIC
    ),
    "20 % brighter": lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8),
}


def pieces(
    rng: np.random.Generator, name: str, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two pieces of a photograph that share a quarter of their area."""
    image = getattr(data, name)()
    while True:
        height = rng.uniform(0.28, 0.9)
        shift = np.round(side * (1 - np.array([height, 0.25 / height])))
        shift = (shift * rng.choice([-1, 1], 2)).astype(int)
        start = rng.integers(0, np.array(image.shape[:2]) - side + 1)
        end = start + shift
        if (end >= 0).all() and (end + side <= image.shape[:2]).all():
            one, other = (
                image[top : top + side, left : left + side]
                for top, left in (start, end)
            )
            return one, other


def photographs(settings: Settings) -> None:
    """Pairs of pieces: how many are found, and how many others with them."""
    for side, change in itertools.product(settings.sides, CHANGES):
        rng = np.random.default_rng(1)
        found = dict.fromkeys(NAMES, 0)
        wrong = count = 0
        for _ in range(settings.pairs // len(NAMES)):
            images = []
            for name in NAMES:
                one, other = pieces(rng, name, side)
                pair = one, CHANGES[change](other)
                images += [part if part.ndim == 3 else part[..., None] for part in pair]
            for scene in find_scenes(images):
                numbers = {view.index for view in scene.views}
                for i, name in enumerate(NAMES):
                    found[name] += {2 * i, 2 * i + 1} <= numbers
                wrong += len({number // 2 for number in numbers}) > 1
            count += 1
        part = sum(found.values()) / (count * len(NAMES))
        each = ", ".join(f"{name} {n / count:.0%}" for name, n in found.items())
        print(f"{side}, {change}: {part:.1%} found, {wrong} wrong ({each})", flush=True)


def data_set(settings: Settings) -> None:
    """Images of a data set: scenes, and the time and memory that it takes."""
    source = open_source(f"tfds:{settings.tfds}", keep=None)
    places = [(s, i) for s, count in source.splits.items() for i in range(count)]

    def load(number: int) -> np.ndarray:
        return source.read(*places[number]).image

    for limit in settings.limits:
        count = min(limit, len(places))
        index = Index(count)
        describing = 0.0
        for number in range(count):
            image = load(number)
            began = time.process_time()
            index.add(number, [describe(image)])
            describing += time.process_time() - began
        began = time.process_time()
        packed = index.pack()
        scenes = link(packed, load)
        linking = time.process_time() - began
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(
            f"{count} images: {describing / count * 1e6:.0f} µs to describe one, "
            f"{linking / count * 1e6:.0f} µs to find and compare; "
            f"{packed.nbytes / count:.0f} bytes for one, {most} MiB in all; "
            + ", ".join(told(scenes)),
            flush=True,
        )


def told(scenes: list[Scene]) -> Iterator[str]:
    """Says how many scenes there are, and how many views of them add something."""
    yield f"{sum(len(scene.views) for scene in scenes)} images in {len(scenes)} scenes"
    grids = sorted((scene.count_grids(REGIONS) for scene in scenes), reverse=True)
    yield f"views that add something: {grids[:8]}"
    many = [scene for scene in scenes if scene.count_grids(REGIONS) >= 4]
    yield f"{sum(len(scene.views) for scene in many)} images in those with four or more"


def main() -> None:
    """Measures one or the other."""
    settings = tyro.cli(Settings, description=__doc__)
    cv2.setNumThreads(1)
    if settings.tfds is None:
        photographs(settings)
    else:
        data_set(settings)


if __name__ == "__main__":
    main()
