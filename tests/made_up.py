"""Findings of audits that never were."""

from vmixjax.audit.evidence import Evidence, Finding, Protection


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
    return Finding(method, attack, **{**known, **values})


def evidence(*findings, clean=0.8, classes=10, learned=(0.6, 0.5, 0.4)):
    names = list(dict.fromkeys(one.method for one in findings))
    return Evidence(
        images=100,
        public=1000,
        side=32,
        original_side=32,
        classes=classes,
        vfe=1.0,
        clean=clean,
        guess=finding("guess", "none"),
        methods=tuple(
            Protection(name, f"title of {name}", "a remark", 2.0, value)
            for name, value in zip(names, learned, strict=False)
        ),
        findings=findings,
        extra={},
        settings={},
    )
