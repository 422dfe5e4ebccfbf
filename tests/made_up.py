"""Findings of audits that never were."""

from vmixjax.audit.results import AttackResult, AuditResults, MethodResult

SCORES = ("loss_auc", "loss_found", "shadow_auc", "shadow_found")
LIKENESSES = [
    f"{name}{of}" for of in ("", "_sent", "_before") for name in ("psnr", "ssim")
]


def rows(names, *values):
    return tuple(dict(zip(names, one, strict=True)) for one in values)


def finding(method, attack, **values):
    known = {
        "psnr": 10.0,
        "ssim": 0.1,
        "edges": 0.0,
        "reidentified": 0.01,
        "recognised": 0.1,
        "faces": None,
    }
    return AttackResult(method, attack, {**known, **values}, (0.1,) * 100, 1.0)


def evidence(
    *findings, clean=0.8, classes=10, learned=(0.6, 0.5, 0.4), utility="accuracy"
):
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
        studies={
            "key_sharing": rows(
                ("method", "pairs", "by_chance", "own_keys", "one_key"),
                ("mix:8", 16, 0.05, 0.06, 0.98),
            ),
            "membership": rows(
                ("method", "images", "members", "others", *SCORES),
                ("clean", 50, 1.0, 0.4, 0.9, 0.3, 0.95, 0.4),
                ("mix:8", 50, 0.8, 0.4, 0.7, 0.1, 0.8, 0.2),
            ),
            "inversions": rows(
                ("method", "images", *LIKENESSES),
                ("clean", 2, 30.0, 0.9, 30.0, 0.9, 99.0, 1.0),
                ("mix:8", 2, 15.0, 0.2, 25.0, 0.8, 14.0, 0.1),
            ),
        },
        settings={},
        learned=utility if clean is not None else None,
    )
