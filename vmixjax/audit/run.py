"""Runs attacks over methods, notes what was done, and goes on where it was."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vmixjax.atomic import atomic_path
from vmixjax.attacks import ATTACKS, Attack
from vmixjax.attacks.trial import UNPROTECTED
from vmixjax.audit.matching import matched
from vmixjax.audit.measures import RECOGNISED, mean_vfe, measure
from vmixjax.audit.results import (
    NOTHING_DONE,
    AttackResult,
    AuditResults,
    Figures,
    MethodResult,
    Overlaps,
    Sheet,
)
from vmixjax.audit.session import Audit, AuditSession
from vmixjax.audit.store import Store
from vmixjax.audit.utilities import UTILITIES
from vmixjax.audit.verdict import judge
from vmixjax.errors import RunError
from vmixjax.methods import Protection
from vmixjax.metrics import METRICS

GUESS = "guess"
"""Stands among methods for the mean public image, that anybody guesses."""

SHOWN = 10
"""Images in a contact sheet, at most."""


def run_audit(audit: Audit, work: Path) -> tuple[AuditResults, Figures]:
    """Makes every attack on every method, unless `work` has its result already.

    Args:
      audit: What to do.
      work: Folder for results of single attacks, which exists.

    Returns:
      Numbers, and the pictures that belong to them.

    Raises:
      RunError: `work` is of another audit (methods and attacks aside), or strengths
        are to be matched and images have nothing to learn.
    """
    _check_names()
    settings = audit.settings()
    _claim(work, settings)
    session = AuditSession(audit, Store(work))
    private = audit.private
    for line in session.remarks:
        tqdm.write(f"vmixjax: {line}")
    methods = _settled(session)
    attacks = [ATTACKS[name] for name in audit.attacks]
    findings = _findings(session, methods, attacks)
    studies, study_sheets = _studies(session, methods, attacks)
    results = AuditResults(
        images=len(private),
        public=len(audit.public),
        side=private.shape[0],
        original_side=private.original_side,
        classes=len(private.classes) if session.has_classes else 0,
        vfe=mean_vfe(private.images),
        clean=session.utility(UNPROTECTED),
        guess=_guess(session),
        methods=tuple(_described(session, one) for one in methods),
        findings=findings,
        studies=studies,
        settings=settings,
        overlaps=_overlaps(session, methods[0], findings),
        learned=session.learned.name if session.learned is not None else None,
    )
    sheets = tuple(_sheet(results, session, one) for one in methods)
    together = _overlap_sheet(results, session, methods[0])
    return results, Figures(sheets, study_sheets, together)


def _claim(work: Path, settings: dict[str, Any]) -> None:
    """Notes whose folder it is, or refuses one of another audit."""
    note = work / "settings.json"
    if not note.exists():
        with atomic_path(note) as file:
            file.write(json.dumps(settings, indent=1).encode())
        return
    there = json.loads(note.read_text())
    # Other methods and attacks, other packages' too, add to what is there.
    decisive = settings.keys() - {"methods", "attacks"}
    sizes = settings["budget"].keys() & there["budget"].keys()
    common = {name: there["budget"][name] for name in sizes}
    now = {**settings, "budget": {name: settings["budget"][name] for name in sizes}}
    there = {**there, "budget": common}
    differing = [name for name in sorted(decisive) if there[name] != now[name]]
    if differing:
        raise RunError(
            f"--out has an audit with other {', '.join(differing)}: name another "
            f"folder, or remove this one"
        )


def _settled(session: AuditSession) -> list[Protection]:
    """The methods, each with one strength, and none twice."""
    first = session.audit.methods[0]
    methods: dict[str, Protection] = {}
    for one in tqdm(session.audit.methods, desc="strengths", unit="method"):
        chosen = one
        if one.choices:
            target = session.utility(first)
            if target is None:
                raise RunError(
                    f"--methods {one.name}: what networks learn is matched, but "
                    f"nothing can be learned of the images, which would be classes, "
                    f"boxes or masks; name a strength instead of match"
                )
            chosen = matched(one.choices, lambda x: session.utility(x) or 0.0, target)
            tried = ", ".join(f"{x.strength:g}" for x in one.choices)
            remark = (
                f"{chosen.remark} Its strength was searched among {tried}, for what "
                f"networks learn to be as near as may be to {first.name}."
            )
            chosen = dataclasses.replace(chosen, remark=remark)
        methods.setdefault(chosen.name, chosen)
    return list(methods.values())


def _check_names() -> None:
    """Refuses attacks of other packages that would take a name of another result."""
    taken = {field.name for field in dataclasses.fields(AuditResults)}
    taken |= {"verdicts", "utility", NOTHING_DONE, *UTILITIES}
    taken |= {learned.stored for learned in UTILITIES.values()}
    for attack in ATTACKS.values():
        names = [attack.name] if attack.recover or attack.recognise else []
        names += [attack.study.name] if attack.study is not None else []
        for name in names:
            if name in taken:
                raise RunError(
                    f"the attack {attack.name} has results called {name}, as others "
                    f"are; rename it in its package"
                )
        taken.update(names)


def _described(session: AuditSession, one: Protection) -> MethodResult:
    measured = session.store.values(
        (one.name, "vfe"), lambda: mean_vfe(session.protected(one))
    )
    utility = session.utility(one)
    return MethodResult(one.name, one.title, one.remark, measured, utility, one.mixes)


def _findings(
    session: AuditSession, methods: Sequence[Protection], attacks: Sequence[Attack]
) -> tuple[AttackResult, ...]:
    """What comes back of each method's images: untouched, and by each attack."""
    side = session.audit.private.shape[0]
    tried: list[tuple[Protection, Attack | None]] = []
    for one in methods:
        overlaps = session.trial(one).overlaps
        fitting = (
            x
            for x in attacks
            if (x.recover or (x.recognise and session.has_classes))
            and x.applies(one, side)
            and (overlaps or not x.needs_scenes)
        )
        tried += [(one, attack) for attack in (None, *fitting)]
    findings = []
    for one, attack in (bar := tqdm(tried, desc="auditing", unit="attack")):
        name = NOTHING_DONE if attack is None else attack.name
        bar.set_postfix_str(f"{one.name}, {name}")

        def find(one: Protection = one, attack: Attack | None = attack) -> Any:
            if attack is not None and attack.recover is None:
                told, seconds = session.recognised(one, attack)
                nothing = dict.fromkeys(METRICS)
                found: dict[str, Any] = {**nothing, RECOGNISED: told, "ssim_each": []}
            else:
                images, seconds = session.recovered(one, attack)
                found = measure(session.measures, images)
            return {**found, "seconds": seconds}

        findings.append(_result(session, one.name, name, find))
    return tuple(findings)


