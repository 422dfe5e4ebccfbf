import dataclasses

import numpy as np
import pytest
from made_up import evidence, finding

from vmixjax.audit.results import Overlaps
from vmixjax.audit.verdict import GRADES, advice, judge, shares, usefulness


def test_an_identity_recovers_everything_and_a_constant_nothing():
    same = finding("same", "none", ssim=1.0, reidentified=1.0, recognised=0.8)
    grey = finding("grey", "none")
    both = evidence(same, grey)
    verdict = judge(both, "same")
    assert (verdict.grade, verdict.attack, verdict.linked) == ("everything", "none", 1)
    assert verdict.sentence.startswith("The protected image itself shows everything")
    verdict = judge(both, "grey")
    assert (verdict.grade, verdict.linked) == ("nothing", None)
    assert verdict.sentence == "The protected image itself shows nothing."


def test_the_strongest_attack_by_any_measure_decides():
    found = evidence(
        finding("mix:8", "none"),
        finding("mix:8", "thumbnail", ssim=0.19),
        finding("mix:8", "restoration", ssim=0.28, recognised=0.45),
    )
    assert shares(found, found.findings[2]) == {
        "likeness (SSIM)": pytest.approx(0.2),
        "recognition": pytest.approx(0.5),
    }
    verdict = judge(found, "mix:8")
    assert (verdict.attack, verdict.measure) == ("restoration", "recognition")
    assert verdict.likest == "restoration"
    assert verdict.share == pytest.approx(0.5)
    assert "a good part of what tells its class: 50% of the way" in verdict.sentence
    assert ", and at best 20% by likeness (SSIM)" in verdict.sentence


def test_of_attacks_that_are_as_strong_the_simpler_is_named():
    found = evidence(
        finding("m", "none", ssim=0.55, recognised=0.44),
        finding("m", "known_pairs", ssim=0.56, recognised=0.45),
    )
    verdict = judge(found, "m")
    assert (verdict.attack, verdict.measure) == ("none", "likeness (SSIM)")
    assert verdict.likest == "known_pairs"
    # Its number is the highest all the same, as in the table.
    assert verdict.share == max(verdict.best.values()) == pytest.approx(0.46 / 0.9)
    assert "51% of the way" in verdict.sentence


def test_likeness_is_named_before_recognition_of_the_same_share():
    found = evidence(finding("m", "known_pairs", ssim=0.99, recognised=0.8))
    assert judge(found, "m").measure == "likeness (SSIM)"
    found = evidence(finding("m", "thumbnail", ssim=0.4, recognised=0.8))
    assert (
        "recovers everything that tells its class: 100%" in judge(found, "m").sentence
    )


def test_attacks_that_are_worse_than_a_guess_recover_nothing():
    verdict = judge(evidence(finding("m", "none", ssim=-0.2)), "m")
    assert (verdict.grade, verdict.attack, verdict.share) == ("nothing", "none", 0)


def test_who_tells_classes_without_a_picture_counts_as_recognition_alone():
    nothing = {"psnr": None, "ssim": None, "edges": None, "reidentified": None}
    told = finding("m", "classifier", recognised=0.66, **nothing)
    told = dataclasses.replace(told, ssim_each=())
    found = evidence(finding("m", "none", ssim=0.37, recognised=0.2), told)
    assert shares(found, told) == {"recognition": pytest.approx(0.8)}
    verdict = judge(found, "m")
    assert (verdict.attack, verdict.measure) == ("classifier", "recognition")
    assert (verdict.likest, verdict.by) == ("none", "none")
    assert verdict.best == {
        "likeness (SSIM)": pytest.approx(0.3),
        "recognition": pytest.approx(0.8),
    }


def test_recognition_by_luck_is_none():
    # Three standard errors over a tenth, of 100 images, are 19 %.
    lucky = evidence(finding("m", "none", recognised=0.19))
    assert judge(lucky, "m").grade == "nothing"
    assert judge(evidence(finding("m", "none", recognised=0.3)), "m").share > 0.2


