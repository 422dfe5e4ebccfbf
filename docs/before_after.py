"""Draws the README's picture: `python docs/before_after.py` writes before-after.png."""

from pathlib import Path

from matplotlib.figure import Figure

from vmixjax.demo import SEED
from vmixjax.demo.photographs import mix_photographs

SHOWN = ("astronaut", "coffee")


def main() -> None:
    """Draws originals, and their mixes from weak to strong."""
    photographs = [p for p in mix_photographs(SEED) if p.name in SHOWN]
    columns = 1 + len(photographs[0].mixes)
    figure = Figure(figsize=(2.2 * columns, 2.45 * len(photographs)), layout="tight")
    axes = figure.subplots(len(photographs), columns)
    for row, photograph in zip(axes, photographs, strict=True):
        pictures = [(photograph.image, f"original, VFE {photograph.vfe:.0f}")]
        pictures += [
            (mix.image, f"strength {mix.strength:g}, VFE {mix.realised:.0f}")
            for mix in photograph.mixes
        ]
        for place, (picture, title) in zip(row, pictures, strict=True):
            # Pixel for pixel: smoothing would show the means instead of the mix.
            place.imshow(picture, interpolation="nearest")
            place.set_title(title, fontsize=9)
            place.set_axis_off()
    target = Path(__file__).with_name("before-after.png")
    figure.savefig(target, dpi=120, metadata={"Software": None})
    print(target)


if __name__ == "__main__":
    main()
