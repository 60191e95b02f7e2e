"""What goes wrong with a user's data: one message with all offenders and the way out, exit code 2, nothing left."""

import numpy as np
import pytest
from PIL import Image

from common.analysis.records import read_results


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "data").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["file,labels"]
    for i in range(40):
        Image.fromarray(rng.integers(0, 255, (20, 24, 3), np.uint8)).save(folder / "data" / f"{i}.jpg")
        lines.append(f"{i}.jpg,{i % 3} {3 + i % 2}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def run(bench, photos, tmp_path):
    def call(*arguments):
        return bench("--frameworks", "fake", "--data", photos, "--image-size", "16", "--results-dir", tmp_path / "results",
                     "--name", "run", *arguments)  # fmt: skip

    return call


def spoil(photos):
    (photos / "data" / "3.jpg").unlink()
    (photos / "data" / "11.jpg").write_bytes((photos / "data" / "11.jpg").read_bytes()[:200])
    (photos / "data" / "12.jpg").write_text("no image")


@pytest.mark.parametrize("pixels", ["store", "decode"])
def test_all_bad_images_are_in_one_message(run, photos, tmp_path, pixels):
    spoil(photos)
    done = run("--pixels", pixels)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    for words in (
        "3 of the 40 images",
        "3.jpg (no such file)",
        "11.jpg (",
        "12.jpg (cannot identify",
        "--on-bad-image skip",
    ):
        assert words in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("pixels", ["store", "decode"])
def test_skipped_images_are_in_no_split_and_the_page_says_so(run, photos, tmp_path, pixels):
    spoil(photos)
    done = run("--pixels", pixels, "--on-bad-image", "skip")
    assert done.returncode == 0, done.stdout + done.stderr
    results = read_results(tmp_path / "results" / "run")
    assert results.run.splits["0"].train + results.run.splits["0"].validation == 37
    with np.load(tmp_path / "results" / "run" / "plans" / "seed0-none.npz") as plan:
        assert not np.isin([3, 11, 12], np.concatenate([plan["train_rows"], plan["validation_rows"]])).any()
    assert "3 of the 40 images" in (tmp_path / "results" / "run" / "results.md").read_text()


def test_data_is_looked_at_without_bad_images_where_the_user_skips_them(photos, tmp_path, bench):
    spoil(photos)
    words = ("data", "--data", photos, "--results-dir", tmp_path / "results")
    refused = bench(*words)
    assert refused.returncode == 2 and "--on-bad-image skip" in refused.stderr
    done = bench(*words, "--on-bad-image", "skip")
    assert done.returncode == 0, done.stderr
    assert "skip, 3 of the 40 images" in done.stdout and "can be decoded" not in done.stdout


def test_a_run_may_start_from_one_that_skipped_images(run, photos, tmp_path, bench):
    """The split is that of the images that are left, in both runs."""
    spoil(photos)
    assert run("--on-bad-image", "skip").returncode == 0
    done = run("--on-bad-image", "skip", "--init-from", tmp_path / "results" / "run", "--name", "next")
    assert done.returncode == 0, done.stderr


def test_a_label_that_every_image_has_can_be_weighted(run, photos, tmp_path):
    lines = (photos / "train.csv").read_text().splitlines()
    (photos / "train.csv").write_text("\n".join([lines[0], *(f"{line} 5" for line in lines[1:])]) + "\n")
    done = run("--balance", "weighted")
    assert done.returncode == 0, done.stdout + done.stderr


def test_weights_reach_the_training(run, tmp_path):
    """The same run with and without weights on positives: its losses are others, in training and in validation."""
    losses = {}
    for balance in ("none", "weighted"):
        assert run("--balance", balance, "--name", balance).returncode == 0
        epoch = read_results(tmp_path / "results" / balance).rows[0].record.epochs[0]
        losses[balance] = epoch.train_loss, epoch.validation_loss
    assert all(b > 1.2 * a for a, b in zip(losses["none"], losses["weighted"])), losses


def test_dollars_in_names_are_dollars(run, photos, tmp_path):
    text = (photos / "train.csv").read_text().replace("labels", "tags")
    for i in range(40):
        (photos / "data" / f"{i}.jpg").rename(photos / "data" / f"p_$1{i}_$2.jpg")
        text = text.replace(f"\n{i}.jpg,", f"\np_$1{i}_$2.jpg,$a$b_^ ")
    (photos / "train.csv").write_text(text)
    done = run()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "run" / "figures" / "samples.png").exists()


def test_too_few_usable_images_are_refused(run, photos):
    for i in range(38):
        (photos / "data" / f"{i}.jpg").unlink()
    done = run("--on-bad-image", "skip")
    assert done.returncode == 2 and "2 images cannot be split" in done.stderr


def test_an_absurdly_large_image_is_refused(run, photos):
    """144 million pixels in 18 kB."""
    Image.new("1", (12_000, 12_000)).save(photos / "data" / "3.jpg", "PNG")
    done = run()
    assert done.returncode == 2 and "3.jpg (12000 x 12000 pixels, more than 100,000,000)" in done.stderr


