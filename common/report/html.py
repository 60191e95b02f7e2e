"""PURE: the sections of a page -> index.html, one file that needs no network: tables that sort, figures within."""

import base64
import html
from collections.abc import Iterable

from markdown_it import MarkdownIt

from common.report.markdown import Section

STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #f5c54233; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .6rem; text-align: left; vertical-align: top; }
th { cursor: pointer; }
th:first-child, td:first-child { position: sticky; left: 0; background: Canvas; }
th[aria-sort=ascending]::after { content: " \\2191"; }
th[aria-sort=descending]::after { content: " \\2193"; }
td.number { text-align: right; white-space: nowrap; }
td.differs { background: var(--mark); }
img { max-width: 100%; height: auto; background: #fff; }
pre { white-space: pre-wrap; padding: .6rem; border: 1px solid var(--line); }
summary { font-size: 1.3rem; font-weight: bold; cursor: pointer; margin: 1rem 0; }
@media print {
  @page { size: A4 landscape; margin: 1cm; }
  body { font-size: 9px; max-width: none; }
  .scroll { overflow: visible; }
  table { font-size: 7px; overflow-wrap: anywhere; }
  th, td { padding: 1px 2px; }
  td.number { overflow-wrap: normal; }
  img { max-height: 15cm; }
  th:first-child, td:first-child { position: static; }
}
"""

SCRIPT = """
const units = {KiB: 1, MiB: 1024, GiB: 1048576};
const value = cell => { const text = cell.textContent.replaceAll(",", "");  // a number with its interval, share or unit
  const n = /^([-+]?[\\d.]+)( ?%| ±.*| [KMG]iB| \\(\\d+%\\)| \\[[^\\]]*\\])?$/.exec(text);
  return n ? n[1] * (units[(n[2] || "").trim()] || 1) : text === "–" ? -Infinity : text; };
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], rows = body ? [...body.rows] : [];
  const highlight = table.classList.contains("highlight");
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const cells = rows.map(row => row.cells[i]);
    const numbers = cells.every(cell => typeof value(cell) === "number");
    if (i && numbers) cells.forEach(cell => cell.classList.add("number"));
    if (i && !numbers && highlight && new Set(cells.map(cell => cell.textContent).filter(text => text !== "–")).size > 1)
      cells.forEach(cell => cell.textContent !== "–" && cell.classList.add("differs"));
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = (a, b) => { const x = value(a.cells[i]), y = value(b.cells[i]);
        return typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1; };
      body.append(...[...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => event.key === "Enter" && sort());
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(part => part.open = true));
"""


def html_page(title: str, sections: Iterable[Section], figures: dict[str, bytes]) -> str:
    """title: of the window. figures: PNGs by their names in the sections."""
    md = MarkdownIt("commonmark", {"html": False}).enable("table")
    md.add_render_rule("table_open", _table_open)
    md.add_render_rule("table_close", lambda *_: "</table></div>\n")
    body = "".join(_rendered(md, section, figures) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n<body>\n{body}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _table_open(_renderer: object, _tokens: object, _index: int, _options: object, env: dict[str, bool]) -> str:
    marked = ' class="highlight"' if env["highlight"] else ""
    return f'<div class="scroll"><table{marked}>\n'


def _rendered(md: MarkdownIt, section: Section, figures: dict[str, bytes]) -> str:
    tokens, env = md.parse(section.text), {"highlight": section.highlight}
    for token in (child for block in tokens for child in block.children or ()):
        if token.type == "image":
            data = figures[str(token.attrs["src"])]
            token.attrs["src"] = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    if not section.folded:
        return md.renderer.render(tokens, md.options, env)
    heading, rest = tokens[1], tokens[3:]  # the second of the heading's three tokens holds its text
    inside = md.renderer.render(rest, md.options, env)
    return f"<details><summary>{html.escape(heading.content)}</summary>\n{inside}</details>\n"
