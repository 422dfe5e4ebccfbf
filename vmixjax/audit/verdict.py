"""What an attacker recovers, in plain words that follow from the numbers.

Our reading of them: a number counts by how far it lies between that of a guess, made
by somebody who saw nothing, and that of the original itself.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from vmixjax.audit.results import NOTHING_DONE, AttackResult, AuditResults
from vmixjax.audit.utilities import UTILITIES

GRADES = (
    (0.90, "everything"),
    (0.55, "most of the picture"),
    (0.25, "a good part of the picture"),
    (0.08, "a rough picture"),
    (0.03, "next to nothing"),
    (-math.inf, "nothing"),
)
"""Least share of the way from a guess to the original, and what it is called."""

_LITTLE = next(least for least, words in GRADES if words == "a rough picture")
"""Below this share, that images can be matched is the worse news."""

_OF_ITS_CLASS = {
    "everything": "everything that tells its class",
    "most of the picture": "most of what tells its class",
    "a good part of the picture": "a good part of what tells its class",
    "a rough picture": "a little of what tells its class",
}
"""What grades are called where it is classes that are recovered."""

LIKENESS, RECOGNITION = "likeness (SSIM)", "recognition"

_MORE = 0.02
"""Images that come so much further together than alone give each other away."""

_TIE = 0.05
"""Shares less apart than this differ by luck alone: the simpler attack is named, and
likeness before recognition."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the best attack on a method recovers.

    Attributes:
      method: Its name.
      grade: One of the words of `GRADES`.
      share: Part of the way from a guess to the original, 0 to 1: the highest by
        `measure`.
      attack: The simplest of those that come as far, but for luck.
      measure: Likeness or recognition, by which more is recovered, but for luck.
      best: The highest share of any attack, by measure.
      likest: The attack whose pictures are most like the originals.
      linked: Share of images whose original was picked out of all; None if no attack
        does so more often than chance.
      by: The attack that does so most often.
      overlapping: How many images show a scene that others show on another grid.
      together: Part of the way that these come by likeness, put together; None where
        there are none, or it was not tried.
      alone: The same by the best attack that looks at each alone.
    """

    method: str
    grade: str
    share: float
    attack: str
    measure: str
    best: dict[str, float]
    likest: str
    linked: float | None
    by: str
    overlapping: int = 0
    together: float | None = None
    alone: float | None = None

    @property
    def words(self) -> str:
        """The grade, as it is called by this measure."""
        if self.measure == RECOGNITION:
            return _OF_ITS_CLASS.get(self.grade, self.grade)
        return self.grade

    @property
    def sentence(self) -> str:
        """For people: that images give each other away is said before all else."""
        return self._of_overlaps + self._of_attacks

    @property
    def _of_overlaps(self) -> str:
        if not self.overlapping:
            return ""
        text = f"{self.overlapping} of the images overlap others and "
        if self.together is None or self.alone is None:
            return text + (
                "may give each other away, which was not tried: leave out --attacks. "
            )
        if self.together < self.alone + _MORE:
            # Too few, or too much alike, to tell more than each does.
            return ""
        return text + (
            f"give each other away: put together, they come {self.together:.0%} of "
            f"the way from a guess to the original by likeness, where each alone comes "
            f"{self.alone:.0%}, and a key for each does not help. Leave out all but "
            f"one of each. "
        )

    @property
    def _of_attacks(self) -> str:
        by = "The protected image itself shows" if self.attack == NOTHING_DONE else ""
        what = by or f"The strongest attack ({self.attack}) recovers"
        text = f"{what} {self.words}"
        if self.grade != "nothing":
            text += f": {self.share:.0%} of the way from a guess to the original, by "
            text += self.measure
            for measure, share in self.best.items():
                if measure != self.measure:
                    text += f", and at best {share:.0%} by {measure}"
        if self.linked is not None:
            how = "as it is" if self.by == NOTHING_DONE else f"by {self.by}"
            # Little of a picture may be enough to know which one it was.
            text += ", but " if self.share < _LITTLE else ". "
            text += (
                f"{self.linked:.0%} of the images can be matched with their "
                f"originals, {how}"
            )
        return text + "."


def judge(results: AuditResults, method: str) -> Verdict:
    """Says what the best attack on one method recovers."""
    findings = results.of(method)
    found = [
        (min(max(value, 0.0), 1.0), finding, measure)
        for finding in findings
        for measure, value in shares(results, finding).items()
    ]
    best = {
        name: max(value for value, _, by in found if by == name)
        for name in dict.fromkeys(by for *_, by in found)
    }
    # Likeness comes first: to recognise an image is less than to have it.
    most = max(best.values())
    measure = next(name for name, value in best.items() if value >= most - _TIE)
    share = best[measure]
    attack = next(
        finding.attack
        for value, finding, by in found
        if by == measure and value >= share - _TIE
    )
    grade = next(words for least, words in GRADES if share >= least)
    given = [finding for finding in findings if finding.gives_images]
    linking = max(given, key=lambda finding: finding.value("reidentified"))
    luck = _by_luck(1 / results.images, results.images)
    linked = linking.value("reidentified") > luck
    if grade == "nothing" and linked:
        # Who can tell which image it was has got something.
        grade = "next to nothing"
    return Verdict(
        method=method,
        grade=grade,
        share=share,
        attack=attack,
        measure=measure,
        best=best,
        likest=max(given, key=lambda finding: finding.value("ssim")).attack,
        linked=linking.value("reidentified") if linked else None,
        by=linking.attack,
        **_of_overlaps(results, method),
    )


def _of_overlaps(results: AuditResults, method: str) -> dict[str, Any]:
    """What images that show the same scene tell together, and what each alone."""
    overlaps = results.overlaps
    if overlaps is None:
        return {}
    images = list(overlaps.images)

    def share(finding: AttackResult) -> float:
        guess, found = (
            float(np.mean(np.asarray(one.ssim_each)[images]))
            for one in (results.guess, finding)
        )
        return min(max((found - guess) / (1 - guess), 0.0), 1.0)

    found = {
        finding.attack: share(finding)
        for finding in results.of(method)
        if finding.ssim_each
    }
    together = found.pop(overlaps.attack, None)
    if overlaps.attack and together is None:
        return {}
    alone = max(found.values())
    return {"overlapping": len(images), "together": together, "alone": alone}


def shares(results: AuditResults, finding: AttackResult) -> dict[str, float]:
    """Computes how far a finding lies between a guess and the original, by measure."""
    guess, values = results.guess.value("ssim"), {}
    if finding.gives_images:
        values[LIKENESS] = (finding.value("ssim") - guess) / (1 - guess)
    chance = 1 / results.classes if results.classes else 1.0
    clean, recognised = results.clean, finding.values["recognised"]
    # A classifier that hardly knows the originals measures nothing.
    if (
        clean is not None
        and recognised is not None
        and clean > _by_luck(chance, results.images)
    ):
        lucky = recognised <= _by_luck(chance, results.images)
        values[RECOGNITION] = 0.0 if lucky else (recognised - chance) / (clean - chance)
    return values


def _by_luck(chance: float, count: int) -> float:
    """The highest share that luck alone explains: three standard errors over chance."""
    return chance + 3 * math.sqrt(chance * (1 - chance) / count)


def usefulness(results: AuditResults, method: str) -> str | None:
    """Says what networks learn from images that a method protects; None for nothing."""
    (found,) = (one.utility for one in results.methods if one.name == method)
    if found is None or results.clean is None or results.learned is None:
        return None
    learned = UTILITIES[results.learned]
    return (
        f"A {learned.learner} that learns from images so protected comes to "
        f"{learned.title} {found:.0%}, and one that learns from clean ones to "
        f"{results.clean:.0%}."
    )


def advice(results: AuditResults) -> list[str]:
    """Says what would improve the settings, as far as the numbers tell."""
    verdicts = {one.name: judge(results, one.name) for one in results.methods}
    first = results.methods[0]
    mine = verdicts[first.name]
    lines = []
    better = [
        one
        for one in results.methods[1:]
        if one.mixes and verdicts[one.name].share < mine.share - 0.02
    ]
    for one in sorted(better, key=lambda one: verdicts[one.name].share):
        cost = ""
        if one.utility is not None and first.utility is not None:
            assert results.learned is not None
            learned = UTILITIES[results.learned]
            points = 100 * (first.utility - one.utility)
            more = f"{'less' if points >= 0 else 'more'} {learned.title}"
            cost = (
                f", and a {learned.learner} learns from it with {abs(points):.0f} "
                f"points {more}"
            )
        lines.append(
            f"{one.title} leaves {verdicts[one.name].share:.0%} instead of "
            f"{mine.share:.0%}{cost}."
        )
    if not lines and mine.share >= _LITTLE:
        lines.append(
            "None of the settings tried leaves clearly less: larger regions, single "
            "pixels as blocks and channels='joint' hide more; so do smaller images."
        )
    if mine.linked is not None:
        lines.append(
            "Whoever has a candidate for an original can tell that it is the one: no "
            "mixing that keeps the values of regions prevents that."
        )
    lines.append("Never use one key for two images.")
    return lines