def _overlaps(
    session: AuditSession, first: Protection, findings: Sequence[AttackResult]
) -> Overlaps | None:
    """The images that show a scene which others show on another grid."""
    scenes = session.trial(first).overlaps
    images = sorted(view.index for scene in scenes for view in scene.views)
    if not images:
        return None
    made = (one.attack for one in findings if one.method == first.name)
    putting = (
        name for name in made if name != NOTHING_DONE and ATTACKS[name].needs_scenes
    )
    return Overlaps(tuple(images), next(putting, ""))


def _guess(session: AuditSession) -> AttackResult:
    def find() -> dict[str, Any]:
        private, public = session.audit.private, session.audit.public
        mean = np.round(public.images.mean(0)).astype(np.uint8)
        images = np.broadcast_to(mean, private.images.shape)
        return {**measure(session.measures, images), "seconds": 0.0}

    return _result(session, GUESS, NOTHING_DONE, find)


def _result(
    session: AuditSession, method: str, attack: str, find: Callable[[], Any]
) -> AttackResult:
    values = session.store.values((method, attack), find, needed=METRICS)
    return AttackResult(
        method=method,
        attack=attack,
        values={name: values[name] for name in METRICS},
        ssim_each=tuple(values["ssim_each"]),
        seconds=values["seconds"],
    )


def _studies(
    session: AuditSession, methods: Sequence[Protection], attacks: Sequence[Attack]
) -> tuple[dict[str, tuple[dict[str, Any], ...]], dict[str, tuple[Sheet, ...]]]:
    """Rows of all studies there are, by name, and pictures of those that have some."""
    rows: dict[str, tuple[dict[str, Any], ...]] = {
        attack.study.name: () for attack in ATTACKS.values() if attack.study is not None
    }
    sheets: dict[str, tuple[Sheet, ...]] = {}
    tried = [
        (attack, attack.study, one)
        for attack in attacks
        if attack.study is not None
        and (session.has_classes or not attack.study.needs_classes)
        for one in attack.study.subjects(methods)
    ]
    for attack, study, one in (bar := tqdm(tried, desc="studying", unit="method")):
        bar.set_postfix_str(f"{one.name}, {attack.name}")
        result = session.studied(one, attack)
        rows[study.name] += ({"method": one.name, **result.values},)
        if result.originals is not None:
            sheet = Sheet(one.name, result.originals, result.pictures)
            sheets[study.name] = (*sheets.get(study.name, ()), sheet)
    return rows, sheets


def _overlap_sheet(
    results: AuditResults, session: AuditSession, first: Protection
) -> Sheet | None:
    """Images that others give away, evenly chosen, as protected and put together."""
    overlaps = results.overlaps
    if overlaps is None or not overlaps.attack:
        return None
    places = np.linspace(0, len(overlaps.images) - 1, SHOWN).round().astype(int)
    chosen = np.asarray(overlaps.images)[np.unique(places)]
    pictures = {
        name: session.recovered(first, ATTACKS.get(name))[0][chosen]
        for name in (NOTHING_DONE, overlaps.attack)
    }
    return Sheet(first.name, session.audit.private.images[chosen], pictures)


def _sheet(results: AuditResults, session: AuditSession, one: Protection) -> Sheet:
    """Images from the best recovered to the worst, evenly chosen."""
    likest = judge(results, one.name).likest
    given = (finding for finding in results.of(one.name) if finding.gives_images)
    found = {finding.attack: finding for finding in given}
    ssim = np.asarray(found[likest].ssim_each)
    order = np.argsort(-ssim, kind="stable")
    places = np.linspace(0, len(order) - 1, min(SHOWN, len(order)))
    chosen = order[np.round(places).astype(int)]
    pictures = {
        name: session.recovered(one, ATTACKS.get(name))[0][chosen] for name in found
    }
    return Sheet(one.name, session.audit.private.images[chosen], pictures)
