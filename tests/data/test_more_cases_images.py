"""Which folder and which column images are taken from where several fit, and what a message says of an image that is not there."""

import os
import unicodedata

import pytest

from common.core.errors import InputError
from tests.helpers.cases import (
    CAT_DOG,
    GREEN,
    LISTS,
    MATRIX,
    Case,
    Read,
    Refused,
    bits,
    both,
    coco,
    file,
    images_at,
    labels,
    pictures,
    table,
)
from tests.helpers.reading import check_case, read

TESTS = file("test.csv", "image\n" + "".join(f"{i}.jpg\n" for i in range(4)))


def onehot(name=lambda i: f"{i}.jpg", images="images/{}.jpg", header="image", n=10):
    return table(f"{header},cat,dog", lambda i: f"{name(i)},{bits(i)}", images=images, n=n)


def named(folder, first="", **more):
    return Read(CAT_DOG, (5, 5), first, flags=(("images", folder),), **more)


def links(folder):
    (folder / "images").mkdir()
    for i in range(10):
        os.symlink("/nowhere/x.jpg", folder / f"images/{i}.jpg")


FOLDERS = [
    Case("flag_is_not_the_tests", both(onehot(images="photos/{}.jpg"), images_at("masks/{}.jpg"), images_at("test/{}.jpg", 4), TESTS),
         named("photos", "photos/0.jpg", tests=4, says=("--images photos is not used for test.csv: its images are in test",))),
    Case("flag_of_another_part", both(onehot(images="train/{}.jpg"), images_at("test/{}.jpg", 4), TESTS),
         named("train", "train/0.jpg", tests=4, says=("--images train is not used for test.csv",))),
    Case("flag_of_the_tests", both(onehot(images="train/{}.jpg"), images_at("hold_a/t{}.jpg", 4), images_at("hold_b/t{}.jpg", 4),
                                   file("test.csv", "image\nt0.jpg\nt1.jpg\n")),
         named("hold_a", "train/0.jpg", tests=2, says=("--images hold_a is not used for train.csv",))),
    Case("flag_of_a_year", both(coco("annotations/instances_train2017.json", "train2017"), images_at("val2014/{:06}.jpg", 4),
                                coco("annotations/instances_val2017.json", "val2017", n=4)),
         Read(CAT_DOG, None, "train2017/000000.jpg", images=14, flags=(("images", "val2014"), ("split", "given")))),
    Case("flag_of_no_table", both(onehot(), images_at("other/x{}.jpg")),
         Refused(("--images other: no image of 'set'", "found in images"), flags=(("images", "other"),))),
    Case("flag_of_a_file", onehot(), Refused(("--images train.csv: this is a file, and a folder is wanted",), flags=(("images", "train.csv"),))),
    Case("flag_and_prefix", onehot(lambda i: f"train/{i}.jpg", "train/{}.jpg"), named("train", "train/0.jpg")),
    Case("masks_more", both(onehot(n=10), images_at("masks/{}.jpg"), lambda d: (d / "images/9.jpg").unlink()),
         Refused(("9 in images and in masks", "--images images or --images masks"))),
    Case("parts_against_all", both(onehot(), *(images_at(f"parts/{k}/{{}}.jpg", 10) for k in range(3)),
                                   lambda d: [(d / f"parts/{k}/{i}.jpg").unlink() for k in range(3) for i in range(10) if i % 3 != k]),
         Refused(("in images and in parts/0", "--images images"))),
    Case("innermost_role", both(onehot(images="cifar_train_test/train/{}.jpg"), images_at("cifar_train_test/test/{}.jpg", 10, GREEN)),
         Read(CAT_DOG, (5, 5), "cifar_train_test/train/0.jpg")),
    Case("only_inner_test", onehot(images="train_data/test/{}.jpg"), Refused(("another part", "10 in train_data/test", "--images train_data/test"))),
    Case("only_valid", onehot(images="valid/{}.jpg"), Refused(("another part of the data", "--images valid"))),
    Case("only_valid_named", onehot(images="valid/{}.jpg"), named("valid", "valid/0.jpg")),
    Case("case_twins", both(onehot(lambda i: f"IMG{i}.jpg", "images/img{}.jpg"), images_at("images/Img{}.jpg")),
         Refused(("several files that come near: images/Img0.jpg, images/img0.jpg",))),
    Case("role_before_case", both(onehot(images="train/{}.JPG"), images_at("depth/{}.jpg")),
         Read(CAT_DOG, (5, 5), "train/0.JPG", ("0.jpg -> train/0.JPG", "The folder depth also has files of 10 of these names"))),
    Case("masks_in_the_tables_case", both(onehot(images="photos/{}.JPG"), images_at("masks/{}.jpg")),
         Refused(("10 in masks and in photos", "--images masks or --images photos"))),
    Case("masks_in_the_tables_form", both(onehot(lambda i: f"é{i}.jpg", unicodedata.normalize("NFD", "photos/é{}.jpg")), images_at("masks/é{}.jpg")),
         Refused(("10 in masks and in photos", "--images photos"))),
    Case("photos_named", both(onehot(images="photos/{}.JPG"), images_at("masks/{}.jpg")), named("photos", "photos/0.JPG")),
    Case("exact_within_a_folder", both(onehot(images="images/{}.JPG"), images_at("images/{}.jpg")), MATRIX),
    Case("role_before_ending", both(onehot(str, "train/{}.jpg", header="id"), images_at("test/{}.png")),
         Read(CAT_DOG, (5, 5), "train/0.jpg", ("have no ending", "The folder test also has files of 10"))),
    Case("masks_of_another_ending", both(onehot(lambda i: f"id{i}", "photos/{}.jpg"), images_at("photos/id{}.jpg"), images_at("masks/id{}.png")),
         Refused(("10 in masks and in photos", "--images masks or --images photos"))),
    Case("some_beside_the_table", both(onehot(images="train/{}.jpg"), images_at("{}.jpg", 4, GREEN)),
         Read(CAT_DOG, (5, 5), "train/0.jpg", ("images in: train", "The folder . also has files of 4 of these names"))),
    Case("most_beside_the_table", both(onehot(), images_at("{}.jpg", 6, GREEN)),
         Refused(("6 in . and in images", "/set' or --images images"))),
    Case("the_rest_elsewhere", both(images_at("{}.jpg", 4), onehot(), lambda d: [(d / f"images/{i}.jpg").unlink() for i in range(4)]),
         Read(CAT_DOG, (5, 5), "0.jpg", ("images in: ., images",))),
    Case("tests_in_two_folders", both(onehot(images="test/{}.jpg"), images_at("val/{}.jpg"), lambda d: [(d / f"{'test' if i % 2 else 'val'}/{i}.jpg").unlink() for i in range(10)]),
         Refused(("5 in test, 5 in val", "one folder must hold all images", "such as test/NAME"))),
    Case("tests_with_their_paths", both(onehot(lambda i: f"{'val' if i % 2 else 'test'}/{i}.jpg", "test/{}.jpg"), images_at("val/{}.jpg")),
         Read(CAT_DOG, (5, 5), "test/0.jpg")),
    Case("tests_in_a_folder_of_tests", onehot(lambda i: f"{i}.jpg", "test/{}.jpg"), Refused(("10 in test; if they are the right ones, name it: --images test",))),
]  # fmt: skip

