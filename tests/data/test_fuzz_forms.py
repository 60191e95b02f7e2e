"""Under fire: 2,000 mutants of each form of table, read with random flags, are refused in one message or read as stated."""

import json

import numpy as np
import pytest

from common.core import registry
from common.core.errors import InputError
from common.core.settings import ReadOptions
from common.data.reading import check
from common.report.reading import described
from tests.helpers.cases import images_at
from tests.helpers.mutants import many, mutants

N = 12


def lines(header: str, row) -> bytes:
    return (header + "\n" + "".join(row(i) + "\n" for i in range(N))).encode()


def voc(i: int) -> bytes:
    name = ("sea", "boat")[i % 2]
    return f"<annotation><filename>{i}.jpg</filename><object><name>{name}</name></object></annotation>".encode()


COCO = json.dumps({
    "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(N)], "categories": [{"id": 3, "name": "sea"}, {"id": 7, "name": "boat"}],
    "annotations": [{"id": i, "image_id": i, "category_id": (3, 7)[i % 2]} for i in range(N)],
}).encode()  # fmt: skip
FORMS = {
    "semicolons": ("t.csv", lines("image;sea;boat", lambda i: f"{i}.jpg;{i % 2};{i % 3 // 2}")),
    "tabs": ("t.tsv", lines("fname\tlabels\tis_valid", lambda i: f"{i}.jpg\t{('sea boat', 'sea', 'boat')[i % 3]}\t{i > 9}")),
    "sep line": ("t.csv", lines("sep=;\nimage;tags", lambda i: f"{i}.jpg;{('sea,boat', 'sea')[i % 2]}")),
    "truth values": ("t.csv", lines("Image Index,sea,boat", lambda i: f"{i}.jpg,{i % 2 == 0},{('yes', 'no')[i % 2]}")),
    "unknown": ("t.csv", lines("img_path,sea,boat", lambda i: f"{i}.jpg,{i % 2},{('1', '0', '-1', '')[i % 4]}")),
    "one and minus one": ("t.csv", lines("image_name,sea,boat", lambda i: f"{i}.jpg,{2 * (i % 2) - 1},{1 - 2 * (i % 2)}")),
    "lists": ("t.csv", lines("Id,Target", lambda i: f"{i}.jpg,\"['sea', 'boat {i % 3}']\"")),
    "json lists": ("t.csv", lines("image,labels", lambda i: f'{i}.jpg,"[""sea"", ""boat""]"')),
    "vectors": ("t.csv", lines("image,labels", lambda i: f"{i}.jpg,{i % 2} {i % 3 // 2} 0")),
    "bars": ("t.csv", lines("Image Index,Finding Labels,Patient ID", lambda i: f"{i}.jpg,sea|boat,{i // 3}")),
    "long form": ("t.csv", lines("ImageID,LabelName,Confidence", lambda i: f"{i}.jpg,/m/sea,1\n{i}.jpg,/m/boat,{i % 2}")),
    "utf-16": ("t.csv", lines("image,labels", lambda i: f"{i}.jpg,sea;boat").decode().encode("utf-16")),
    "jsonl": ("train/metadata.jsonl", b"".join(json.dumps({"file_name": f"{i}.jpg", "labels": ["sea", "boat"][: 1 + i % 2]}).encode() + b"\n" for i in range(N))),
    "roboflow classes": ("train/_classes.csv", lines("filename, sea, boat", lambda i: f"{i}.jpg, {i % 2}, 1")),
    "roboflow coco": ("train/_annotations.coco.json", COCO),
    "celeba": ("list_attr.txt", lines(f"{N}\nSea Boat", lambda i: f"{i}.jpg  1 {-1 if i % 2 else ' 1'}")),
    "voc": ("Annotations/0.xml", voc(0)),
}  # fmt: skip
CHOICES = {
    "image_column": ("", "", "", "image", "Id", "nothing"), "label_columns": ((), (), (), ("sea",), ("labels",), ("sea", "boat")),
    "label_separator": ((), (), (";",), (",",), ("space",), ("none",), (";", "|"), ("]",), ("none", ";")), "ignore_columns": ((), (), ("boat",), ("Confidence",)),
    "group_column": ("", "", "", "Patient ID"), "delimiter": ("", "", "", ";", "tab"), "encoding": ("", "", "", "latin-1", "utf-16", "none"),
    "unknown": ("fail", "absent", "drop"), "split": ("random", "random", "given"), "images": ("", "", "images", "nowhere"),
}  # fmt: skip


def flags(rng: np.random.Generator) -> ReadOptions:
    return ReadOptions(**{name: values[rng.integers(len(values))] for name, values in CHOICES.items()})


@pytest.mark.parametrize("n", many(2000))
@pytest.mark.parametrize("form", FORMS)
def test_a_mutant_is_refused_or_read_as_stated(tmp_path, form, n):
    name, whole = FORMS[form]
    images_at("images/{}.jpg", N)(tmp_path)
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    for i in range(1, N if form == "voc" else 0):
        (tmp_path / f"Annotations/{i}.xml").write_bytes(voc(i))
    rng, read = np.random.default_rng(1), 0
    for k, data in enumerate([whole, *mutants(whole, n)]):
        file.write_bytes(data)
        options = flags(rng) if k % 2 else ReadOptions(unknown="absent" if form == "unknown" else "fail")
        try:
            found = registry.format_of(tmp_path).read(tmp_path, options)
            check(found)
        except InputError as error:
            assert str(error) and k, error  # the whole file is read
            continue
        read += 1
        assert found.labels.shape == (len(found.ids), len(found.class_names)) and set(np.unique(found.labels)) <= {0, 1}
        assert len(found.paths) == len(found.ids) and len({*found.paths.tolist()}) == len(found.ids)
        assert len(found.in_validation) in (0, len(found.ids)) and len(found.groups) in (0, len(found.ids))
        assert not any("\n" in name for name in found.class_names)
        stated = dict(described(found, (80.0, 90.0)))
        assert {"table", "image column", "images in", "labels", "classes"} <= stated.keys()
    assert 0 < read <= n
