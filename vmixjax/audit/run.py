"""Runs attacks over methods, notes what was done, and goes on where it was."""

import dataclasses
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import vmixjax
from vmixjax.atomic import atomic_path
from vmixjax.audit.budgets import Budget
from vmixjax.audit.matching import matched
from vmixjax.audit.pictures import Pictures
from vmixjax.audit.results import AuditResults, Figures, Sheet
from vmixjax.audit.session import GUESS, SHOWN, UNPROTECTED, AuditSession
from vmixjax.audit.verdict import judge
from vmixjax.errors import RunError
from vmixjax.methods import Protection

RECOVERING = ("thumbnail", "restoration", "jigsaw", "average", "known_pairs")
"""Those that give pictures back; the protected image itself is always looked at."""

ATTACKS = (*RECOVERING, "gradient_inversion", "membership")
"""All; the last two are on training with the first method, and on clean images."""

_TILE = 8
"""Of the VFE in the report: every image is made of whole eights."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """All that decides what an audit finds.

    Attributes:
      private: the owner's images.
      public: the attacker's.
      methods: what is compared; the verdict is about the first.
      attacks: names out of `ATTACKS`.
      budget: how much it may cost.
      seed: of all keys. These are not the keys of any release.
    """

    private: Pictures
    public: Pictures
    methods: tuple[Protection, ...]
    attacks: tuple[str, ...]
    budget: Budget
    seed: int

    def settings(self) -> dict[str, Any]:
        """What reproduces it, and nothing of where images lie."""
        return {
            "methods": [one.name for one in self.methods],
            "attacks": list(self.attacks),
            "budget": dataclasses.asdict(self.budget),
            "seed": self.seed,
            "images": {
                "private": self.private.fingerprint(),
                "public": self.public.fingerprint(),
            },
            "vmixjax": importlib.metadata.version("vmixjax"),
            "jax": jax.__version__,
        }


def run_audit(audit: Audit, work: Path) -> tuple[AuditResults, Figures]:
    """Makes every attack on every method, unless `work` has its result already.

    Args:
      audit: what to do.
      work: folder for results of single attacks, which exists.

    Raises:
      RunError: `work` is of another audit (methods and attacks aside), or strengths
        are to be matched and images have no classes to learn.
    """
    settings = audit.settings()
    _claim(work, settings)
    bench = AuditSession(audit.private, audit.public, audit.budget, audit.seed, work)
    methods = _settled(audit, bench)
    first = methods[0]
    tried = [(one, attack) for one in methods for attack in _fitting(one, audit)]
    protections = {}
    findings = []
    for one, attack in (bar := tqdm(tried, desc="auditing", unit="attack")):
        bar.set_postfix_str(f"{one.name}, {attack}")
        if one.name not in protections:
            protections[one.name] = bench.protection(one, _mean_vfe)
        findings.append(bench.finding(one, attack))
    trained = [UNPROTECTED, first]
    membership, inversions, gradients = [], [], []
    if "membership" in audit.attacks and bench.labelled:
        for one in tqdm(trained, desc="membership", unit="network"):
            membership.append(bench.membership(one))
    if "gradient_inversion" in audit.attacks:
        for one in tqdm(trained, desc="gradients", unit="network"):
            inversion, sheet = bench.inversion(one)
            inversions.append(inversion)
            gradients.append(sheet)
    sharing = []
    # What was published with one key for all has no other case to compare with.
    shuffles = [
        one for one in methods if one.channels is not None and one.keys == "each"
    ]
    if "known_pairs" in audit.attacks and shuffles:
        sharing.append(bench.key_sharing(shuffles[0]))
    evidence = AuditResults(
        images=len(audit.private),
        public=len(audit.public),
        side=audit.private.shape[0],
        original_side=audit.private.original_side,
        classes=len(audit.private.classes) if bench.labelled else 0,
        vfe=_mean_vfe(audit.private.images),
        clean=bench.learned(UNPROTECTED),
        guess=bench.finding(GUESS, "none"),
        methods=tuple(protections.values()),
        findings=tuple(findings),
        key_sharing=tuple(sharing),
        membership=tuple(membership),
        inversions=tuple(inversions),
        settings=settings,
    )
    sheets = tuple(_sheet(evidence, bench, one) for one in methods)
    return evidence, Figures(sheets, tuple(gradients))


def _claim(work: Path, settings: dict[str, Any]) -> None:
    note = work / "settings.json"
    if note.exists():
        there = json.loads(note.read_text())
        # Other methods and attacks add to what is there.
        decisive = settings.keys() - {"methods", "attacks"}
        differing = [name for name in sorted(decisive) if there[name] != settings[name]]
        if differing:
            raise RunError(
                f"--out has an audit with other {', '.join(differing)}: name another "
                f"folder, or remove this one"
            )
        return
    with atomic_path(note) as file:
        file.write(json.dumps(settings, indent=1).encode())


def _settled(audit: Audit, bench: AuditSession) -> list[Protection]:
    """The methods, each with one strength, and none twice."""
    first = audit.methods[0]
    methods: dict[str, Protection] = {}
    for one in tqdm(audit.methods, desc="strengths", unit="method"):
        chosen = one
        if one.choices:
            target = bench.learned(first)
            if target is None:
                raise RunError(
                    f"--methods {one.name}: what networks learn is matched, but the "
                    f"images have no classes; name a strength instead of match"
                )
            chosen = matched(one.choices, lambda x: bench.learned(x) or 0.0, target)
            tried = ", ".join(f"{x.strength:g}" for x in one.choices)
            remark = (
                f"{chosen.remark} Its strength was searched among {tried}, for what "
                f"networks learn to be as near as may be to {first.name}."
            )
            chosen = dataclasses.replace(chosen, remark=remark)
        methods.setdefault(chosen.name, chosen)
    return list(methods.values())


def _fitting(one: Protection, audit: Audit) -> list[str]:
    """The attacks that make sense against a method."""
    side = audit.private.shape[0]
    inside = one.region is not None and one.region < side
    sense = {
        "thumbnail": inside,
        "restoration": True,
        "jigsaw": one.block > 1 and one.channels in ("independent", "shared"),
        "average": one.keys == "each",
        "known_pairs": one.channels is not None or one.half_bytes,
    }
    return ["none", *(name for name in audit.attacks if sense.get(name))]


def _mean_vfe(images: np.ndarray) -> float:
    measure = jax.jit(jax.vmap(lambda image: vmixjax.vfe(image, _TILE)))
    return float(measure(images).mean())


def _sheet(evidence: AuditResults, bench: AuditSession, one: Protection) -> Sheet:
    """Images from the best recovered to the worst, evenly chosen."""
    likest = judge(evidence, one.name).likest
    found = {finding.attack: finding for finding in evidence.of(one.name)}
    ssim = np.asarray(found[likest].ssim_each)
    order = np.argsort(-ssim, kind="stable")
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order)))
    chosen = order[np.round(places).astype(int)]
    return Sheet(
        method=one.name,
        originals=bench.originals[chosen],
        recovered={attack: bench.recovered(one, attack)[0][chosen] for attack in found},
        ssim=tuple(ssim[chosen].tolist()),
    )
