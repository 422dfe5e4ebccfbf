"""Recognition: whether a classifier still tells what images show."""

from vmixjax.metrics.metric import Measure, Metric, Reference


def _prepare(reference: Reference) -> Measure | None:
    classifier, labels = reference.classifier, reference.labels
    if classifier is None or labels is None:
        return None
    return lambda images: classifier.accuracy(images, labels)


METRIC = Metric(
    name="recognised",
    prepare=_prepare,
    about="Recognition: accuracy of a classifier that was trained on clean public "
    "images; {clean:.0%} on the originals, {luck:.0%} by luck.",
    number=".0%",
    missing="The images have no classes, so recognition was not measured.",
    rank=3,
)
