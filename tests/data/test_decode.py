"""The one decoder: Pillow's pixels, the plan's crops, and files that cannot be used."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image

from common.data import decode as module
from common.data.decode import DRAWS, TRIES, ImageChanged, ImageError, content_of, crop_box, decode
from common.data.feed import Decoded, Feed


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def array(data, side):
    return np.frombuffer(data, np.uint8).reshape(side, side, 3)


def numbers(*pairs, top=0.5, left=0.5, flip=0.9):
    """The numbers of a visit: pairs (area, aspect ratio), the last of them repeated, the place, the flip."""
    pairs = [*pairs, *[pairs[-1]] * (TRIES - len(pairs))]
    return [*np.ravel(pairs), top, left, flip]


def test_the_whole_image_is_a_crop_of_all():
    assert crop_box(40, 40, numbers((0.999999, 0.5))) == (0, 0, 40, 40)


def test_a_box_that_does_not_fit_is_drawn_again_by_hand():
    """Of 100 x 50: all of the area as a square of 71 does not fit; a quarter of it, nearly, as a square of 35 does."""
    share = (0.245 - 0.08) / 0.92
    box = crop_box(100, 50, numbers((0.999, 0.5), (share, 0.5), top=0.0, left=0.999))
    assert box == (65, 0, 100, 35)


def test_the_middle_is_taken_where_none_fits():
    assert crop_box(100, 10, numbers((0.999, 0.5))) == (43, 0, 56, 10)  # as wide as 4/3 of the height
    assert crop_box(10, 100, numbers((0.999, 0.5))) == (0, 43, 10, 56)


def test_boxes_lie_inside_and_keep_area_and_aspect():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        width, height = (int(n) for n in rng.integers(20, 500, 2))
        left, top, right, bottom = crop_box(width, height, rng.random(DRAWS))
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
    for draws in rng.random((200, DRAWS)):
        left, top, right, bottom = crop_box(1000, 1000, draws)
        assert 0.73 < (right - left) / (bottom - top) < 1.36
        assert 0.079 < (right - left) * (bottom - top) / 1e6 <= 1


@pytest.mark.usefixtures("not_quick")
def test_crops_are_distributed_as_torchvisions(tmp_path):
    """Area and centre of 4,000 crops of a 320 x 240 image against torchvision's own sampler, in its own process."""
    import json
    import subprocess
    import sys

    code = (
        "import torch, json; from torchvision.transforms import RandomResizedCrop as R; torch.manual_seed(0)\n"
        "x = torch.zeros(3, 240, 320)\n"
        "print(json.dumps([R.get_params(x, (0.08, 1.0), (3/4, 4/3)) for _ in range(4000)]))"
    )
    theirs = np.array(
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    )
    rng = np.random.default_rng(0)
    boxes = np.array([crop_box(320, 240, rng.random(DRAWS)) for _ in range(4000)])
    ours = np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]], axis=1)
    for side in range(4):  # top, left, height, width
        assert ours[:, side].mean() == pytest.approx(theirs[:, side].mean(), rel=0.05)
        assert ours[:, side].std() == pytest.approx(theirs[:, side].std(), rel=0.05)


def test_a_flip_is_the_mirror(photo):
    flipped, plain = (array(decode(str(photo), 16, numbers((0.5, 0.5), flip=flip)), 16) for flip in (0.1, 0.9))
    assert (flipped == plain[:, ::-1]).all() and (flipped != plain).any()


def test_a_crop_is_pillows(photo):
    draws = numbers((0.3, 0.4))
    with Image.open(photo) as image:
        expected = np.asarray(image.crop(crop_box(60, 40, draws)).resize((16, 16), Image.BILINEAR))
    assert (array(decode(str(photo), 16, draws), 16) == expected).all()


def test_a_decoding_feed_crops_each_visit_by_its_own_numbers(photo):
    crops = np.random.default_rng(0).random((5, DRAWS), np.float32)
    feed = Feed(Decoded(np.array([str(photo)]), 16), np.zeros(5, np.int32), np.eye(5, 3), 2, 0, crops)
    batches = [feed.batch(i) for i in range(feed.batches)]
    assert [len(images) for images, _, _ in batches] == [2, 2, 1]
    for position in range(5):
        item = feed.item(position)[0]
        assert (item == array(decode(str(photo), 16, crops[position]), 16)).all()
        assert (item == batches[position // 2][0][position % 2]).all()


def test_a_feed_that_decodes_notices_an_image_that_was_replaced(photo):
    """With the size and the time that it had: what the file holds is looked at whenever it is decoded."""
    contents = np.frombuffer(content_of(str(photo)), np.uint8)[None]
    decoded = pickle.loads(pickle.dumps(Decoded(np.array([str(photo)]), 16, contents)))
    before, status = decoded.read(np.array([0]), None), os.stat(photo)
    data = bytearray(photo.read_bytes())
    data[-1] ^= 1  # of a checksum that no decoder reads
    photo.write_bytes(data)
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ImageChanged, match=r"a\.png: its content is not .*; start the run anew"):
        decoded.read(np.array([0]), None)
    assert (Decoded(np.array([str(photo)]), 16).read(np.array([0]), None) == before).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jpg", None, "no such file"),
        ("text.jpg", b"not an image", "cannot identify image file"),
        ("empty.jpg", b"", "cannot identify image file"),
        ("cut.jpg", "cut", "truncated|broken data stream"),
    ],
)
def test_files_that_cannot_be_used_say_why(tmp_path, name, content, message):
    path = tmp_path / name
    if content == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path, quality=95)
        path.write_bytes(path.read_bytes()[:2000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        decode(str(path), 16)
    assert str(tmp_path) not in str(caught.value)


def test_an_absurdly_large_image_is_refused_before_it_is_decoded(photo, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_PIXELS", 1000)
    with pytest.raises(ImageError, match="60 x 40 pixels, more than 1,000"):
        decode(str(photo), 16)
