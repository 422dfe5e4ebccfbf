"""Writes pieces of scikit-image's photographs, to audit: `python docs/crops.py DIR`.

DIR/private has pieces of two photographs, DIR/public of three others.
"""

import sys
from pathlib import Path

from PIL import Image

from vmixjax.demo.photographs import load_photograph

WHOSE = {"private": ("cat", "coffee"), "public": ("astronaut", "rocket", "retina")}
PIECE, STEP = 128, 16


def main(target: Path) -> None:
    """Cuts each photograph into overlapping squares."""
    for whose, names in WHOSE.items():
        folder = target / whose
        folder.mkdir(parents=True)
        for name in names:
            photograph = load_photograph(name)
            corners = range(0, len(photograph) - PIECE + 1, STEP)
            for i in corners:
                for j in corners:
                    piece = photograph[i : i + PIECE, j : j + PIECE]
                    Image.fromarray(piece).save(folder / f"{name}-{i}-{j}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
