"""Names of fields are known by their words, however these are put together."""

import pytest

from vmixjax.data.naming import BESIDE, NAME, PERSON, UNCLEAR, telling, tells_person


@pytest.mark.parametrize(
    "name",
    [
        "fname",
        "filepath",
        "filePath2",
        "imageId",
        "IMAGE/ID",
        "image/filename",
        "patient",
        "image_hash",
        "md5",
        "imgid",
        "username",
        "first_name",
        "photos.url",
        "datetime",
        "addresses",
        "sha256sum",
        "videoIDs",
        "owner-name",
        "file",
        "uri",
    ],
)
def test_names_that_name_an_image_or_somebody(name):
    assert telling(name) == "names"


@pytest.mark.parametrize(
    "name",
    [
        "patient_number",
        "label_name",
        "class_id",
        "source",
        "metadata",
        "Comment",
        "worker_time",
        "ageOfPatient",
        "image_title",
        "person_pose",
    ],
)
def test_names_that_may_say_more_are_unclear(name):
    assert telling(name) == "unclear"


@pytest.mark.parametrize(
    "name",
    [
        "caption",
        "label",
        "cls",
        "age",
        "pathology",
        "keypoints",
        "confidence",
        "view",
        "image",
        "photo_2",
        "timezone",
        "database",
        "status",
        "valid",
        "pidgin",
        "grid",
        "7",
        "shape",
    ],
)
def test_other_names_say_nothing(name):
    assert telling(name) == "nothing"
    assert not tells_person(name)


def test_a_class_may_be_of_people():
    assert tells_person("celebrityId")
    assert tells_person("patients")
    assert not tells_person("class_name")


def test_no_word_is_in_two_lists_and_each_is_found():
    lists = [NAME, PERSON, BESIDE, UNCLEAR]
    assert sum(map(len, lists)) == len(frozenset.union(*lists))
    assert all(telling(word) == "names" for word in NAME | PERSON)
    assert all(telling(f"{word}s") == "names" for word in NAME)
    assert all(telling(word) == "unclear" for word in UNCLEAR)
