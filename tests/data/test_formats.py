"""Every row of an odd table loads unaltered; the demo data is deterministic and a real task."""

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from common.analysis.scores import at_percentile, prior_scores
from common.core import registry
from common.core.errors import InputError
from common.data.formats import comp5329, demo
from common.data.plan import split

ODD = (
    "ImageID,Labels,Caption\n"
    '0.jpg,1,"A plain one."\n'
    '1.jpg,1 19,"A sign that reads "stop, 5.jpg,1," here."\n'
    '2.jpg,8 3 13,"A scooter\nparked, with a break."\n'
    "3.jpg,5,no quotes at all\n"
    '4.jpg,,""quoted" at the start"\n'
)


@pytest.fixture
def odd(tmp_path):
    (tmp_path / "train.csv").write_text(ODD)
    return tmp_path


def test_every_odd_row_loads_with_its_caption_unaltered(odd):
    data = comp5329.read(odd)
    assert data.ids.tolist() == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert data.captions == (
        "A plain one.",
        'A sign that reads "stop, 5.jpg,1," here.',
        "A scooter\nparked, with a break.",
        "no quotes at all",
        '"quoted" at the start',
    )
    assert [np.flatnonzero(row).tolist() for row in data.labels] == [[1], [1, 19], [3, 8, 13], [5], []]


def test_windows_line_ends(tmp_path):
    (tmp_path / "train.csv").write_bytes(ODD.replace("\n", "\r\n").encode())
    data = comp5329.read(tmp_path)
    assert len(data) == 5
    assert data.captions[0] == "A plain one."


def test_a_label_past_the_outputs_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text('ImageID,Labels,Caption\n0.jpg,1 20,"x"\n')
    with pytest.raises(InputError, match=r"0\.jpg has label 20"):
        comp5329.read(tmp_path)


STRANGE = ["7.gif,1,x", "7.jpg,1;2,x", "7.jpg,-1,x", "7.jpg,one,x", "7,3,x", "7.jpeg2,4,x"]


@pytest.mark.parametrize("line", STRANGE)
def test_a_row_that_cannot_be_read_is_no_part_of_a_caption(tmp_path, line):
    (tmp_path / "train.csv").write_text(f'ImageID,Labels,Caption\n0.jpg,1,"x"\n{line}\n')
    with pytest.raises(InputError, match=r"1 row of the table cannot be read: line 3: '7"):
        comp5329.read(tmp_path)


@pytest.mark.parametrize("line", [*STRANGE, "anything"])
def test_nothing_is_lost_before_the_first_record(tmp_path, line):
    (tmp_path / "train.csv").write_text(f'ImageID,Labels,Caption\n{line}\n0.jpg,1,"x"\n')
    with pytest.raises(InputError, match="1 row of the table cannot be read: line 2"):
        comp5329.read(tmp_path)


def test_upper_case_and_png_are_images_too(tmp_path):
    (tmp_path / "train.csv").write_text("ImageID,Labels,Caption\n0.JPG,1,x\n1.png,2,y\n")
    assert comp5329.read(tmp_path).ids.tolist() == ["0.JPG", "1.png"]


def test_the_papers_row_and_names_stand_for_its_own_data_alone(odd, real_labels):
    other, paper = comp5329.read(odd), comp5329.read(real_labels).first(10)
    assert other.published == {} and other.class_names[1] == "class_1"
    assert list(paper.published) and paper.class_names[1] == "person"


def test_an_empty_table_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("ImageID,Labels,Caption\n")
    with pytest.raises(InputError, match="has no rows"):
        comp5329.read(tmp_path)


def test_formats_are_recognised_from_the_path(odd, tmp_path):
    assert registry.format_of(odd) is comp5329
    (empty := tmp_path / "empty").mkdir()
    assert registry.format_of(demo.Path("demo")) is demo
    with pytest.raises(InputError, match=r"no data at .*nothing"):
        registry.format_of(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"(?s)no format recognises .*\n  coco: .*The folder has no table"):
        registry.format_of(empty)
    (empty / "train.json").write_text("{}")
    (empty / "train.csv").write_text("image,dog\na.jpg,1\n")
    with pytest.raises(InputError, match=r"looks like .* and like csv; say which with --format"):
        registry.format_of(empty)


def test_the_whole_real_table(real_labels):
    data = comp5329.read(real_labels)
    assert len(data) == 30_000
    counts = "0 22797 1164 4365 1272 1132 1395 1221 2210 1042 1471 604 0 605 252 1934 1099 1430 1525 1020"
    assert data.labels.sum(axis=0).tolist() == [int(c) for c in counts.split()]
    assert sum('"' in c for c in data.captions) == 82
    text = (real_labels / "train.csv").read_bytes().decode().replace("\r\n", "\n")
    assert all(f',"{c}"' in text or f",{c}\n" in text for c in data.captions)  # unaltered


@pytest.fixture(scope="module")
def scenes():
    return demo.read(demo.Path("demo"))


def test_the_demo_is_the_same_everywhere_and_has_the_oddities(scenes, tmp_path):
    demo.draw(tmp_path / "again", images=5)
    for i in range(5):
        again = (tmp_path / "again" / "data" / f"{i}.jpg").read_bytes()
        assert again == open(scenes.paths[i], "rb").read()
    counts = scenes.labels.sum(axis=0)
    assert counts[0] == counts[12] == 0
    assert 0.7 < counts[1] / len(scenes) < 0.8
    assert counts[counts > 0].min() * 40 < counts.max()  # a long tail
    assert any('"' in c for c in scenes.captions)
    assert any("\n" in c for c in scenes.captions)
    # co-occurrence: 2 and 3 are partners
    both = (scenes.labels[:, 2] & scenes.labels[:, 3]).mean()
    assert both > 1.5 * scenes.labels[:, 2].mean() * scenes.labels[:, 3].mean()


def test_mean_colours_do_not_solve_the_demo(scenes):
    """A linear model on mean colours stays within 0.02 F1 of the prior at every percentile."""
    colours = np.stack([np.asarray(Image.open(p)).mean(axis=(0, 1)) for p in scenes.paths])
    colours = (colours - colours.mean(axis=0)) / colours.std(axis=0)
    gains = []
    for seed in range(3):
        train, validation = split(scenes.labels, np.arange(len(scenes)), seed, "random")
        truth = scenes.labels[validation]
        prior = prior_scores(scenes.labels[train].sum(axis=0), len(truth))
        logits = np.full((len(truth), 20), -20.0)
        for c in np.flatnonzero(scenes.labels[train].any(axis=0)):
            model = LogisticRegression().fit(colours[train], scenes.labels[train, c])
            logits[:, c] = model.decision_function(colours[validation])
        gains.append([at_percentile(logits, truth, p).f1 - at_percentile(prior, truth, p).f1 for p in (80, 85, 90, 95)])
    assert np.mean(gains, axis=0).max() <= 0.02
