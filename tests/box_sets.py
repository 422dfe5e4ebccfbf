"""Data sets of boxes, written and read as others do it: none of our formats is used."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import oracle
import yaml
from PIL import Image

SIDE = 16


def picture(number, height=SIDE, width=SIDE):
    """Another picture for each number."""
    return np.roll(oracle.smooth_image(height, width), number, (0, 1)) ^ np.uint8(
        number
    )


def png(number, height=SIDE, width=SIDE):
    buffer = io.BytesIO()
    Image.fromarray(picture(number, height, width)).save(buffer, "PNG")
    return buffer.getvalue()


def write(root, files):
    """Writes files: {path: text or bytes}."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def xml(*objects, width=SIDE, height=SIDE, more=""):
    """An annotation as Pascal VOC has it, with all that tells of its origin."""
    return (
        f"<annotation><folder>anna</folder><filename>anna.jpg</filename>"
        f"<path>/home/anna/1.jpg</path><source><database>Anna</database></source>"
        f"<owner><name>Anna</name></owner><size><width>{width}</width>"
        f"<height>{height}</height><depth>3</depth></size>{more}"
        f"{''.join(objects)}</annotation>"
    )


def thing(name, xmin, ymin, xmax, ymax, more=""):
    return (
        f"<object><name>{name}</name><pose>Left</pose>{more}<bndbox>"
        f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax>"
        f"</bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
        f"<xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"
    )


def write_voc(root, splits, annotation=None):
    """Writes a VOC data set: names of images by split, all with boxes."""
    number = 0
    for split, names in splits.items():
        lines = "".join(f"{name}\n" for name in names)
        write(root, {f"ImageSets/Main/{split}.txt": lines})
        for name in names:
            flag = f"<difficult>{number % 2}</difficult>"
            one = thing(("zebra", "ant")[number % 2], 1, 2, 8 + number % 8, 12, flag)
            more = (thing("ant", 3, 4, 5.25, 16, flag),) * (number % 3)
            text = xml(one, *more) if annotation is None else annotation
            images = {f"JPEGImages/{name}.png": png(number)}
            write(root, {**images, f"Annotations/{name}.xml": text})
            number += 1
    return root


def write_yolo(root, splits, layout="images/{}", names=("zebra", "ant")):
    """Writes a YOLO data set: names of images by split; every fourth has no boxes."""
    number = 0
    for split, stems in splits.items():
        folder = layout.format(split)
        (root / folder).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            lines = f"{number % 2} 0.5 0.53125 0.{number + 1:02d} 0.25\n"
            lines += f"1 0.123457 0.3 0.1 0.{number + 1:02d}\n" * (number % 3)
            labels = folder.replace("images", "labels")
            write(root, {f"{folder}/{stem}.png": png(number)})
            if number % 4 != 3:
                write(root, {f"{labels}/{stem}.txt": lines})
            number += 1
    entries = {split: layout.format(split) for split in splits}
    text = yaml.safe_dump({**entries, "nc": len(names), "names": list(names)})
    return write(root, {"data.yaml": text})


def read_voc(root):
    """{name: (split, image, boxes)} as a plain parser has them; boxes in pixels."""
    found = {}
    for path in sorted((root / "ImageSets" / "Main").glob("*.txt")):
        for name in path.read_text().splitlines():
            tree = ET.parse(root / "Annotations" / f"{name}.xml").getroot()
            image = np.asarray(Image.open(root / "JPEGImages" / f"{name}.png"))
            size = [int(tree.find(f"size/{one}").text) for one in ("height", "width")]
            assert (*size, int(tree.find("size/depth").text)) == image.shape
            boxes = [
                (
                    one.find("name").text,
                    *(
                        float(one.find(f"bndbox/{corner}").text)
                        for corner in ("ymin", "xmin", "ymax", "xmax")
                    ),
                    *(flag.text for flag in one.findall("difficult")),
                )
                for one in tree.findall("object")
            ]
            found[name] = path.stem, image, boxes
    return found


def read_yolo(root):
    """{path: (split, image, boxes)} as a plain parser has them; boxes in shares."""
    about = yaml.safe_load((root / "data.yaml").read_text())
    names = about["names"]
    found = {}
    for split in set(about) - {"names", "nc", "path"}:
        for path in sorted((root / about[split]).glob("**/*.png")):
            text = Path(str(path).replace("/images/", "/labels/")).with_suffix(".txt")
            lines = text.read_text().splitlines() if text.exists() else []
            rows = [line.split() for line in lines]
            boxes = []
            for label, *numbers in rows:
                x, y, width, height = map(float, numbers)
                ends = y - height / 2, x - width / 2, y + height / 2, x + width / 2
                boxes.append((names[int(label)], *ends))
            image = np.asarray(Image.open(path))
            found[path.relative_to(root).as_posix()] = split, image, boxes
    return found


MAKE = {"voc": write_voc, "yolo": write_yolo}
READ = {"voc": read_voc, "yolo": read_yolo}
