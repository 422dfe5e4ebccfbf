"""Findings of audits that never were."""

from vmixjax.audit.results import (
    AttackResult,
    AuditResults,
    Inversion,
    KeySharing,
    Membership,
    MethodResult,
)


def finding(method, attack, **values):
    known = {
        "psnr": 10.0,
        "ssim": 0.1,
        "edges": 0.0,
        "reidentified": 0.01,
        "recognised": 0.1,
        "faces": None,
        "ssim_each": (0.1,) * 100,
        "seconds": 1.0,
    }
    return AttackResult(method, attack, **{**known, **values})


def evidence(*findings, clean=0.8, classes=10, learned=(0.6, 0.5, 0.4)):
    names = list(dict.fromkeys(one.method for one in findings))
    return AuditResults(
        images=100,
        public=1000,
        side=32,
        original_side=32,
        classes=classes,
        vfe=1.0,
        clean=clean,
        guess=finding("guess", "none"),
        methods=tuple(
            MethodResult(
                name,
                f"title of {name}",
                "a remark",
                2.0,
                value,
                mixes=name.startswith("mix"),
            )
            for name, value in zip(names, learned, strict=False)
        ),
        findings=findings,
        key_sharing=(KeySharing("mix:8", 16, 0.05, 0.06, 0.98),),
        membership=(
            Membership("clean", 50, 1.0, 0.4, 0.9, 0.3, 0.95, 0.4),
            Membership("mix:8", 50, 0.8, 0.4, 0.7, 0.1, 0.8, 0.2),
        ),
        inversions=(
            Inversion("clean", 2, 30.0, 0.9, 30.0, 0.9, 99.0, 1.0),
            Inversion("mix:8", 2, 15.0, 0.2, 25.0, 0.8, 14.0, 0.1),
        ),
        settings={},
    )
