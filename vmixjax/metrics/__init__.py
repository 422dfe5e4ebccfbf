"""How much of an image came back: what an audit measures reconstructions by.

On batches of uint8 images (B, H, W, C), in NumPy and float64, on the host: an audit
looks at few images, once. With originals first, all but `faces` compare. `METRICS` has
what an audit reports, by name; each has a file of its own.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> images = rng.integers(0, 256, (4, 16, 16, 3), np.uint8)
>>> psnr(images, images).tolist()
[inf, inf, inf, inf]
>>> ssim(images, images).tolist()
[1.0, 1.0, 1.0, 1.0]
>>> features = region_means(images, 8)
>>> reidentified(features, features)
1.0
"""

from vmixjax._registry import Registry
from vmixjax.metrics._edges import edge_correlation
from vmixjax.metrics._faces import faces
from vmixjax.metrics._psnr import MOST_DECIBELS, psnr
from vmixjax.metrics._reidentified import region_means, reidentified
from vmixjax.metrics._ssim import ssim
from vmixjax.metrics.metric import Measure, Metric, Reference

METRICS = Registry(
    "vmixjax.metrics",
    Metric,
    {
        "psnr": "vmixjax.metrics._psnr:METRIC",
        "ssim": "vmixjax.metrics._ssim:METRIC",
        "edges": "vmixjax.metrics._edges:METRIC",
        "reidentified": "vmixjax.metrics._reidentified:METRIC",
        "recognised": "vmixjax.metrics._recognised:METRIC",
        "faces": "vmixjax.metrics._faces:METRIC",
    },
)
"""All metrics, in the order in which `audit.json` has their values."""

__all__ = [
    "METRICS",
    "MOST_DECIBELS",
    "Measure",
    "Metric",
    "Reference",
    "edge_correlation",
    "faces",
    "psnr",
    "region_means",
    "reidentified",
    "ssim",
]
