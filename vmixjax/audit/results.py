"""What the attacks got back: numbers and pictures, for the verdict and the report."""

import dataclasses
from typing import Any

import numpy as np

CLEAN = "clean"
"""Name of what is done to images that are left as they are."""


@dataclasses.dataclass(frozen=True)
class AttackResult:
    """What one attack got back from images that one method protected.

    Attributes:
      method: its name, as in `AuditResults.methods`.
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
class MethodResult:
    """What is known of one method at one strength, before any attack.

    Attributes:
      name: short, such as `mix:8`.
      title: for people.
      remark: what must be known of it: its source, its guarantee, whether images share
        a key.
      vfe: of the protected images, a mean.
      learned: accuracy of a classifier that was trained on protected public images, on
        protected ones of the owner; None without labels.
      mixes: whether it is mixing.
    """

    name: str
    title: str
    remark: str
    vfe: float
    learned: float | None
    mixes: bool = False


@dataclasses.dataclass(frozen=True)
class KeySharing:
    """What `known_pairs` puts back if images share a key, and if they do not.

    Attributes:
      method: its name.
      pairs: of originals and protected images, that the attacker knows.
      by_chance: share of the values that are the original's already as protected.
      own_keys: the same of what the attack gives where each image has a key of its own.
      one_key: where one key serves all images.
    """

    method: str
    pairs: int
    by_chance: float
    own_keys: float
    one_key: float


@dataclasses.dataclass(frozen=True)
class Membership:
    """Whether it can be told of an image that a network was trained on it.

    Attributes:
      method: that protects the images anew in each step of training, or `CLEAN`.
      images: that are asked about, half of them trained on.
      members, others: the network's accuracy on either half.
      loss_auc, loss_found: of the attack that takes images of small loss for members:
        area under the curve, 0.5 by guessing; and the share of members that it finds
        while it takes at most 1 of 100 others for one.
      shadow_auc, shadow_found: of the attack that compares with networks of its own.
    """

    method: str
    images: int
    members: float
    others: float
    loss_auc: float
    loss_found: float
    shadow_auc: float
    shadow_found: float


@dataclasses.dataclass(frozen=True)
class Inversion:
    """What comes back from gradients that were computed on images.

    Attributes:
      method: that protected the images before, or `CLEAN`.
      images: that were tried.
      psnr, ssim: means, against the originals.
      psnr_sent, ssim_sent: against the images whose gradients they are.
      psnr_before, ssim_before: of those images themselves, against the originals.
    """

    method: str
    images: int
    psnr: float
    ssim: float
    psnr_sent: float
    ssim_sent: float
    psnr_before: float
    ssim_before: float


@dataclasses.dataclass(frozen=True)
class AuditResults:
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
      key_sharing: what one key for all images would give away, by the first method
        that shuffles with a key for each.
      membership, inversions: what training on the images gives away: the first is of
        clean ones, the second of the first method's.
      settings: that reproduce the audit.
    """

    images: int
    public: int
    side: int
    original_side: int
    classes: int
    vfe: float
    clean: float | None
    guess: AttackResult
    methods: tuple[MethodResult, ...]
    findings: tuple[AttackResult, ...]
    key_sharing: tuple[KeySharing, ...]
    membership: tuple[Membership, ...]
    inversions: tuple[Inversion, ...]
    settings: dict[str, Any]

    def of(self, method: str) -> list[AttackResult]:
        """The findings about one method."""
        return [finding for finding in self.findings if finding.method == method]

    def as_json(self) -> dict[str, Any]:
        """Plain values, without those of single images."""
        values = dataclasses.asdict(self)
        for finding in (values["guess"], *values["findings"]):
            del finding["ssim_each"]
        for method in values["methods"]:
            del method["mixes"]
        return values


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures of some images, from the best recovered to the worst.

    Attributes:
      method: what protected them, or `CLEAN`.
      originals: uint8 (K, H, W, C).
      recovered: by name of the attack, uint8 (K, H, W, C) each; `"none"` is the
        protected image.
      ssim: of the attack's that comes nearest, for each image.
    """

    method: str
    originals: np.ndarray
    recovered: dict[str, np.ndarray]
    ssim: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Figures:
    """The pictures of an audit.

    Attributes:
      sheets: of each method.
      gradients: of what was recovered from gradients.
    """

    sheets: tuple[Sheet, ...]
    gradients: tuple[Sheet, ...] = ()
