"""What the attacks got back: numbers and pictures, for the verdict and the report."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one attack got back from images that one method protected.

    Attributes:
      method: its name, as in `Evidence.methods`.
      attack: its name; `"none"` is the protected image itself.
      psnr, ssim, edges: means over the images, against the originals: decibels, and
        twice -1 to 1.
      reidentified: share of images whose original is the nearest of all originals.
      recognised: accuracy on it of a classifier trained on clean public images; None
        without labels.
      faces: share of the originals' faces that are still found; None where the
        originals have none.
      ssim_each: of each image.
      seconds: that it took.
    """

    method: str
    attack: str
    psnr: float
    ssim: float
    edges: float
    reidentified: float
    recognised: float | None
    faces: float | None
    ssim_each: tuple[float, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Protection:
    """One method at one strength.

    Attributes:
      name: short, such as `mix:8`.
      title: for people.
      remark: what must be known of it: its source, its guarantee, whether images share
        a key.
      vfe: of the protected images, a mean.
      learned: accuracy of a classifier that was trained on protected public images, on
        protected ones of the owner; None without labels.
    """

    name: str
    title: str
    remark: str
    vfe: float
    learned: float | None


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that an audit measured.

    Attributes:
      images, public: how many images the owner and the attacker have.
      side: of them, in pixels.
      original_side: of them as they were found.
      classes: how many there are; 0 without labels.
      vfe: of the originals, a mean.
      clean: accuracy of the classifier on the originals; None without labels.
      guess: what an attacker has who sees nothing: the mean public image.
      methods: what was attacked; the first is the one that the verdict is about.
      findings: of each attack on each method.
      extra: findings of other kinds, by name: membership, gradients, shared keys.
      settings: that reproduce the audit.
    """

    images: int
    public: int
    side: int
    original_side: int
    classes: int
    vfe: float
    clean: float | None
    guess: Finding
    methods: tuple[Protection, ...]
    findings: tuple[Finding, ...]
    extra: dict[str, dict[str, Any]]
    settings: dict[str, Any]

    def of(self, method: str) -> list[Finding]:
        """The findings about one method."""
        return [finding for finding in self.findings if finding.method == method]

    def as_json(self) -> dict[str, Any]:
        """Plain values, without those of single images."""
        values = dataclasses.asdict(self)
        for finding in (values["guess"], *values["findings"]):
            del finding["ssim_each"]
        return values


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures of some images, from the best recovered to the worst.

    Attributes:
      method: what protected them.
      originals: uint8 (K, H, W, C).
      recovered: by name of the attack, uint8 (K, H, W, C) each; `"none"` is the
        protected image.
      ssim: of the strongest attack's, for each image.
    """

    method: str
    originals: np.ndarray
    recovered: dict[str, np.ndarray]
    ssim: tuple[float, ...]
