"""The store: Pillow's pixels exactly, resumed after a kill, checked against its hash, refused without space."""

import json
import os
import signal
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from PIL import Image

from common.core.errors import InputError
from common.data import chunk_store, pixel_store
from common.data.chunk_store import FILE, ChunkStore
from common.data.feed import Feed
from common.process.memory import in_use
from tests.helpers.project import PROJECT


@pytest.fixture
def data(not_quick, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(40):
        image = Image.fromarray(rng.integers(0, 255, (30, 50, 3), np.uint8))
        image.convert("L" if i == 3 else "RGB").save(tmp_path / f"{i}.jpg")
    names = np.array([f"{i}.jpg" for i in range(40)])
    paths = np.array([str(tmp_path / n) for n in names])
    return SimpleNamespace(name=f"t-{tmp_path.name}", paths=paths, labels=np.eye(40, 5, dtype=np.uint8))


def store(data, side, *arguments, **options):
    folder, *_ = pixel_store.store(data.name, data.paths, side, *arguments, **options)
    return ChunkStore(folder)


def everything(filled):
    return filled.read(np.arange(filled.record.rows))


def verify(filled):
    """Whether every chunk is as it was written."""
    record = filled.record
    layout = chunk_store.Layout(record.dtype, record.shape, np.arange(record.rows), pixel_store.CHUNK)
    return tuple(chunk_store.intact(filled.folder, layout).values()) == record.chunks


def test_pixels_are_pillows(data):
    filled = store(data, 24)
    for i in (0, 3, 39):
        expected = Image.open(data.paths[i]).convert("RGB").resize((24, 24), Image.BILINEAR)
        assert (everything(filled)[i] == np.asarray(expected)).all()


def test_a_first_call_announces_the_size_and_a_second_decodes_nothing(data):
    said = []
    store(data, 24, said.append)
    assert said[0].startswith("decoding 40 images to 24 x 24: 67.5 KiB in ")
    said = []
    store(data, 24, said.append)
    assert said == []


def test_a_changed_byte_is_seen_and_mended(data):
    filled = store(data, 24)
    clean = everything(filled)
    with open(filled.folder / FILE, "r+b") as stream:
        stream.seek(12_345)
        byte = stream.read(1)
        stream.seek(12_345)
        stream.write(bytes([byte[0] ^ 1]))
    assert not verify(filled)
    said = []
    again = store(data, 24, said.append)
    assert "is not what its images give now" in said[0]
    assert (everything(again) == clean).all()


def test_it_goes_on_where_a_kill_stopped_it(data):
    filled = store(data, 24)
    clean, journal = everything(filled), filled.folder / chunk_store.JOURNAL
    lines = [json.dumps([index, *chunk]) for index, chunk in enumerate(filled.record.chunks)]
    (filled.folder / chunk_store.RECORD).unlink()
    journal.write_text(lines[0] + "\n" + lines[1][: len(lines[1]) // 2])  # one chunk, and half a line
    done = []
    again = store(data, 24, progress=lambda n, total: done.append(n))
    assert done == [32, 40]  # the first 16 were not decoded again
    assert pixel_store.store(data.name, data.paths, 24)[2] == 0
    assert (everything(again) == clean).all()
    assert verify(again)


KILLED = """
import sys
from pathlib import Path
from common.data.formats import demo
from common.data import pixel_store
if __name__ == "__main__":
    pixel_store.store("demo", demo.read(Path("demo")).paths, 200, progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.usefixtures("not_quick")
def test_a_real_kill_mid_fill_leaves_a_store_that_resumes(tmp_path):
    script = tmp_path / "fill.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n" + KILLED)
    child = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    while int(child.stdout.readline()) < 100:
        pass
    workers = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert len(workers) > 1 and psutil.wait_procs(workers, timeout=10)[1] == [], "decoding processes are left over"
    rest = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout.split()
    assert int(rest[0]) >= 100
    assert int(rest[-1]) == 1000
    assert subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout == ""


def test_too_small_a_disk_is_refused_before_anything_is_written(data, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(1, 1, 1000))
    with pytest.raises(InputError, match=r"needs 67\.5 KiB in .* where 1000 B are free"):
        store(data, 24)


def test_every_bad_image_is_noted_with_its_reason_and_has_no_pixels(data, tmp_path):
    (tmp_path / "7.jpg").unlink()
    (tmp_path / "39.jpg").write_bytes((tmp_path / "39.jpg").read_bytes()[:300])
    folder, record, _ = pixel_store.store(data.name, data.paths, 24)
    assert [*record.missing] == [7, 39]
    assert record.missing[7] == "no such file" and "truncated" in record.missing[39].lower()
    block = everything(ChunkStore(folder))
    assert not block[[7, 39]].any() and block[8].any()


def test_a_mended_image_makes_another_store(data, tmp_path):
    kept = (tmp_path / "7.jpg").read_bytes()
    (tmp_path / "7.jpg").unlink()
    first, *_ = pixel_store.store(data.name, data.paths, 24)
    (tmp_path / "7.jpg").write_bytes(kept)
    second, record, _ = pixel_store.store(data.name, data.paths, 24)
    assert first != second and record.missing == {}


def solid(path, colour):
    """A BMP of one colour: all of them have one size, and get one time."""
    Image.new("RGB", (32, 32), colour).save(path, "BMP")
    os.utime(path, (1_500_000_000, 1_500_000_000))


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_replaced_with_the_same_size_and_time_is_decoded_anew(data, tmp_path, keep):
    """As unzip, rsync -t and cp -p leave it."""
    found = []
    for colour in ((250, 0, 0), (0, 0, 250)):
        solid(tmp_path / "7.jpg", colour)
        folder, record, decoded = pixel_store.store(data.name, data.paths, 24, keep=keep)
        found.append((folder, record.hash))
        assert decoded == 40
        assert not keep or (everything(ChunkStore(folder))[7] == colour).all()
    assert len({folder for folder, _ in found}) == len({pixels_hash for _, pixels_hash in found}) == 2


def test_images_that_are_moved_touched_or_linked_have_the_same_store(data, tmp_path):
    first, *_ = pixel_store.store(data.name, data.paths, 24)
    (tmp_path / "else").mkdir()
    for i, path in enumerate(data.paths):
        there = tmp_path / "else" / f"{i}.jpg"
        os.rename(path, there)
        os.utime(there, (i, i))
        (os.symlink if i % 2 else os.link)(there, path)
    second, _, decoded = pixel_store.store(data.name, data.paths, 24)
    assert (first, decoded) == (second, 0)
    moved = np.array([str(tmp_path / "else" / f"{i}.jpg") for i in range(40)])
    assert pixel_store.store(data.name, moved, 24)[::2] == (first, 0)
    assert pixel_store.store(data.name, moved[::-1], 24)[0] != first


def test_other_rules_for_pixels_make_another_store(data, monkeypatch):
    first, *_ = pixel_store.store(data.name, data.paths, 24)
    monkeypatch.setattr(pixel_store, "RULES", pixel_store.RULES + 1)
    assert pixel_store.store(data.name, data.paths, 24)[0] != first


def test_an_image_that_changes_while_all_are_decoded_ends_the_run(data, monkeypatch):
    """Its pixels must not lie in a store that is found by what the file held before."""
    earlier = pixel_store.hash_contents(data.paths)
    earlier[20] ^= 1
    with monkeypatch.context() as patched:
        patched.setattr(pixel_store, "hash_contents", lambda *arguments: earlier)
        for _ in range(2):  # nor is it journalled as done
            with pytest.raises(InputError, match=r"'.*/20\.jpg': its content .* run again when no program writes"):
                store(data, 24)
    assert everything(store(data, 24)).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("keep", [True, False])
def test_a_file_that_cannot_be_read_is_not_remembered_as_broken(data, tmp_path, keep):
    """A missing right to read, or a disk that fails for a while."""
    kept = (tmp_path / "7.jpg").read_bytes()
    (tmp_path / "7.jpg").unlink()
    (tmp_path / "7.jpg").symlink_to("/proc/self/mem")  # reading it is an input/output error
    record = pixel_store.store(data.name, data.paths, 24, keep=keep)[1]
    assert record.missing == {7: "it cannot be read: Input/output error"}
    (tmp_path / "7.jpg").unlink()
    (tmp_path / "7.jpg").write_bytes(kept)
    assert pixel_store.store(data.name, data.paths, 24, keep=keep)[1].missing == {}


def test_an_image_that_could_not_be_decoded_is_tried_again(data):
    """It could be read, and still something was missing: memory, a part of Pillow."""
    filled = store(data, 24)
    clean = everything(filled)
    first, *others = filled.record.chunks
    missing = filled.record.model_copy(update={"chunks": (first._replace(missing=((7, "no memory"),)), *others)})
    (filled.folder / chunk_store.RECORD).write_text(missing.model_dump_json())
    said = []
    again = store(data, 24, said.append)
    assert "is not what its images give now" in said[0] and again.record.missing == {}
    assert (everything(again) == clean).all()


def test_reading_and_checking_that_take_long_are_announced(data, monkeypatch):
    monkeypatch.setattr(pixel_store, "WORTH_TELLING_S", 0.0)
    said, done = [], []
    store(data, 24, said.append, lambda *where: done.append(where))
    assert said[0] == "reading 40 images to see whether their pixels are stored" and done[0] == (40, 40)
    store(data, 24, said.append, lambda *where: done.append(where))
    assert said[-1] == "checking the pixel store of 40 images" and done[-3:] == [(16, 40), (32, 40), (40, 40)]


def test_decoding_without_keeping_knows_what_is_bad_and_leaves_no_pixels(data, tmp_path):
    (tmp_path / "7.jpg").write_text("no")
    said = []
    folder, record, _ = pixel_store.store(data.name, data.paths, 24, said.append, keep=False)
    assert [*record.missing] == [7]
    assert not (folder / FILE).exists() and "once, to see" in said[0]
    pixel_store.store(data.name, data.paths, 24, said.append, keep=False)
    assert len(said) == 1  # known from then on


def test_the_feed_gives_the_plans_rows_in_order(data):
    filled = store(data, 24)
    rows = np.array([5, 39, 0, 0, 7], np.int32)
    feed = Feed(ChunkStore(filled.folder), rows, data.labels[rows], batch_size=2, workers=0)
    assert (feed.images, feed.batches) == (5, 3)
    images, labels, ids = feed.batch(2)  # the short last one
    assert images.shape == (1, 24, 24, 3) and images.dtype == np.uint8
    assert (images[0] == everything(filled)[7]).all()
    assert labels.dtype == np.float32 and (labels[0] == data.labels[7]).all()
    assert ids.dtype == np.int64 and ids.tolist() == [7]
    assert (feed.item(1)[0] == everything(filled)[39]).all()
    assert len(Feed(ChunkStore(filled.folder), rows, None, 2, 0).batch(0)) == 1  # no label of the validation split


def test_a_training_feed_holds_no_label_of_another_row(data):
    filled = store(data, 24)
    rows = np.array([1, 2], np.int32)
    feed = Feed(ChunkStore(filled.folder), rows, data.labels[rows], 2, 0)
    assert len(feed.labels) == 2
    with pytest.raises(ValueError, match="40 labels for 2 rows"):
        Feed(ChunkStore(filled.folder), rows, data.labels, 2, 0)


@pytest.mark.usefixtures("not_quick")
def test_reading_the_store_takes_no_memory_of_its_own(tmp_path):
    """Mapped pages would count as the reader's: 300 MB here, 4.5 GB for 30,000 images at 224 pixels."""
    folder = tmp_path / "large"
    chunk_store.save(folder, np.ones((1000, 316, 316, 3), np.uint8))
    feed = Feed(ChunkStore(folder), np.arange(1000, dtype=np.int32), None, 10, 0)
    before = in_use(os.getpid())
    for i in range(feed.batches):
        assert feed.batch(i)[0].all()
    assert in_use(os.getpid()) - before < 30e6


def test_a_full_disk_while_writing_is_not_the_images_fault(data, small_disk, monkeypatch):
    """A disk that fills up after its space was looked at: what is missing is filled once there is room."""
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(small_disk / "cache"))
    monkeypatch.setattr(chunk_store, "need_space", lambda *arguments: None)
    (small_disk / "ballast").write_bytes(bytes(3 * 2**20))
    with pytest.raises(InputError, match=r"the pixel store in .* cannot be written: .*No space left"):
        store(data, 112)  # 40 images of 37 kB
    (small_disk / "ballast").unlink()
    filled = store(data, 112)
    assert verify(filled) and everything(filled).any(axis=(1, 2, 3)).all()


def test_a_small_disk_is_refused_and_nothing_is_left(data, small_disk, monkeypatch):
    monkeypatch.setenv("FRAMEWORK_BENCH_CACHE", str(small_disk / "cache"))
    with pytest.raises(InputError, match=r"needs 5\.7 MiB in .* where .* are free"):
        store(data, 224)
    assert not list(small_disk.rglob(FILE))


def test_two_fills_at_once_give_one_whole_store(data):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: store(data, 24), range(2))
    assert first.folder == second.folder
    assert verify(first)


def test_a_feed_is_pickled_without_its_pixels(data):
    import pickle

    filled = store(data, 24)
    feed = Feed(ChunkStore(filled.folder), np.arange(40, dtype=np.int32), None, 2, 0)
    feed.batch(0)
    assert len(pickle.dumps(feed)) < 2000
    assert (pickle.loads(pickle.dumps(feed)).batch(3)[0] == everything(filled)[6:8]).all()
    assert json.loads((filled.folder / chunk_store.RECORD).read_text())["rows"] == 40
