"""Image files that are replaced between two runs, or between planning and training, with size and time as they were."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from common.core.events import Failed, last
from common.core.files import read_json
from common.core.results import RunRecord
from common.data.chunk_store import ChunkStore
from common.data.feed import image_contents
from tests.helpers.project import PROJECT

RED, BLUE = (250, 0, 0), (0, 0, 250)


def draw(folder, colour, rows=range(10)):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for i in rows:
        Image.new("RGB", (32, 32), colour).save(folder / "images" / f"{i}.bmp")
        os.utime(folder / "images" / f"{i}.bmp", (1_500_000_000, 1_500_000_000))
    lines = "".join(f"{i}.bmp,{'cat;dog' if i % 2 else 'dog'}\n" for i in range(10))
    (folder / "train.csv").write_text("image,labels\n" + lines)


@pytest.fixture
def run(bench, tmp_path):
    def call(name, *arguments):
        done = bench("--frameworks", "fake", "--data", tmp_path / "data", "--image-size", "16", "--name", name,
                     "--results-dir", tmp_path / "results", *arguments)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path / "results" / name

    return call


def trial_of(folder):
    (trial,) = (folder / "trials").iterdir()
    return trial, read_json(trial / "spec.json")["feed"]


def test_the_next_run_trains_on_the_new_images(run, tmp_path):
    found = []
    for colour in (RED, BLUE):
        draw(tmp_path / "data", colour)
        folder = run("blue" if colour == BLUE else "red")
        stored = ChunkStore(folder / trial_of(folder)[1]["pixels"]).read(np.arange(10))
        assert (stored == colour).all()
        found.append(RunRecord.model_validate(read_json(folder / "run.json")).pixels_hash)
    assert found[0] != found[1]


def test_a_trial_that_decodes_ends_where_an_image_was_replaced_after_planning(run, tmp_path):
    draw(tmp_path / "data", RED)
    folder = run("run", "--pixels", "decode")
    trial, feed = trial_of(folder)
    assert image_contents(folder / feed["files"]).shape == (10, 16)
    draw(tmp_path / "data", BLUE, rows=[4])
    (tmp_path / "data" / "images" / "7.bmp").unlink()
    command = [sys.executable, "-m", "common.trial.worker", str(trial)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1
    reason, images = last(trial / "events.jsonl", Failed).reason, tmp_path / "data" / "images"
    what = f"2 of the 10 image files changed or vanished since the run was planned: {images / '4.bmp'}, {images / '7.bmp'};"
    assert reason.startswith(what) and "start the run anew" in reason
    draw(tmp_path / "data", RED)
    assert subprocess.run(command, cwd=PROJECT, capture_output=True).returncode == 0
