"""Under fire: mutated tables, images, checkpoints, records and baselines are bad input, or are what they say; never a traceback."""

import contextlib
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from common.analysis import baselines
from common.analysis.records import read_results
from common.analysis.summary import summarise
from common.core.errors import InputError
from common.core.files import write_json
from common.data.decode import ImageError, decode
from common.data.formats import coco, comp5329, csv
from common.report.write import page_of
from common.trial import checkpoint
from tests.helpers.drawn import chunk, exif, png, saved, tiff, with_right_checksums
from tests.helpers.mutants import many, mutants

NAMES = b"image,labels\n" + b"".join(b'%d.jpg,"sea; boat %d"\n' % (i, i % 3) for i in range(12))
MATRIX = b"file,sea,boat\n" + b"".join(b"%d.png,%d,%d\n" % (i, i % 2, i % 3 == 0) for i in range(12))
PAPERS = b"ImageID,Labels,Caption\n" + b"".join(b'%d.jpg,%d 19,"a ""sign"", %d"\n' % (i, i, i) for i in range(12))
INSTANCES = json.dumps({
    "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(6)], "categories": [{"id": 3, "name": "sea"}, {"id": 7, "name": "boat"}],
    "annotations": [{"id": i, "image_id": i % 6, "category_id": (3, 7)[i % 2]} for i in range(9)],
}).encode()  # fmt: skip


def lost(data, found, form):
    """Images that the file names and the data set has not: in a table, at a line's begin."""
    if form is coco:
        named = {image["file_name"] for image in json.loads(data)["images"]}
    else:
        named = {name.decode() for name in re.findall(rb"(?m)^(\w+\.(?:jpg|png)),", data)}
    return named - {*map(str, found.ids)}


@pytest.mark.parametrize("n", many(2500))
@pytest.mark.parametrize(
    ("form", "name", "whole"),
    [(csv, "t.csv", NAMES), (csv, "t.csv", MATRIX), (comp5329, "train.csv", PAPERS), (coco, "t.json", INSTANCES)],
    ids=["names", "matrix", "comp5329", "coco"],
)
def test_a_mutated_table_is_refused_or_read_row_by_row(tmp_path, form, name, whole, n):
    file, read = tmp_path / name, 0
    where = tmp_path if form is comp5329 else file
    for data in mutants(whole, n):
        file.write_bytes(data)
        try:
            found = form.read(where)
        except (InputError, UnicodeError):  # which the front door tells alike
            continue
        read += 1
        assert found.labels.shape == (len(found.ids), len(found.class_names)) and len(found) > 0
        assert set(np.unique(found.labels)) <= {0, 1} and len(found.paths) == len(found.ids)
        assert not lost(data, found, form), data
    assert 0 < read < n  # some are harmless, some are not


@pytest.mark.parametrize("n", many(2000))
def test_a_mutated_photograph_is_decoded_or_refused(tmp_path, n):
    stream, file = io.BytesIO(), tmp_path / "a.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(stream, "JPEG")
    read = 0
    for data in mutants(stream.getvalue(), n):
        file.write_bytes(data)
        try:
            assert len(decode(str(file), 24)) == 24 * 24 * 3
            read += 1
        except ImageError as error:
            assert str(error)
    assert 0 < read < n


def rings(kind: type, top: float, channels: int = 0) -> np.ndarray:
    values = np.hypot(*np.mgrid[-1:1:40j, -1:1:60j]) / 2**0.5 * top
    return np.stack([values] * channels, -1).astype(kind) if channels else values.astype(kind)


OTHER_KINDS = {
    "png of 16 bits": png(rings(np.uint16, 65535), 16, 0, chunk(b"tRNS", b"\x10\x00")),
    "rgb png of 16 bits": png(rings(np.uint16, 65535, 3), 16, 2, chunk(b"tRNS", bytes(6))),
    "rgba png": saved(rings(np.uint8, 255, 4), "PNG", exif=exif(6)),
    "palette png": saved(rings(np.uint8, 255, 3), "PNG", "P", transparency=bytes(range(99))),
    "tiff of 16 bits": tiff(rings(np.uint16, 65535), 1, 16, tags={274: [6]}),
    "deflated tiff of 16 bits": tiff(rings(np.uint16, 65535), 0, 16, deflated=True),
    "float tiff": tiff(rings(np.float32, 1), 1, 32, 3),
    "rgba tiff": tiff(rings(np.uint8, 255, 4), 2, 8, order=">", extra=[2]),
    "jpeg with exif": saved(rings(np.uint8, 255, 3), "JPEG", exif=exif(7)),
    "webp with exif": saved(rings(np.uint8, 255, 4), "WEBP", exif=exif(8)),
    "gif": saved(rings(np.uint8, 255, 3), "GIF", "P", transparency=3),
    "tga": saved(rings(np.uint8, 255, 4), "TGA"),
    "jpeg 2000 of 16 bits": saved(rings(np.uint16, 65535), "JPEG2000"),
    "pgm of 16 bits": b"P5 60 40 4095\n" + rings(np.uint16, 4095).astype(">u2").tobytes(),
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n",
}  # fmt: skip


