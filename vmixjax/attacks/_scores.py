"""What scores of membership are worth."""

import dataclasses

import jax
import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


@dataclasses.dataclass(frozen=True)
class MembershipMetrics:
    """What scores are worth.

    Attributes:
      auc: Area under the curve of true over false positives; 0.5 is guessing.
      advantage: Largest difference between the rates of true and of false positives;
        0 is guessing, 1 is certainty (Yeom et al. 2018).
      true_positives: Their rate where that of false ones is at most `false_positives`
        (Carlini et al. 2022: what matters is whether anybody is found for certain).
      false_positives: The rate that is allowed.
    """

    auc: float
    advantage: float
    true_positives: float
    false_positives: float


def membership_metrics(
    scores: jax.typing.ArrayLike,
    is_member: jax.typing.ArrayLike,
    *,
    false_positives: float = 0.01,
) -> MembershipMetrics:
    """Computes what scores are worth where it is known who was a member.

    Args:
      scores: Numbers (B,), higher for those more probably members.
      is_member: Truth, bool (B,), with both members and others.
      false_positives: Their rate at which true ones are counted, 0 to 1.

    Returns:
      The figures; rates below 1 / (images that were no members) cannot be told from 0.

    Raises:
      ValueError: Other shapes, only members or none, a rate outside 0 to 1.

    >>> membership_metrics([0.1, 0.2, 0.8, 0.9], [False, True, False, True])
    MembershipMetrics(auc=0.75, advantage=0.5, true_positives=0.5, false_positives=0.01)
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(is_member, bool)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(
            f"scores and is_member must be one for each image, (B,); "
            f"got {values.shape} and {truth.shape}"
        )
    if truth.all() or not truth.any():
        raise ValueError("is_member must have both members and others")
    if not 0 <= false_positives <= 1:
        raise ValueError(f"false_positives must be 0 to 1; got {false_positives}")
    wrong, right, _ = roc_curve(truth, values, drop_intermediate=False)
    return MembershipMetrics(
        auc=float(roc_auc_score(truth, values)),
        advantage=float((right - wrong).max()),
        true_positives=float(right[wrong <= false_positives].max()),
        false_positives=false_positives,
    )
