"""index.html: one file with every table and figure of the page, which needs no network and runs nothing of the data's."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from common.report.html import html_page
from common.report.markdown import Section, table
from common.report.table import Table

FIGURES = {"figures/one.png": b"png"}
NAMES = ("<script>alert(1)</script>", "a & b")
SECTIONS = [
    Section(f"""# run

## Scores

| row | weights | F1 | feed | memory |
| --- | --- | --- | --- | --- |
| b | random | 0.5 ± 0.1 | 4,000 at 224 px | 1.50 GiB |
| a {NAMES[0]} | file | 1,000 | 4,000 at 224 px, oversample | 829.0 MiB |

![what it shows](figures/one.png)""", highlight=True),
    Section("""## Environment

    uv run python""", folded=True),
    Section("## Rest"),
]  # fmt: skip


class Seen(HTMLParser):
    """Elements in order, text, and every address."""

    def __init__(self, page):
        super().__init__()
        self.opened, self.closed, self.addresses, self.text = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.opened.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        self.closed.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def written(bench, tmp_path_factory):
    parent = tmp_path_factory.mktemp("html")
    words = "--frameworks fake --limit 200 --image-size 32 --lane default tuned --keep-frozen".split()
    assert bench(*words, "--results-dir", parent, "--name", "run").returncode == 0
    return parent / "run"


def test_what_the_data_say_is_text():
    seen = Seen(html_page(NAMES[1], SECTIONS, FIGURES))
    assert NAMES[0] in seen.text and seen.opened.count("script") == 1
    assert "a & b" in seen.text


@pytest.mark.parametrize(
    "name",
    [
        "![a](../x.png)",
        "[a](https://a.b/c)",
        "*a*",
        "_a_",
        "`a`",
        "<https://a.b>",
        "&lt;a&gt;",
        "\\*a",
        "# a",
        "a\n# b",
        "[a]: b.c",
    ],
)
def test_names_in_the_data_are_no_markdown(name):
    shown = Table("Labels", ("label", "n"), ((name, "0.9 [0.8, 1.0]"),), (name,))
    seen = Seen(html_page("t", [Section(table(shown))], {}))
    words = name.replace("\n", " ")
    assert seen.text.count(words) == 2 and "0.9 [0.8, 1.0]" in seen.text and seen.addresses == []
    assert {"img", "a", "em", "code", "h1"}.isdisjoint(seen.opened)


def test_what_few_read_is_folded_from_its_heading_to_the_next():
    page = html_page("t", SECTIONS, FIGURES)
    inside = re.search(r"<details><summary>Environment</summary>(.*?)</details>", page, re.S)[1]
    assert (
        "uv run python" in inside and "Rest" not in inside and page.count("<details>") == page.count("</details>") == 1
    )


def test_only_the_table_of_settings_is_highlighted(written):
    page = (written / "index.html").read_text()
    before, after = page.split('<table class="highlight">')
    assert after.index("<th>weights</th>") < after.index("</thead>") and "<th>weights</th>" not in before
    assert "highlight" not in html_page("t", SECTIONS[1:], {}).split("<script>")[0]


def test_a_heading_alone_folds_nothing():
    assert "<details>" not in html_page("t", [Section("## Environment\n\nopen")], {})


def test_the_page_of_a_run_has_every_table_and_figure_and_asks_for_nothing(written):
    page, text = (written / "index.html").read_text(), (written / "results.md").read_text()
    seen = Seen(page)
    assert seen.opened.count("table") == len(re.findall(r"^\|( --- \|)+$", text, re.M)) >= 8
    assert seen.opened.count("img") == len(re.findall(r"^!\[", text, re.M)) >= 5
    assert all(address.startswith("data:image/png;base64,iVBOR") for address in seen.addresses)
    assert "http" not in page.replace("http-equiv", "") and seen.opened.count("details") == 4
    for tag in ("table", "tr", "details", "div", "pre", "p"):
        assert seen.opened.count(tag) == seen.closed.count(tag), tag


def shown(browser, page, folder):
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--enable-logging=stderr",
             "--virtual-time-budget=2000", "--dump-dom", page.as_uri()]  # fmt: skip
    done = subprocess.run([browser, *words], capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in done.stderr, done.stderr  # an error in the script would be told there
    return done.stdout


def test_a_browser_shows_it_and_its_script_runs(written, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("needs chromium")
    page, text = (written / "index.html").read_text(), (written / "results.md").read_text()
    small = tmp_path / "small.html"
    drawn = "onload = () => document.body.dataset.drawn = [...document.images].filter(i => i.naturalWidth > 0).length;"
    small.write_text(page.replace("</body>", f"<script>{drawn}</script></body>"))
    dom = shown(browser, small, tmp_path / "profile")
    assert dom.count("<table") == text.count("\n| --- |") and 'class="number"' in dom
    assert f'data-drawn="{len(re.findall(r"^!", text, re.M))}"' in dom
    sorts = "".join(f"document.querySelectorAll('th')[{column}].click();" for column in (2, 2))
    small.write_text(html_page("t", SECTIONS, FIGURES).replace("</body>", f"<script>{sorts}</script></body>"))
    dom = shown(browser, small, tmp_path / "profile")
    # weights and feed differ; F1 and memory are numbers
    assert dom.count('class="differs"') == 4 and dom.count('class="number"') == 4
    assert dom.index("1,000") < dom.index("0.5 ± 0.1")  # sorted by F1, downwards
    small.write_text(small.read_text().replace(sorts, "document.querySelectorAll('th')[4].click();"))
    dom = shown(browser, small, tmp_path / "profile")
    assert dom.index("829.0 MiB") < dom.index("1.50 GiB")  # upwards
    small.write_text(small.read_text().replace("const value", "const valeu"))
    with pytest.raises(AssertionError, match="value is not defined"):
        shown(browser, small, tmp_path / "profile")
