"""Tables as people have them: each is read as is right, and says so, or is refused with what was seen and the way out."""

import pytest
from cases import (
    BOM,
    CAT_DOG,
    LISTS,
    MATRIX,
    Case,
    Read,
    Refused,
    bits,
    both,
    file,
    images_at,
    labels,
    table,
)

from common.core.errors import InputError
from common.core.specs import Settings
from common.data.bad_images import check_missing
from common.report.reading import described
from common.run.prepare import read_data

TYPING_SLIP = ["cat, dog", "dog, bird", "cat", "bird; cat"]
JSON_LIST = '"[""cat"", ""dog""]"'
FINDINGS = "image,label,mass,edema"
SEVERAL_READINGS = "can be separated in"

TEXT = [
    Case("bom", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", mark=BOM), LISTS),
    Case("utf16", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", encoding="utf-16"), LISTS),
    Case("utf16_no_mark", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", encoding="utf-16-le"),
         Refused(("UTF-16 without a byte order mark", "--encoding utf-16-le"))),
    Case("utf16_no_mark_named", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", encoding="utf-16-le"),
         Read(CAT_DOG, (5, 10), flags=(("encoding", "utf-16-le"),))),
    Case("latin1", table("image,labels", lambda i: f"{i}.jpg,{'châtaigne;dog' if i % 2 else 'dog'}", encoding="latin-1"),
         Refused(("save it as UTF-8", "line 3", "--encoding latin-1"))),
    Case("latin1_named", table("image,labels", lambda i: f"{i}.jpg,{'châtaigne;dog' if i % 2 else 'dog'}", encoding="latin-1"),
         Read(("châtaigne", "dog"), (5, 10), flags=(("encoding", "latin-1"),))),
    Case("no_such_encoding", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"),
         Refused(("no such encoding", "latin-1"), flags=(("encoding", "latin9000"),))),
    Case("semicolon", table("image;cat;dog", lambda i: f"{i}.jpg;{bits(i, ';')}"), MATRIX),
    Case("tsv", table("image\tcat\tdog", lambda i: f"{i}.jpg\t{bits(i, chr(9))}"), MATRIX),
    Case("tsv_ending", table("image\tcat\tdog", lambda i: f"{i}.jpg\t{bits(i, chr(9))}", name="labels.tsv"), MATRIX),
    Case("sep_line", table("sep=;\nimage;labels", lambda i: f"{i}.jpg;{'cat,dog' if i % 2 else 'dog'}"), LISTS),
    Case("two_delimiters", table("image;a,b;cat", lambda i: f"{i}.jpg;0,1;{i % 2}"),
         Refused(("may be separated by", "semicolon", "comma", "--delimiter"))),
    Case("two_delimiters_named", table("image;a,b;cat", lambda i: f"{i}.jpg;{i % 3 // 2};{i % 2}"),
         Read(("a,b", "cat"), (3, 5), flags=(("delimiter", ";"),))),
    Case("cr_only", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"), LISTS),
    Case("quoted_header", table('"image","labels"', lambda i: f'"{i}.jpg","{labels(i)}"'), LISTS),
    Case("blank_lines", both(table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}" + ("\n\n\n,," if i == 9 else ""))),
         Read(CAT_DOG, (5, 5), says=("Empty rows that are left out: 1",))),
    Case("trailing_delimiter", table("image,cat,dog,", lambda i: f"{i}.jpg,{bits(i)},"), MATRIX),
    Case("no_header", table("0.jpg,1,0", lambda i: f"{i}.jpg,{bits(i)}"), Refused(("has no header", "image,labels"))),
    Case("long_cell", table("image,labels,encoding,note", lambda i: f"{i}.jpg,{labels(i)},{'10 20 ' * 30000},"),
         Read(CAT_DOG, (5, 10), says=("encoding (neither 0/1", "note (all its cells are empty)"))),
    Case("upper_csv", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", name="LABELS.CSV"), LISTS),
    Case("appledouble", both(table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", name="labels.csv"),
                             file("._labels.csv", "\0\5\26\7\0\2\0\0Mac OS X")), LISTS),
    Case("two_tables", both(table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", name="a.csv"), file("b.csv", "x,y\n1,2\n")),
         Refused(("several tables", "a.csv, b.csv", "--data"))),
]  # fmt: skip

LABELS = [
    Case("multihot_spaces", table("image,labels", lambda i: f"{i}.jpg,{i % 2} {(i + 1) % 2} {int(i % 3 == 0)}"),
         Read(("class_0", "class_1", "class_2"), (5, 5, 4), says=("0/1 vectors",))),
    Case("multihot_list", table("image,target", lambda i: f'{i}.jpg,"[{i % 2}, {(i + 1) % 2}, 0]"'),
         Read(("class_0", "class_1", "class_2"), (5, 5, 0))),
    Case("json_lists", table("image,labels", lambda i: f"{i}.jpg,{JSON_LIST}"), Read(CAT_DOG, (10, 10))),
    Case("python_lists", table("image,labels", lambda i: f"{i}.jpg,\"['cat', 'dog']\""), Read(CAT_DOG, (10, 10))),
    Case("numpy_lists", table("image,labels", lambda i: f"{i}.jpg,\"['cat' 'sea ice']\""), Read(("cat", "sea ice"), (10, 10))),
    Case("mixed_separators", table("image,labels", lambda i: f'{i}.jpg,"{TYPING_SLIP[3 if i == 9 else i % 3]}"'),
         Refused((SEVERAL_READINGS, "row 10: 'bird; cat'", "--label-separator ';' ','"))),
    Case("mixed_separators_named", table("image,labels", lambda i: f'{i}.jpg,"{TYPING_SLIP[3 if i == 9 else i % 3]}"'),
         Read(("bird", "cat", "dog"), (4, 7, 6), flags=(("label_separator", (";", ",")),))),
    Case("stray_separator", table("image,labels", lambda i: f"{i}.jpg,{'cat;dog' if i == 9 else ['cat dog', 'dog', 'cat'][i % 3]}"),
         Refused((SEVERAL_READINGS, "'cat dog'"))),
    Case("sign_in_a_name", table("image,labels", lambda i: f"{i}.jpg,{'<b>;|b|' if i % 2 else '<b>;[i]'}"),
         Read(("<b>", "[i]", "|b|"), (10, 5, 5))),
    Case("true_false", table("image,cat,dog", lambda i: f"{i}.jpg,{bool(i % 2)},{bool((i + 1) % 2)}"), MATRIX),
    Case("yes_no", table("image,cat,dog", lambda i: f"{i}.jpg,{'yes' if i % 2 else 'No'},{'no' if i % 2 else 'YES'}"), MATRIX),
    Case("true_false_one", table("image,cat,dog,bird", lambda i: f"{i}.jpg,{bits(i)},{i % 3 == 0}"),
         Read(("cat", "dog", "bird"), (5, 5, 4))),
    Case("floats6", table("image,cat,dog", lambda i: f"{i}.jpg,{i % 2:.6f},{(i + 1) % 2:.6f}"), MATRIX),
    Case("one_odd_cell", table("image,cat,dog,bird", lambda i: f"{i}.jpg,{bits(i)},{'x' if i == 4 else i % 2}"),
         Refused(("neither 0 nor 1", "row 5, bird: 'x'", "--ignore-columns bird"))),
    Case("odd_column_ignored", table("image,cat,dog,bird", lambda i: f"{i}.jpg,{bits(i)},{'x' if i == 4 else i % 2}"),
         Read(CAT_DOG, (5, 5), says=("bird (--ignore-columns)",), flags=(("ignore_columns", ("bird",)),))),
    Case("is_valid", table("image,cat,dog,is_valid", lambda i: f"{i}.jpg,{bits(i)},{int(i > 7)}"),
         Read(CAT_DOG, (5, 5), says=("is_valid (the author's split; --split given takes it)",))),
    Case("running_id", table("id,image,cat,dog", lambda i: f"{i},{i}.jpg,{bits(i)}"), MATRIX),
    Case("pandas_index", table(",image,cat,dog", lambda i: f"{i},{i}.jpg,{bits(i)}"), MATRIX),
    Case("metadata", table("image,age,sex,fold,cat,dog", lambda i: f"{i}.jpg,{i * 7},{i % 2},{i % 5},{bits(i)}"),
         Read(CAT_DOG, (5, 5), says=("age (a fact about a person", "sex (a fact", "fold (a number of a fold)"))),
    Case("label_beside_onehot", table(FINDINGS, lambda i: f"{i}.jpg,{int(i % 3 > 0)},{int(i % 3 == 1)},{int(i % 3 == 2)}"),
         Read(("mass", "edema"), (3, 3), says=("label (it is 1 exactly where one of the classes is",))),
    Case("label_of_its_own", table(FINDINGS, lambda i: f"{i}.jpg,{i % 2},{int(i % 3 == 1)},{int(i % 3 == 2)}"),
         Refused(("can be read in two ways", "--label-columns label", "--ignore-columns label"))),
    Case("summary_column", table("image,any,mass,edema", lambda i: f"{i}.jpg,{int(i % 3 > 0)},{int(i % 3 == 1)},{int(i % 3 == 2)}"),
         Read(("any", "mass", "edema"), (6, 3, 3), says=("--ignore-columns any",))),
    Case("label_of_bits", table("Id,Target", lambda i: f"{i},{'01101'[i % 5]}", images="train/{}.png"),
         Read(("0", "1"), (4, 6), "train/0.png")),
    Case("movie_posters", table("Id,Genre,Action,Comedy,Drama,N/A", lambda i: f"{i},\"['Drama', 'Comedy']\",{i % 2},1,{(i + 1) % 2},0"),
         Read(("Action", "Comedy", "Drama", "N/A"), (5, 10, 5, 0), says=("Genre (it names the same classes", "others in 5 rows"))),
    Case("lists_and_columns", table("image,labels,blurry,dark", lambda i: f"{i}.jpg,{labels(i)},{bits(i)}"),
         Refused(("can be read in two ways", "--label-columns labels", "--ignore-columns labels"))),
    Case("odir", table("ID,Patient Age,Left-Fundus,N,D,filepath,labels,target,filename", lambda i:
                       f"{i},6{i},{i}_left.jpg,{bits(i)},../input/x/{i}_left.jpg,\"['{'N' if i % 2 else 'D'}']\",\"[{i % 2}, {(i + 1) % 2}]\",{i}_left.jpg",
                       images="preprocessed_images/{}_left.jpg"),
         Read(("N", "D"), (5, 5), "preprocessed_images/0_left.jpg", says=("image column: filename", "labels (it names the same"))),
    Case("multiword", table("image,labels", lambda i: f"{i}.jpg,{'polar bear' if i % 2 else 'brown bear'}"),
         Refused((SEVERAL_READINGS, "--label-separator none", "--label-separator space"))),
    Case("multiword_named", table("image,labels", lambda i: f"{i}.jpg,{'polar bear' if i % 2 else 'brown bear'}"),
         Read(("brown bear", "polar bear"), (5, 5), flags=(("label_separator", ("none",)),))),
    Case("multiword_label", table("image,label", lambda i: f"{i}.jpg,{'polar bear' if i % 2 else 'brown bear'}"),
         Read(("brown bear", "polar bear"), (5, 5), says=("one name in each cell",))),
    Case("multiword_two", table("image,labels", lambda i: f"{i}.jpg," + ('"polar bear, sea ice"' if i % 2 else "sea ice")),
         Read(("polar bear", "sea ice"), (5, 10))),
    Case("comma_space_numbers", table("image,labels", lambda i: f'{i}.jpg,"{["1, 19", "1", "19"][i % 3]}"'), Read(("1", "19"), (7, 7))),
    Case("large_ids", table("image,labels", lambda i: f"{i}.jpg,{['100234 7', '7', '55555'][i % 3]}"),
         Read(("7", "55555", "100234"), (7, 3, 4))),
    Case("leading_zeros", table("image,labels", lambda i: f"{i}.jpg,{['007 7', '7'][i % 2]}"), Read(("007", "7"), (5, 10))),
    Case("float_numbers", table("image,label", lambda i: f"{i}.jpg,{['3.0', '1.0', ''][i % 3]}"), Read(("1", "3"), (3, 4))),
    Case("negative_number", table("image,labels", lambda i: f"{i}.jpg,{['1 2', '2', '-1'][i % 3]}"),
         Refused(("unknown", "row 3, labels: '-1'", "--unknown drop"))),
    Case("nan_words", table("image,labels", lambda i: f"{i}.jpg,{['cat;dog', 'dog', 'nan', 'NaN', 'None'][i % 5]}"),
         Read(CAT_DOG, (2, 4), says=("2 cells 'nan' are read as: no label",))),
    Case("no_labels_at_all", table("image,labels", lambda i: f"{i}.jpg,"), Refused(("no image has a label", "--label-columns"))),
    Case("no_label_column", table("image,caption", lambda i: f"{i}.jpg,hello {i}"), Refused(("has no labels", "caption", "--label-columns"))),
    Case("one_class", table("image,cat", lambda i: f"{i}.jpg,{i % 2}"), Refused(("a single class, 'cat'",))),
    Case("one_class_as_two", table("image,cat", lambda i: f"{i}.jpg,{i % 2}"), Read(("0", "1"), (5, 5), flags=(("label_columns", ("cat",)),))),
    Case("label_named", table(FINDINGS, lambda i: f"{i}.jpg,{i % 2},{int(i % 3 == 1)},{int(i % 3 == 2)}"),
         Read(("0", "1"), (5, 5), says=("mass (not among --label-columns)",), flags=(("label_columns", ("label",)),))),
    Case("label_ignored", table(FINDINGS, lambda i: f"{i}.jpg,{i % 2},{int(i % 3 == 1)},{int(i % 3 == 2)}"),
         Read(("mass", "edema"), (3, 3), flags=(("ignore_columns", ("label",)),))),
    Case("two_classes", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"),
         Read(CAT_DOG, (5, 5), says=("With 2 classes the percentiles 80, 85, 90, 95 all pick 1 label",))),
    Case("twin_columns", table("image,cat,dog,cat", lambda i: f"{i}.jpg,{bits(i)},0"), Refused(("several columns of one name: 'cat'",))),
    Case("case_labels", table("image,labels", lambda i: f"{i}.jpg,{['Cat; dog', 'cat;;dog;', 'dog'][i % 3]}"),
         Read(("Cat", "cat", "dog"), (4, 3, 10), says=("'Cat' and 'cat' are different classes",))),
    Case("minus_one_columns", table("image,cat,dog", lambda i: f"{i}.jpg,{2 * (i % 2) - 1},{1 - 2 * (i % 2)}"),
         Read(CAT_DOG, (5, 5), says=("-1 is read as absent",))),
    Case("unknown", table("image,cat,dog", lambda i: f"{i}.jpg,{i % 2},{['1', '0', '-1', '', 'nan'][i % 5]}"),
         Refused(("unknown", "2 '-1', 2 blank, 2 'nan'", "in 6 of its 10 rows", "4 would remain", "row 3, dog: '-1'", "row 4, dog: ''", "--unknown absent", "--unknown drop"))),
    Case("unknown_absent", table("image,cat,dog", lambda i: f"{i}.jpg,{i % 2},{['1', '0', '-1', '', 'nan'][i % 5]}"),
         Read(CAT_DOG, (5, 2), says=("6 unknown labels",), flags=(("unknown", "absent"),))),
    Case("unknown_drop", table("image,cat,dog", lambda i: f"{i}.jpg,{i % 2},{['1', '0', '-1', '', 'nan'][i % 5]}"),
         Read(CAT_DOG, (2, 2), images=4, says=("6 images with unknown labels",), flags=(("unknown", "drop"),))),
    Case("nuswide", table("filepath,label,split_name", lambda i: f"images/{i}.jpg,\"['clouds', 'sky']\",{'val' if i > 7 else 'train'}"),
         Read(("clouds", "sky"), (10, 10), "images/0.jpg", says=("split_name (the author's split",))),
    Case("nih14", table("Image Index,Finding Labels,Follow-up #,Patient ID", lambda i: f"{i}.png,{['No Finding', 'Edema|Mass', 'Mass'][i % 3]},0,{i}",
                        name="Data_Entry.csv", images="images_001/images/{}.png"),
         Read(("Edema", "Mass", "No Finding"), (3, 6, 4), says=("Patient ID (a group; --group-column 'Patient ID'",))),
    Case("roboflow_classes", table("filename, cat, dog", lambda i: f"{i}.jpg, {i % 2}, {(i + 1) % 2}", name="train/_classes.csv",
                                   images="train/{}.jpg"), Read(CAT_DOG, (5, 5), "train/0.jpg")),
]  # fmt: skip

ROWS = [
    Case("row_per_label", table("image,label", lambda i: f"{i}.jpg,dog" + (f"\n{i}.jpg,cat" if i % 2 else "")),
         Read(CAT_DOG, (5, 10), says=("15 rows are 10 images",))),
    Case("openimages", table("ImageID,Source,LabelName,Confidence", lambda i: f"{i},person,/m/1,1\n{i},person,/m/2,{i % 2}", images="train/{}.jpg"),
         Read(("/m/1", "/m/2"), (10, 5), "train/0.jpg", says=("Rows whose Confidence is 0", ": 5"))),
    Case("openimages_machine", table("ImageID,LabelName,Confidence", lambda i: f"{i},/m/1,1\n{i},/m/2,0.7"),
         Refused(("other than 0 (absent) and 1", "--ignore-columns Confidence"))),
    Case("duplicate_rows", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}" + ("\n0.jpg,0,1" if i == 9 else "")),
         Read(CAT_DOG, (5, 5), says=("Rows that repeat another one and are left out: 1",))),
    Case("contradicting_rows", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}" + ("\n0.jpg,1,1" if i == 9 else "")),
         Refused(("stand in several rows: '0.jpg' (2 rows)",))),
    Case("blank_image", table("image,labels", lambda i: f"{'' if i == 4 else f'{i}.jpg'},{labels(i)}"),
         Refused(("without an image", "'image' is empty: row 5: ',dog'"))),
    Case("five_rows", table("image,labels", lambda i: f"{i}.jpg,{labels(i)}", n=5), Read(CAT_DOG, (2, 5), images=5)),
    Case("test_has_labels", both(table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"), images_at("images/t{}.jpg", 2),
                                 file("test.csv", "image,cat,dog\nt0.jpg,1,0\nt1.jpg,0,1\n")),
         Read(CAT_DOG, (5, 5), tests=2, says=("The labels of test.csv are not used",))),
    Case("test_in_train", both(table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"), file("test.csv", "image\n0.jpg\n1.jpg\n")),
         Read(CAT_DOG, (5, 5), tests=2, says=("2 images of test.csv are also in train.csv",))),
    Case("authors_split", both(table("image,labels", lambda i: f"{i}.jpg,{labels(i)}"), images_at("images/v{}.jpg", 2),
                               file("val.csv", "image,labels\nv0.jpg,cat\nv1.jpg,dog\n")),
         Read(CAT_DOG, (5, 10), says=("val.csv is not used: --split given",))),
]  # fmt: skip

NAMES = [
    Case("filenames_header", table("filenames,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"), MATRIX),
    Case("img_path_header", table("img_path,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"), MATRIX),
    Case("fname_header", table("fname,labels,is_valid", lambda i: f"{i}.jpg,{'cat dog' if i % 2 else 'dog'},{i > 7}"), LISTS),
    Case("ranzcr", table("StudyInstanceUID,ETT,CVC,PatientID", lambda i: f"1.2.8.{i},{bits(i)},p{i}", images="train/1.2.8.{}.jpg"),
         Read(("ETT", "CVC"), (5, 5), "train/1.2.8.0.jpg")),
    Case("image_column_last", table("path,filename,cat,dog", lambda i: f"images,{i}.jpg,{bits(i)}"), MATRIX),
    Case("id_is_file", table("id,image,cat,dog", lambda i: f"{i}.jpg,https://example.org/{i}.jpg,{bits(i)}"),
         Read(CAT_DOG, (5, 5), says=("image column: id",))),
    Case("addresses", table("image,cat,dog", lambda i: f"https://example.org/{i}.jpg,{bits(i)}"), Refused(("web addresses", "download"))),
    Case("two_image_columns", table("image_id,file_name,cat,dog", lambda i: f"{i},photo{i}.jpg,{bits(i)}", images="images/photo{}.jpg"),
         Read(CAT_DOG, (5, 5), says=("image column: file_name",))),
    Case("left_and_right", table("left,right,cat,dog", lambda i: f"l{i}.jpg,{9 - i}.jpg,{bits(i)}"),
         Read(CAT_DOG, (5, 5), says=("image column: right",))),
    Case("two_that_fit", both(images_at("images/l{}.jpg"), table("left,right,cat,dog", lambda i: f"l{i}.jpg,{i}.jpg,{bits(i)}")),
         Refused(("both name images", "--image-column left", "--image-column right"))),
    Case("no_image_column", table("a,b", lambda i: f"x{i},{i % 2}"), Refused(("no column of images", "a, b", "--image-column"))),
    Case("no_such_column", table("image,cat,dog", lambda i: f"{i}.jpg,{bits(i)}"),
         Refused(("--label-columns", "no column", "did you mean cat"), flags=(("label_columns", ("cats",)),))),
]  # fmt: skip


def read(case: Case, folder):
    """The Dataset, and what a run prints of it."""
    flags = dict(case.right.flags)
    settings = Settings(data=str(folder / case.at), **flags)
    data = read_data(settings)
    check_missing(settings, data)
    return data, "\n".join(f"{what}: {value}" for what, value in described(data, settings.percentiles))


def check_case(case: Case, folder) -> None:
    case.draw(folder)
    if isinstance(case.right, Refused):
        with pytest.raises(InputError) as caught:
            read(case, folder)
        assert [words for words in case.right.says if words not in str(caught.value)] == [], str(caught.value)
        return
    data, text = read(case, folder)
    assert data.class_names == case.right.classes
    assert (len(data), len(data.test_ids)) == (case.right.images, case.right.tests)
    assert case.right.positives is None or tuple(data.labels.sum(axis=0)) == case.right.positives
    assert not case.right.first or data.paths[0] == str((folder / case.right.first).resolve())
    assert [words for words in case.right.says if words not in text] == [], text


@pytest.mark.parametrize("case", TEXT + LABELS + ROWS + NAMES, ids=lambda case: case.name)
def test_a_table_is_read_as_is_right(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_lines_may_end_in_cr_alone(tmp_path):
    LISTS_CASE = next(case for case in TEXT if case.name == "cr_only")
    LISTS_CASE.draw(tmp_path)
    file = tmp_path / "train.csv"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r"))
    data, _ = read(LISTS_CASE, tmp_path)
    assert data.class_names == CAT_DOG and len(data) == 10