def test_a_classifier_that_knows_nothing_measures_nothing():
    blind = evidence(finding("m", "none", recognised=0.15), clean=0.15)
    assert "recognition" not in shares(blind, blind.findings[0])


def test_without_classes_likeness_alone_decides():
    found = evidence(
        finding("m", "none", recognised=None, ssim=0.55), clean=None, classes=0
    )
    assert judge(found, "m").share == pytest.approx(0.5)


def test_who_can_be_told_apart_has_not_lost_nothing():
    verdict = judge(evidence(finding("m", "thumbnail", reidentified=0.7)), "m")
    assert (verdict.grade, verdict.linked) == ("next to nothing", 0.7)
    assert ", but 70% of the images can be matched with their" in verdict.sentence
    assert judge(evidence(finding("m", "none", reidentified=0.03)), "m").linked is None


def test_grades_fall_with_the_share():
    words = [
        judge(evidence(finding("m", "none", ssim=0.1 + 0.9 * share)), "m").grade
        for share in np.linspace(1, 0, 201)
    ]
    assert list(dict.fromkeys(words)) == [word for _, word in GRADES]


def test_advice_names_settings_that_leave_less_and_what_they_cost():
    found = evidence(
        finding("mix:4", "none", ssim=0.6),
        finding("mix:8", "none", ssim=0.4),
        finding("blur:2", "none", ssim=0.2),
    )
    lines = advice(found)
    assert lines[0].startswith("title of mix:8 leaves 33% instead of 56%")
    assert "10 points less accuracy" in lines[0]
    assert not any("blur" in line for line in lines)
    assert lines[-1] == "Never use one key for two images."


def test_advice_names_the_score_of_what_is_learned():
    found = evidence(
        finding("mix:4", "none", ssim=0.6, recognised=None),
        finding("mix:8", "none", ssim=0.4, recognised=None),
        classes=0,
        utility="ap50",
    )
    assert advice(found)[0].endswith(
        ", and a detector learns from it with 10 points less AP at IoU 0.5."
    )
    assert usefulness(found, "mix:8") == (
        "A detector that learns from images so protected comes to AP at IoU 0.5 50%, "
        "and one that learns from clean ones to 80%."
    )


def test_without_anything_to_learn_nothing_is_said_of_it():
    found = evidence(finding("m", "none"), clean=None, classes=0, learned=(None,))
    assert usefulness(found, "m") is None
    assert found.as_json()["utility"] is None


def test_the_same_numbers_without_single_images_make_the_json():
    values = evidence(finding("m", "none")).as_json()
    assert values["findings"][0]["ssim"] == 0.1
    assert values["utility"] == "accuracy"
    assert "ssim_each" not in values["findings"][0]
    assert "ssim_each" not in values["guess"]
    assert dataclasses.asdict(evidence(finding("m", "none")))["guess"]["ssim_each"]


def overlapping(together, attack="puts_together"):
    """Ten of 100 images overlap; the others are as good as lost."""
    each = (together,) * 10 + (0.1,) * 90
    found = evidence(
        finding("mix:8", "none", ssim=0.15),
        dataclasses.replace(
            finding("mix:8", "puts_together", ssim=0.15), ssim_each=each
        ),
    )
    overlaps = Overlaps(tuple(range(10)), attack)
    return judge(dataclasses.replace(found, overlaps=overlaps), "mix:8")


def test_that_images_give_each_other_away_is_said_first():
    verdict = overlapping(0.64)
    assert verdict.sentence.startswith(
        "10 of the images overlap others and give each other away: put together, they "
        "come 60% of the way from a guess to the original by likeness, where each "
        "alone comes 0%"
    )
    assert "The protected image itself shows" in verdict.sentence
    # The rest is of all images, as ever.
    assert verdict.share < 0.1


def test_images_that_overlap_and_tell_no_more_are_no_news():
    assert "overlap" not in overlapping(0.11).sentence
    untried = overlapping(0.64, attack="")
    assert "which was not tried" in untried.sentence.partition(". ")[0]


def test_of_images_that_do_not_overlap_nothing_is_said():
    verdict = judge(evidence(finding("m", "none")), "m")
    assert "overlap" not in verdict.sentence