COLUMNS = [
    Case(f"number_{header}", table(f"{header},{scan},labels", lambda i: f"{i},{9 - i}.jpg,{labels(i)}"), Read(CAT_DOG, (5, 10), "images/9.jpg"))
    for header, scan in (("id", "scan"), ("index", "xray"), ("image_id", "photo_name"))
] + [
    Case("numbers_alone_are_there", table("id,scan,labels", lambda i: f"{i},s{i}.jpg,{labels(i)}"),
         Refused(("--image-column scan or --image-column id",))),
    Case("numbers_of_patients", table("image,labels,order", lambda i: f"{i}.jpg,{labels(i)},{9 - i if i % 2 else f'{i}.0'}"), LISTS),
    Case("mask_and_scan", both(images_at("m/{}_m.png"), table("scan,path,cat,dog", lambda i: f"{i}.jpg,{i}_m.png,{bits(i)}")),
         Refused(("both name images", "--image-column path", "--image-column scan"))),
    Case("both_eyes", both(images_at("images/l{}.jpg"), table("left,filename,cat,dog", lambda i: f"l{i // 2}.jpg,{i}.jpg,{bits(i)}")), MATRIX),
    Case("stems_of_masks", both(images_at("masks/{}.png"), table("id,image,labels", lambda i: f"{i},{i}.jpg,{labels(i)}")), LISTS),
    Case("folder_column", both(images_at("a/{}.jpg", 5), images_at("b/{}.jpg", 5), file("train.csv", "folder,filename,cat,dog\n" + "".join(
         f"{'ab'[i // 5]},{i % 5}.jpg,{bits(i)}\n" for i in range(10)))), Read(CAT_DOG, (5, 5), "a/0.jpg", ("'folder' names the folder",))),
    Case("folder_column_half", both(images_at("a/{}.jpg", 6), file("train.csv", "folder,filename,label\n" + "".join(
         f"{'ab'[i // 6]},{i % 6}.jpg,{['cat', 'dog'][i // 6]}\n" for i in range(11)))),
         Read(CAT_DOG, (6, 5), "a/0.jpg", ("images that are not there: 5 of 11",), images=11)),
    Case("test_of_numbers", both(onehot(), file("test.csv", "x;y\n1;2\n")), Refused(("test.csv has no column 'image'", "x, y"))),
    Case("test_of_names", both(onehot(), file("test.csv", "old,new\nfile_1.jpg,x\n")), Refused(("test.csv has no column 'image'",))),
]  # fmt: skip

