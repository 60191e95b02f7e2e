"""Labels as people write them: what may be one name or several, a class or a fact, is read as is right or told in both ways."""

import pytest

from tests.helpers.cases import CAT_DOG, Case, Read, Refused, bits, table
from tests.helpers.reading import check_case

TWO_WAYS = "can be read in two ways"
SEPARATED = "can be separated in 2 ways"


def cells(column, *values, n=10):
    """A table of one column of labels, its cells in turn."""
    return table(f"image,{column}", lambda i: f'{i}.jpg,"{values[i % len(values)]}"', n=n)


def columns(header, *rows):
    return table(f"image,{header}", lambda i: f"{i}.jpg,{rows[i % len(rows)]}", n=len(rows) if len(rows) > 9 else 12)


SLIPS = [
    Case(name, cells("labels", f"cat{sign}dog", "cat", "dog"), Refused((SEPARATED, f"cat{sign}dog", "--label-separator none")))
    for name, sign in {"plus": "+", "slash": "/", "and": " and ", "dash": "-", "underscore": "_", "fullwidth": "、", "amp": "&"}.items()
]  # fmt: skip
CELLS = [
    *SLIPS,
    Case("plus_named", cells("labels", "cat+dog", "cat", "dog"), Read(CAT_DOG, (7, 7), flags=(("label_separator", ("+",)),))),
    Case("word_named", cells("labels", "cat and dog", "cat", "dog"), Read(CAT_DOG, (7, 7), flags=(("label_separator", (" and ",)),))),
    Case("comma_and_space_named", cells("labels", "polar bear, sea ice", "sea ice"), Read(("polar bear", "sea ice"), (5, 10), flags=(("label_separator", (", ",)),))),
    Case("label_of_words_that_stand_alone", cells("label", "cat dog", "cat", "dog"), Refused((SEPARATED, "--label-separator none gives 3"))),
    Case("comma_in_a_name", cells("label", "tench, Tinca tinca", "goldfish, Carassius auratus"), Read(("goldfish, Carassius auratus", "tench, Tinca tinca"), (5, 5))),
    Case("comma_without_evidence", cells("labels", "tench, Tinca tinca", "goldfish, Carassius auratus"), Refused((SEPARATED, "--label-separator none"))),
    Case("thousands", cells("label", "1,000", "2,000"), Refused((SEPARATED, "--label-separator none gives 2"))),
    Case("decimal_comma", table("image;label", lambda i: f"{i}.jpg;{('3,0', '1,0')[i % 2]}"), Read(("1", "3"), (5, 5))),
    Case("one_sign", cells("labels", "cat & dog", "cat bird", "cat", "bird"), Refused(("without a letter or digit", "row 1: '&'"))),
    Case("unknown_signs", cells("labels", "cat", "dog", "?"), Refused(("without a letter or digit", "row 3: '?'"))),
    Case("open_bracket", cells("labels", "['cat', 'dog'", "cat"), Refused(("brackets or quotes of which one is missing",))),
    Case("quotes", cells("labels", "'cat', 'dog'", "'cat'"), Refused(("brackets or quotes",))),
    Case("pairs", cells("labels", "cat:1;dog:0", "cat:0;dog:1"), Refused(("pairs of a name and a value",))),
    Case("probabilities", cells("labels", "[0.9, 0.25]", "[0.1, 0.75]"), Refused(("numbers that are not whole",))),
    Case("fractions", cells("target", "1.5", "2.25"), Refused(("numbers that are not whole", "row 1: '1.5'"))),
    Case("numpy_array", cells("labels", "array(['cat', 'dog'], dtype=object)", "array(['dog'], dtype=object)"), Read(CAT_DOG, (5, 10))),
    Case("tensor", cells("labels", "tensor([0., 1.])", "tensor([1., 0.])"), Read(("class_0", "class_1"), (5, 5))),
    Case("frozenset", cells("labels", "frozenset({'cat'})", "frozenset({'cat', 'dog'})"), Read(CAT_DOG, (10, 5))),
    Case("none_in_a_list", cells("labels", "['None', 'cat']", "['dog']"), Read(CAT_DOG, (5, 5), says=("5 labels 'None' are read as: no label",))),
    Case("none_among_names", cells("labels", "NA;cat", "dog"), Read(CAT_DOG, (5, 5), says=("5 labels 'NA' are read as: no label",))),
    Case("codes_of_ones", cells("label", "100", "101", "110"), Refused(("numbers of classes or zeros and ones", "--label-separator none"))),
    Case("codes_as_numbers", cells("label", "100", "101", "110"), Read(("100", "101", "110"), (4, 3, 3), flags=(("label_separator", ("none",)),))),
    Case("codes_of_bits", cells("label", "100", "011", "110"), Read(("class_0", "class_1", "class_2"), (7, 6, 3))),
    Case("composed", cells("labels", "ch\u00e2t", "cha\u0302t", "dog\u200b", "dog"), Read(("ch\u00e2t", "dog"), (6, 4))),
    Case("a_class_an_image", table("image,labels", lambda i: f"{i}.jpg,name{i}"), Read(tuple(f"name{i}" for i in range(10)), says=("Every class occurs in one image only",))),
]  # fmt: skip
COLUMNS = [
    Case("yes_no_unknown", columns("cat,dog,bird", "0,1,y", "1,0,n", "1,1,?"), Refused(("neither 0 nor 1", "row 3, bird: '?'", "--ignore-columns bird"))),
    Case("true_unknown", columns("cat,dog,bird", "0,1,T", "1,0,F", "1,1,U"), Refused(("row 3, bird: 'U'",))),
    Case("mostly_unknown", columns("cat,dog,bird", "0,1,?", "1,0,?", "1,1,1"), Refused(("row 1, bird: '?'",))),
    Case("one_and_two", columns("cat,dog,bird", "0,1,1", "1,0,2"), Refused(("row 2, bird: '2'",))),
    Case("means", columns("cat,dog,bird", "0,1,1", "1,0,.5", "1,1,.33"), Refused(("row 2, bird: '.5'",))),
    Case("german_words", columns("cat,dog", "WAHR,FALSCH", "FALSCH,WAHR"), Read(CAT_DOG, (6, 6), images=12)),
    Case("label_beside_flags", columns("label,occluded,truncated", "0,0,1", "3,1,0", "2,1,1"), Refused((TWO_WAYS, "--label-columns label"))),
    Case("diagnosis_beside_flags", columns("diagnosis,is_left,is_male", "mass,0,1", "edema,1,0"), Refused((TWO_WAYS, "--label-columns diagnosis"))),
    Case("text_beside_flags", columns("finding_text,is_left,is_male", "mass,0,1", "edema,1,0"), Refused((TWO_WAYS, "--label-columns finding_text"))),
    Case("ids_beside_flags", columns("attribute_ids,is_left,is_male", "1 2,0,1", "2,1,0"), Refused((TWO_WAYS,))),
    Case("labels_that_differ", columns("labels,cat,dog", "cat;dog,1,0", "dog,0,1"), Refused((TWO_WAYS, "differs from the 0/1 columns in 6 rows"))),
    Case("labels_that_agree", columns("labels,cat,dog", "cat;dog,1,1", "dog,0,1"), Read(CAT_DOG, (6, 12), images=12, says=("labels (it names the same classes",))),
    Case("numbered_classes", columns("class_0,class_1,class_2,background", "1,0,0,0", "0,1,0,0", "0,0,1,0", "0,0,0,1"), Read(("class_0", "class_1", "class_2", "background"), (3, 3, 3, 3), images=12)),
    Case("class_named_picture", columns("picture,photo,cat", "1,0,0", "0,1,1"), Read(("picture", "photo", "cat"), (6, 6, 6), images=12)),
    Case("two_text_columns", columns("labels_1,labels_2", "cat,dog", "dog,"), Refused(("has no labels", "--label-columns"))),
    Case("two_text_columns_joined", columns("labels_1,labels_2", "cat,dog", "dog,"), Read(CAT_DOG, (6, 12), images=12, flags=(("label_columns", ("labels_1", "labels_2")),))),
    Case("named_and_ignored", columns("cat,dog", "1,0", "0,1"), Refused(("both name 'cat'",), flags=(("label_columns", ("cat", "dog")), ("ignore_columns", ("cat",))))),
    Case("minus_one_with_a_blank", table("image,cat,dog", lambda i: f"{i}.jpg,{2 * (i % 2) - 1},{'' if i == 3 else 1 - 2 * (i % 2)}"),
         Refused(("unknown", "row 4, dog: ''"))),
    Case("minus_one_with_a_blank_absent", table("image,cat,dog", lambda i: f"{i}.jpg,{2 * (i % 2) - 1},{'' if i == 3 else 1 - 2 * (i % 2)}"),
         Read(CAT_DOG, (5, 5), says=("10 unknown labels",), flags=(("unknown", "absent"),))),
    Case("name_with_a_space", table("image,No Finding,cat,dog", lambda i: f"{i}.jpg,x{i % 2},{bits(i)}"), Read(CAT_DOG, (5, 5), says=("No Finding (neither 0/1",))),
]  # fmt: skip
VECTORS = [
    Case("vector_with_unknown", cells("labels", "1 0 -1", "0 1 0"), Refused(("5 labels that are unknown", "row 1, labels, class_2: '-1'", "--unknown absent"))),
    Case("vector_unknown_absent", cells("labels", "1 0 -1", "0 1 1"), Read(("class_0", "class_1", "class_2"), (5, 5, 5), flags=(("unknown", "absent"),))),
    Case("list_unknown_drop", cells("labels", "[1, 0, -1]", "[0, 1, 1]"), Read(("class_0", "class_1", "class_2"), (0, 5, 5), images=5, flags=(("unknown", "drop"),))),
    Case("vectors_of_ones", cells("labels", "1 -1", "-1 1"), Read(("class_0", "class_1"), (5, 5), says=("-1 is read as absent",))),
    Case("soft_commas", cells("labels", "1,0.5,0", "0,1,0"), Refused(("numbers that are not whole", "of probabilities make 0 and 1", "row 1: '0.5'"))),
    Case("soft_bars", cells("labels", "1|0.5", "0|1"), Refused(("numbers that are not whole",))),
    Case("soft_list", cells("labels", "[1, 0.5, 0]", "[0, 1, 0]"), Refused(("numbers that are not whole",))),
    Case("two_bits", cells("labels", "01", "10", "11", "00"), Read(("class_0", "class_1"), (5, 5))),
    Case("ten_and_eleven", cells("label", "10", "11"), Read(("10", "11"), (5, 5))),
    Case("large_numbers", cells("label", "90071992547409921.0", "90071992547409920"), Read(("90071992547409920", "90071992547409921"), (5, 5))),
    Case("many_digits_beside_columns", columns("labels,cat,dog", f"[1{'0' * 400}],1,0", "[0],0,1"), Refused((TWO_WAYS,))),
    Case("one_in_brackets", cells("labels", "cat;dog", "cat", "dog", "(other)"), Read(("(other)", "cat", "dog"), (2, 6, 5))),
    Case("separator_before_lists", cells("labels", "[1];cat", "cat"), Read(("[1]", "cat"), (5, 10), flags=(("label_separator", (";",)),))),
]  # fmt: skip
SEPARATORS = [
    Case("commas_in_names", cells("diagnosis", "Carcinoma, ductal", "Carcinoma, lobular", "benign"), Refused((SEPARATED, "--label-separator none gives 3"))),
    Case("one_comma", cells("labels", "tench, Tinca tinca", "cat", "dog"), Refused((SEPARATED, "--label-separator none gives 3"))),
    Case("one_list", cells("labels", "cat, dog", "cat", "dog"), Read(CAT_DOG, (7, 7))),
    Case("lists_that_share", cells("labels", "cat, dog", "dog, bird", "bird, cat"), Read(("bird", "cat", "dog"), (6, 7, 7))),
    Case("numbers_that_share", cells("labels", "1, 19", "1, 7"), Read(("1", "7", "19"), (10, 5, 5))),
    Case("decimal_commas", cells("labels", "1,5", "2,5"), Refused((SEPARATED,))),
    Case("semicolons_in_label", cells("label", "cat;dog", "bird;fish", "cow"), Refused((SEPARATED, "--label-separator ';' gives 5", "--label-separator none gives 3"))),
    Case("semicolons_seen_apart", cells("label", "cat;dog", "cat", "dog"), Read(CAT_DOG, (7, 7))),
]  # fmt: skip
JOINED = (("label_columns", ("tags1", "tags2")),)
TOGETHER = [
    Case("joined_and_separated", columns("tags1,tags2", "cat;dog,bird", "dog,bird;cat"), Read(("bird", "cat", "dog"), (12, 12, 12), images=12, flags=JOINED)),
    Case("joined_by_a_sign", columns("tags1,tags2", "cat+dog,bird", "dog,bird+cat"), Read(("bird", "cat", "dog"), (12, 12, 12), images=12, flags=(*JOINED, ("label_separator", ("+",))))),
    Case("joined_lists", columns("tags1,tags2", "\"['cat', 'dog']\",[]", "['dog'],['bird']"), Read(("bird", "cat", "dog"), (6, 6, 12), images=12, flags=JOINED)),
    Case("joined_vectors", columns("tags1,tags2", "1 0,bird", "0 1,cat"), Refused(("vectors of zeros and ones", "--label-columns tags1"), flags=JOINED)),
    Case("minus_one_dropped", columns("cat,dog", "1,-1", "1,1"), Read(CAT_DOG, (6, 6), images=6, flags=(("unknown", "drop"),))),
    Case("letters_and_missing", columns("cat,dog", "Y,N", "N,Y", "NA,Y"), Refused(("unknown", "row 3, cat: 'NA'"))),
    Case("one_letter_beside_two", columns("cat,dog,bird", "T,F,F", "F,T,F"), Read(("cat", "dog", "bird"), (6, 6, 0), images=12)),
]  # fmt: skip


@pytest.mark.parametrize("case", CELLS + COLUMNS + VECTORS + SEPARATORS + TOGETHER, ids=lambda case: case.name)
def test_labels_are_read_as_is_right(tmp_path, case):
    (folder := tmp_path / "set").mkdir()
    check_case(case, folder)


def test_many_columns_are_read(tmp_path):
    """300 classes of 2,000 images; `self preparing` measures how long that takes."""
    header = "image," + ",".join(f"c{k}" for k in range(300))
    lines = [f"{i}.jpg," + ",".join(str(int((i + k) % 7 == 0)) for k in range(300)) for i in range(2000)]
    (tmp_path / "train.csv").write_text("\n".join([header, *lines]) + "\n")
    from common.data.formats import csv

    assert csv.read(tmp_path).labels.shape == (2000, 300)
