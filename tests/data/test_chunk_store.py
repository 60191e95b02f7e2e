"""The chunk store: what is damaged or unfinished is made again, and nothing else."""

import numpy as np
import pytest

from common.core.errors import InputError
from common.data import chunk_store
from common.data.chunk_store import FILE, JOURNAL, RECORD, Chunk, ChunkStore, Layout, hash_of, intact

ARRAY = np.arange(30, dtype=np.float32).reshape(10, 3)
LAYOUT = Layout("float32", (3,), np.array([0, 2, 3, 5, 6, 7, 9]), 3)  # chunks of 3, 3 and 1 rows


def fill(folder, layout=LAYOUT, stop_at=None):
    """The chunks that were made."""
    made, progress = [], []
    folder.mkdir(exist_ok=True)

    def make(chunks):
        for index in chunks:
            if index == stop_at:
                raise KeyboardInterrupt
            rows = layout.chunk(index)
            if layout.kept:
                with open(folder / FILE, "r+b") as stream:
                    for row in rows:
                        stream.seek(int(row) * layout.row_bytes)
                        stream.write(ARRAY[row].tobytes())
            made.append(index)
            yield index, Chunk(hash_of(ARRAY[rows]), ((int(rows[0]), "why"),) if index == 1 else ())

    done = intact(folder, layout)
    chunk_store.fill(folder, layout, done, make, lambda *rows: progress.append(rows), "it", "less")
    assert progress == [] if not made else progress[-1] == (7, 7)
    return made


def test_rows_are_read_back_in_any_order_and_what_is_missing_is_recorded(tmp_path):
    assert fill(tmp_path) == [0, 1, 2]
    store = ChunkStore(tmp_path)
    assert np.array_equal(store.read(np.array([9, 0, 0, 5])), ARRAY[[9, 0, 0, 5]])
    assert store.record.missing == {5: "why"} and (store.record.rows, store.record.shape) == (7, (3,))
    assert not chunk_store.is_begun(tmp_path) and chunk_store.is_finished(tmp_path)
    with pytest.raises(ValueError, match="whole images"):
        store.read(np.array([0]), np.zeros((1, 23)))


def test_a_stopped_fill_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, stop_at=2)
    assert chunk_store.is_begun(tmp_path) and not chunk_store.is_finished(tmp_path)
    assert fill(tmp_path) == [2] and fill(tmp_path) == []


def test_a_journal_line_that_a_kill_cut_off_counts_for_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, stop_at=2)
    whole = (tmp_path / JOURNAL).read_text()
    (tmp_path / JOURNAL).write_text(whole[:-9])
    assert fill(tmp_path) == [1, 2]
    assert ChunkStore(tmp_path).record.missing == {5: "why"}


@pytest.mark.parametrize("layout", [LAYOUT, Layout("float32", (3,), LAYOUT.rows, 3, kept=False)])
def test_the_hash_covers_every_chunk_in_order(tmp_path, layout):
    """It names the pixels of a data set in every record of a run: its value must not change."""
    fill(tmp_path, layout)
    found = chunk_store.read_record(tmp_path).hash
    assert found == "2eb83cc0743491bd0b60c73337ddeee278c5058475776ceb678b434c2760a3d9"
    assert (tmp_path / FILE).exists() == layout.kept


def test_only_the_damaged_chunk_is_made_again(tmp_path):
    fill(tmp_path)
    with open(tmp_path / FILE, "r+b") as stream:
        stream.seek(5 * 12)
        stream.write(b"\xff")
    assert [*intact(tmp_path, LAYOUT)] == [0, 2]
    assert fill(tmp_path) == [1]
    assert np.array_equal(ChunkStore(tmp_path).read(LAYOUT.rows), ARRAY[LAYOUT.rows])


@pytest.mark.parametrize("damage", ["no file", "short file", "no record", "damaged record", "other shape"])
def test_what_is_not_there_is_made_again(tmp_path, damage):
    fill(tmp_path)
    layout, made = LAYOUT, [0, 1, 2]
    if damage == "no file":
        (tmp_path / FILE).unlink()
    elif damage == "short file":
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1])
        made = [2]
    elif damage == "no record":
        (tmp_path / RECORD).unlink()
    elif damage == "damaged record":
        (tmp_path / RECORD).write_text('{"rows": 7}')
    else:
        layout = Layout("float32", (3,), LAYOUT.rows, 4)
        made = [0, 1]
    assert fill(tmp_path, layout) == made
    assert np.array_equal(ChunkStore(tmp_path).read(LAYOUT.rows), ARRAY[LAYOUT.rows])


def test_a_file_that_is_too_short_is_no_values(tmp_path):
    store = ChunkStore(chunk_store.save(tmp_path / "store", ARRAY))
    assert np.array_equal(store.read(np.array([9, 1])), ARRAY[[9, 1]])
    (tmp_path / "store" / FILE).write_bytes(b"")
    with pytest.raises(OSError, match="ends before row 9"):
        store.read(np.array([9]))


def test_a_disk_that_cannot_hold_it_is_refused(small_disk):
    layout = Layout("float32", (3000,), np.arange(1000), 3)
    with pytest.raises(InputError, match=r"it needs 11\.4 MiB in .* free; take less, or"):
        fill(small_disk / "s", layout)
    assert not (small_disk / "s" / FILE).exists()