@pytest.mark.parametrize("n", many(2000))
@pytest.mark.parametrize("kind", OTHER_KINDS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # of damage that Pillow can ignore
def test_a_mutated_image_of_another_kind_is_decoded_or_refused(tmp_path, kind, n):
    file, whole, read, refused = tmp_path / "a.jpg", OTHER_KINDS[kind], 0, 0
    for number, data in enumerate(mutants(whole, n)):
        # Of a PNG every other one has checksums that fit: a reader gets no further than to the first that does not.
        file.write_bytes(with_right_checksums(data) if "png" in kind and number % 2 else data)
        try:
            assert len(decode(str(file), 24)) == 24 * 24 * 3
            read += 1
        except ImageError as error:
            assert str(error)
            refused += 1
    assert refused and read + refused == n
    assert read or kind == "git lfs pointer"


@pytest.fixture(scope="module")
def run(bench, tmp_path_factory):
    parent = tmp_path_factory.mktemp("fuzz")
    words = ("--frameworks", "fake", "--limit", "100", "--image-size", "16", "--results-dir", parent, "--name", "run")
    assert bench(*words).returncode == 0
    return parent / "run"


@pytest.mark.parametrize("n", many(400))
@pytest.mark.parametrize(
    "name", ["run.json", "labels.npz", "plans/seed0-none.npz", "spec.json", "events.jsonl", "parent.json", "logits.npz"]
)
def test_a_mutated_record_is_one_message_or_is_read(run, tmp_path, name, n):
    shutil.copytree(run, tmp_path / "run")
    (trial,) = (tmp_path / "run" / "trials").iterdir()
    file = (
        trial / name if name in ("spec.json", "events.jsonl", "parent.json", "logits.npz") else tmp_path / "run" / name
    )
    for data in mutants(file.read_bytes(), n):
        file.write_bytes(data)
        try:
            results = read_results(tmp_path / "run")
        except (InputError, OSError) as error:
            assert str(error)
            continue
        (row,) = results.rows
        if row.record.status == "ok":
            assert [e.epoch for e in row.record.epochs] == [1, 2]
        else:
            assert row.record.reason
        with contextlib.suppress(InputError):
            assert page_of(results)


@pytest.mark.parametrize("n", many(1000))
def test_a_mutated_baseline_is_one_message_or_is_read(run, tmp_path, n):
    file = tmp_path / "base.json"
    write_json(file, summarise(read_results(run)).model_dump())
    refused = 0
    for data in mutants(file.read_bytes(), n):
        file.write_bytes(data)
        try:
            assert baselines.read(file) is not None
        except (InputError, UnicodeError):
            refused += 1
    assert refused


@pytest.mark.parametrize("n", many(1000))
def test_a_mutated_checkpoint_is_begun_anew_or_is_the_same(tmp_path, n):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    files = {"epoch2.state": bytes(range(200)), "epoch2.npz": b"logits" * 50, "best1.safetensors": b"weights" * 50}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    names = dict(zip(("state", "logits", "best"), files))
    hashes = {name: checkpoint.hash_file(folder / name) for name in files}
    said = names | {"epoch": 2, "best_epoch": 1, "best_loss": 0.5, "hashes": hashes}
    write_json(folder / "checkpoint.json", said | {"digest": checkpoint._digest(said)})
    files["checkpoint.json"] = (folder / "checkpoint.json").read_bytes()
    for name, whole in files.items():
        for data in mutants(whole, n // len(files)):
            (folder / name).write_bytes(data)
            if checkpoint.last_epoch(tmp_path):
                assert data == whole or (name == "checkpoint.json" and json.loads(data) == json.loads(whole))
        (folder / name).write_bytes(whole)
    assert checkpoint.last_epoch(tmp_path) == 2
