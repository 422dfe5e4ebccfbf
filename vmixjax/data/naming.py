"""Names of fields that may tell which image it is, and so whose.

A field is known by the words of its name: `imageId`, `image_id2` and `IMAGE/ID` are
one. These are the lists; words that are in none of them say nothing.
"""

from typing import Literal

from vmixjax.data.words import words

Telling = Literal["names", "unclear", "nothing"]
"""What the name of a field says: that it names the image or somebody; that it may, or
holds more than that; or nothing of the kind."""


def _words(text: str) -> frozenset[str]:
    return frozenset(words(text))


# The lists begin here: pages show them.
NAME = _words(
    """basename, checksum, crc, digest, directory, file, fname, folder, guid, hash,
    href, id, identifier, idx, index, key, link, md, name, path, sha, uid, uri, url,
    uuid"""
)
"""Words for what images, and people, are called by."""

PERSON = _words(
    """accession, account, address, artist, author, birth, birthday, camera, celebrity,
    city, client, creator, customer, date, device, dob, doctor, donor, email, employee,
    forename, gps, hospital, identity, institution, ip, lat, latitude, lng, location,
    lon, longitude, mail, mrn, nickname, owner, participant, passport, patient, people,
    person, phone, photographer, physician, place, plate, serial, ssn, street, student,
    study, subject, surname, telephone, time, timestamp, uploader, user, volunteer,
    zip"""
)
"""Words for whose an image is, and for where, when and by what it was taken."""

BESIDE = _words(
    """base, clip, data, example, first, frame, full, image, img, item, last, middle,
    orig, original, photo, photograph, pic, picture, raw, record, sample, scan, scene,
    shot, slide, src, sum, video"""
)
"""Words that leave no doubt what those above are of."""

UNCLEAR = _words("comment, exif, meta, metadata, note, remark, source, title")
"""Words for what may say anything."""
# The lists end here.

_TELLING = NAME | PERSON
_KNOWN = _TELLING | BESIDE


def telling(name: str) -> Telling:
    """Tells what the name of a field says.

    >>> telling("filePath2"), telling("patient_number"), telling("caption")
    ('names', 'unclear', 'nothing')
    """
    found = [part for word in words(name) for part in _parts(word)]
    if not any(word in _TELLING or word in UNCLEAR for word in found):
        return "nothing"
    return "names" if _KNOWN.issuperset(found) else "unclear"


def tells_person(name: str) -> bool:
    """Tells whether the name of a field has a word for whose an image is."""
    return any(part in PERSON for word in words(name) for part in _parts(word))


def _parts(word: str) -> list[str]:
    """The words of the lists that a word consists of, as `filepath` does, or itself."""
    for one in (word, word.removesuffix("s"), word.removesuffix("es")):
        if one in _KNOWN or one in UNCLEAR:
            return [one]
        for place in range(1, len(one)):
            first, second = one[:place], one[place:]
            if first in _KNOWN and second in _KNOWN and {first, second} & _TELLING:
                return [first, second]
    return [word]