def test_no_half_written_run_keeps_its_name(run, photos, tmp_path, small_disk):
    """No room for the run folder: nothing is left, and the same line works once there is."""
    (small_disk / "ballast").write_bytes(bytes(4 * 2**20 - 8192))
    done = run("--results-dir", small_disk)
    assert done.returncode == 2 and "No space left" in done.stderr and "Traceback" not in done.stderr
    assert not (small_disk / "run").exists()
    (small_disk / "ballast").unlink()
    assert run("--results-dir", small_disk).returncode == 0


def test_a_place_that_cannot_be_written_is_named_with_its_flag(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("--results-dir", tmp_path / "file" / "below")
    assert done.returncode == 2 and f"--results-dir {tmp_path / 'file' / 'below'}: Not a directory" in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [("../out.jpg,1", "lie outside"), ("5.jpg,1", "stand in several rows"), ("90.jpg,-2", "out of range"), ("90.jpg,-1", "--unknown absent"), ("91.jpg,1,2,3", "cannot be read")],
)  # fmt: skip
def test_a_bad_table_is_one_message(run, photos, tmp_path, line, message):
    with open(photos / "train.csv", "a") as stream:
        stream.write(line + "\n")
    done = run()
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_predictions_have_the_competitions_form(run, photos, tmp_path):
    """The test table's images, in its order, with the labels above the asked percentile."""
    (photos / "test.csv").write_text("file\n7.jpg\n2.jpg\n")
    done = run("--predict-at", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    trial = tmp_path / "results" / "run" / "trials" / "01-fake-logistic-head-seed0"
    lines = (trial / "predictions.csv").read_text().splitlines()
    assert lines[0] == "ImageID,Labels" and len(lines) == 3
    with np.load(trial / "logits.npz") as arrays:
        logits = arrays["test"]
    for line, image, row in zip(lines[1:], ("7.jpg", "2.jpg"), logits):
        chosen = np.flatnonzero(row > np.percentile(row, 60))
        assert line == f"{image},{' '.join(map(str, chosen))}"


@pytest.mark.parametrize("balance", ["oversample", "undersample", "weighted"])
@pytest.mark.parametrize("augment", ["none", "everywhere"])
def test_every_balance_and_augmentation_trains(run, photos, tmp_path, balance, augment):
    done = run("--balance", balance, "--augment", augment, "--split", "iterative")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "results" / "run" / "results.md").read_text()
    assert "figures/distribution.png" in text and "Images as 0/1 rows" in text


def test_data_shows_a_data_set_without_training(bench, photos, tmp_path):
    done = bench("data", "--data", photos, "--results-dir", tmp_path / "pages")
    assert done.returncode == 0, done.stderr
    for words in ("40", "label sets", "prior (seed 0)", "oracle (seed 0)", "32 train, 8 validation"):
        assert words in done.stdout
    page = tmp_path / "pages" / "data-photos"
    assert sorted(p.name for p in (page / "figures").iterdir()) == ["distribution.png", "samples.png"]
    assert "figures/samples.png" in (page / "data.md").read_text()


def test_data_on_the_real_labels_gives_the_known_answers(bench, real_labels, tmp_path):
    done = bench("data", "--data", real_labels, "--results-dir", tmp_path)
    assert done.returncode == 2 and "40,000 images of 'comp5329-labels' were not found" in done.stderr, done.stderr
    page = (tmp_path / "data-comp5329-labels" / "data.md").read_text()
    assert "24,000 train, 6,000 validation, 10,000 test" in page
    assert "0 22797 1164 4365 1272 1132 1395 1221 2210 1042 1471 604 0 605 252 1934 1099 1430 1525 1020" in page
    assert "714 distinct label sets; 1.55 labels an image, at most 7" in page
    for which, known in (("prior", [0.362, 0.416, 0.504, 0.638]), ("oracle", [0.524, 0.624, 0.750, 0.855])):
        line = next(x for x in page.splitlines() if x.startswith(f"| {which} (seed 0) |"))
        assert [float(cell) for cell in line.split("|")[2:6]] == pytest.approx(known, abs=0.004)  # another split
    assert "No samples: the images are not there." in page


def test_the_authors_recipe_is_what_their_code_did(run, photos, tmp_path):
    done = run("--recipe", "authors")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "results" / "run"
    spec = read_results(folder).rows[0].record.spec
    assert spec.recipe.model_dump() == {
        "name": "authors", "train": "last-block", "learning_rate": 0.01, "batch_size": 128, "epochs": 2,
        "schedule": "plateau", "frozen_norm": "drift", "formulas": "library", "keep_frozen": False,
    }  # fmt: skip
    assert (spec.feed.shuffle, spec.feed.augment, spec.feed.workers) == (False, "everywhere", 0)
    with np.load(folder / spec.feed.plan) as plan:
        assert (plan["orders"] == plan["train_rows"]).all() and plan["validation_crops"].shape[:2] == (3, 8)
    assert "Recipe authors: as the paper's code, but for" in (folder / "results.md").read_text()