NAMES = [
    Case("leading_slash", onehot(lambda i: f"/images/{i}.jpg"), MATRIX),
    Case("kaggle_prefix", onehot(lambda i: f"../input/x/images/{i}.jpg"), MATRIX),
    Case("drive", onehot(lambda i: f"C:\\data\\{i}.jpg"), MATRIX),
    Case("inner_folders", onehot(lambda i: f"images/v1/patch0/{i}.jpg", "train/patch0/{}.jpg"), Read(CAT_DOG, (5, 5), "train/patch0/0.jpg")),
    Case("path_of_another_part", onehot(lambda i: f"/x/test/{i}.jpg", "train/{}.jpg"), Refused(("lie outside",))),
    Case("one_of_two_places", onehot(lambda i: f"/{'ab'[i // 5]}/{i % 5}.jpg"), Refused(("lie outside",))),
    Case("two_places_exchanged", both(onehot(lambda i: f"/x/{'ab'[i % 2]}/{i}.jpg", "a/{}.jpg"), images_at("b/{}.jpg"),
                                      lambda d: [(d / f"{'ab'[i % 2]}/{i}.jpg").unlink() for i in range(10)]), Refused(("lie outside", "a file 0.jpg lies in b"))),
    Case("two_places", both(onehot(lambda i: f"/x/{'ab'[i // 5]}/{i % 5}.jpg", "a/{}.jpg", n=10), images_at("b/{}.jpg", 5)), Read(CAT_DOG, (5, 5), "a/0.jpg")),
    Case("folder_of_other_rows", both(onehot(lambda i: f"/x/cats/{i}.jpg" if i else "dogs/x.jpg", "dogs/{}.jpg"), images_at("dogs/x.jpg", 1)),
         Refused(("9 of the images of train.csv lie outside",))),
    Case("asked_and_found", onehot(lambda i: f"/k/cats/{i}.jpg", "dogs/{}.jpg"), Read(CAT_DOG, (5, 5), "dogs/0.jpg", ("e.g. /k/cats/0.jpg -> dogs/0.jpg.",))),
    Case("one_not_there", onehot(lambda i: f"/k/images/{i if i else 'x'}.jpg"),
         Read(CAT_DOG, (5, 5), says=("9 image names are paths of another place", "images that are not there: 1 of 10, the first: k/images/x.jpg (no such file"))),
    Case("in_another_case_twice", both(onehot(lambda i: f"/k/{i}.jpg", "train/{}.JPG"), images_at("depth/{}.jpg")), Refused(("lie outside",))),
    Case("web_spaces", onehot(lambda i: f"my%20img%20{i}.jpg", "images/my img {}.jpg"), Read(CAT_DOG, (5, 5), "images/my img 0.jpg", ("%20",))),
    Case("accents", onehot(lambda i: f"é{i}.jpg", unicodedata.normalize("NFD", "images/é{}.jpg")), Read(CAT_DOG, (5, 5), says=("accents",))),
    Case("jfif", onehot(lambda i: f"id{i}", "images/id{}.jfif"), Read(CAT_DOG, (5, 5), "images/id0.jfif")),
    Case("dicom_converted", onehot(lambda i: f"id{i}.dcm", "png/id{}.png"), Refused(("there is png/id0.png, which has another ending than '.dcm'",))),
    Case("dicom", onehot(lambda i: f"id{i}", "images/id{}.dcm"), Refused(("'.dcm' is no ending of an image: convert",))),
    Case("prefix", onehot(str, "images/img_{}.png", "id"), Refused(("files end with its name, such as images/img_0.png",))),
    Case("floats", onehot(lambda i: f"{i}.0", header="id"), Refused(("there is images/0.jpg: did a program write the numbers",))),
    Case("quotes", onehot(lambda i: f"'{i}.jpg'"), Refused(("has quotes or spaces around it",))),
    Case("links_to_nowhere", both(links, file("train.csv", "image,cat,dog\n" + "".join(f"{i}.jpg,{bits(i)}\n" for i in range(10)))),
         Refused(("a link to /nowhere/x.jpg, which is not there",))),
    Case("odd_digits", onehot(lambda i: f"²{i}.jpg"), Refused(("were not found",))),
    Case("many_digits", onehot(lambda i: f"{'7' * 5000}{i}.jpg"), Refused(("were not found",))),
]  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS + COLUMNS + NAMES, ids=lambda case: case.name)
def test_images_are_those_that_the_table_means(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_a_folder_of_two_places_is_refused(tmp_path, monkeypatch):
    onehot()(tmp_path / "set")
    pictures(tmp_path / "work", [f"images/{i}.jpg" for i in range(10)], GREEN)
    monkeypatch.chdir(tmp_path / "work")
    case = Case("", lambda d: None, named("images"))
    with pytest.raises(
        InputError, match=rf"two such folders.*--images '{tmp_path}/set/images' or --images '{tmp_path}/work"
    ):
        read(case, tmp_path / "set")
    whole = Case("", lambda d: None, named(str(tmp_path / "set/images")))
    assert read(whole, tmp_path / "set")[0].paths[0] == str(tmp_path / "set/images/0.jpg")


@pytest.mark.parametrize("above", ["photos", "plain"])
def test_a_folder_that_no_table_uses_is_refused_wherever_the_data_lies(tmp_path, above):
    both(onehot(), images_at("photos/x{}.jpg"))(tmp_path / above / "set")
    with pytest.raises(InputError, match=r"--images photos: no image of 'set' is there"):
        read(Case("", lambda d: None, named("photos")), tmp_path / above / "set")


def test_a_folder_may_be_named_from_here_or_by_a_link(tmp_path, monkeypatch):
    onehot()(tmp_path / "set")
    (tmp_path / "link").symlink_to(tmp_path / "set/images")
    monkeypatch.chdir(tmp_path)
    for folder in ("link", "set/images", "images", str(tmp_path / "link")):
        assert len(read(Case("", lambda d: None, named(folder)), tmp_path / "set")[0]) == 10
