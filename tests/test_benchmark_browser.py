"""The page in a real browser: it loads without errors, sorts, and prints."""

import re
import shutil
import subprocess
from html import escape

import numpy as np
import pandas as pd
import pytest

from skmm.benchmark import Results

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
)
# Clicks a head and leaves behind in which order the rows are.
PROBE = """<script>
const table = document.querySelector("table.sortable");
const told = [];
for (const [column, clicks] of [[1, 1], [1, 2], [0, 1], [0, 2]]) {
  const head = table.tHead.rows[0].cells[column];
  if (clicks === 1) head.querySelector("button").click();
  if (clicks === 2) head.querySelector("button").click();
  const names = [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
  told.push(head.getAttribute("aria-sort") + ":" + names.join(","));
}
const others = [...table.tHead.rows[0].cells].filter((c) => c.ariaSort !== "none").length;
document.body.dataset.told = told.join(";") + ";" + others;
</script>"""

WIDTHS = (320, 390, 1280)
# Leaves behind how wide the frames are, and by how much their content is wider.
MEASURE = """<style>iframe { border: 0; height: 800px }</style><script>
onload = () => {
  const pages = [...document.querySelectorAll("iframe")].map((f) => f.contentWindow);
  const widths = pages.map((p) => {
    const root = p.document.documentElement;
    return [p.innerWidth, root.scrollWidth - root.clientWidth];
  });
  document.body.dataset.told = widths.map(String).join(";");
};
</script>"""

# Leaves behind how many words are broken, how many texts of figures touch another one or stick out,
# how many words and texts there are, and how high the smallest text of a figure is.
LAYOUT = """<style>iframe { border: 0; height: 800px }</style><script>
const meet = (a, b, low, high) => a[low] < b[high] && b[low] < a[high];
const touch = (a, b) => meet(a, b, "left", "right") && meet(a, b, "top", "bottom");
const inside = (a, b) => a.left > b.left - 1 && a.right < b.right + 1 && a.bottom < b.bottom + 1;
const words = (page) => [...page.querySelectorAll("th, td.words, figcaption, p, li")]
  .flatMap((one) => [...one.childNodes].filter((node) => node.nodeType === 3))
  .flatMap((node) => [...node.data.matchAll(/[^\\s/–-]+/g)].map((found) => {
    const range = page.createRange();
    range.setStart(node, found.index);
    range.setEnd(node, found.index + found[0].length);
    return new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size;
  }));
const texts = (page) => [...page.querySelectorAll("figure svg")].flatMap((svg) => {
  const whole = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll("text")].map((text) => text.getBoundingClientRect());
  return boxes.map((a, i) => [
    !inside(a, whole) || boxes.some((b, j) => j !== i && touch(a, b)), a.height,
  ]);
});
onload = () => {
  const pages = [...document.querySelectorAll("iframe")].map((f) => f.contentWindow.document);
  document.body.dataset.told = pages.map((page) => {
    const found = words(page), drawn = texts(page);
    return [
      found.filter((n) => n > 1).length, drawn.filter(([bad]) => bad).length,
      found.length, drawn.length, Math.floor(Math.min(...drawn.map(([, height]) => height))),
    ];
  }).map(String).join(";");
};
</script>"""
NAMES_SHOWN = ("Logistic regression", "RFF + logistic regression", "MultimodalClassifier",
               "ConditionalGAN", "Logistic regression, labels shuffled")  # fmt: skip
SPREADS = {"energy_skill": (0.2, 0.1), "interval_error": (0.12, 0.08), "accuracy": (0.7, 0.2),
           "fit_seconds": (20, 19.9), "parameters": (6e5, 5.9e5)}  # fmt: skip

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"needs one of the browsers {NAMES}")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the path of a page whose methods win on 0, 1, 2, ... of the tasks."""
    noise = np.array([-0.02, 0.01, 0.0, 0.02, -0.01])
    frames = [
        pd.DataFrame({"value": 1 + (0.5 if i > t else -0.5) * (name != "base") + noise}).assign(
            task=f"task {t}",
            method=name,
            role="linear" if name == "base" else "deep",
            split=range(5),
            metric="total_correlation",
            kind="align",
            n_train=80,
            n_test=0,
        )
        for t in range(2)
        for i, name in enumerate(["base", "m10", "m9"])
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    Results(pd.concat(frames), baseline="base").to_html(path)
    return path


@pytest.fixture(scope="module")
def wide_page(tmp_path_factory):
    """Return the path of a page with long names and values, and axes of all sorts."""
    rng = np.random.default_rng(0)
    frames = [
        pd.DataFrame({"value": centre + spread * rng.uniform(-1, 1, 5)}).assign(
            task="patients of the clinic", method=name, metric=metric, split=range(5),
            role="linear" if i == 0 else "control" if i == 4 else "deep",
            kind="transfer", n_train=80, n_test=20, train_size=size,
        )
        for i, name in enumerate(NAMES_SHOWN)
        for metric, (centre, spread) in SPREADS.items()
        for size in (0.1, 0.15, 0.2, 1.0)
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("page") / "report.html"
    Results(pd.concat(frames)).to_html(path)
    return path


def browse(page, tmp_path, *flags):
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_page_sorts_without_errors(page, tmp_path):
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text("utf-8").replace("</body>", f"{PROBE}</body>"), "utf-8")
    dom, errors = browse(probed, tmp_path, "--dump-dom")
    assert errors == []
    told = re.search(r'data-told="([^"]*)"', dom)[1].split(";")
    assert told == [
        "descending:m9,m10",  # most wins first
        "ascending:m10,m9",
        "ascending:m9,m10",  # numbers in names count as numbers
        "descending:m10,m9",
        "1",  # one column says that it is sorted
    ]
    assert '<button type="button">' in dom  # scripts make the buttons work


def test_nothing_sticks_out_of_a_phone(page, tmp_path):
    # Windows have a least width, frames have none.
    text = escape(page.read_text("utf-8"))
    frames = "".join(f'<iframe width="{w}" srcdoc="{text}"></iframe>' for w in WIDTHS)
    wrapper = tmp_path / "frames.html"
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{frames}{MEASURE}", "utf-8")
    dom, errors = browse(wrapper, tmp_path, "--dump-dom", "--window-size=1400,900")
    assert errors == []
    told = re.search(r'data-told="([^"]*)"', dom)[1].split(";")
    assert [list(map(int, one.split(","))) for one in told] == [[w, 0] for w in WIDTHS]


def test_no_word_is_broken_and_no_texts_of_figures_touch(wide_page, tmp_path):
    text, widths = escape(wide_page.read_text("utf-8")), (320, 360, 400, 700, 1300, 1920)
    frames = "".join(f'<iframe width="{w}" srcdoc="{text}"></iframe>' for w in widths)
    wrapper = tmp_path / "frames.html"
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{frames}{LAYOUT}", "utf-8")
    dom, errors = browse(wrapper, tmp_path, "--dump-dom", "--window-size=2000,900")
    assert errors == []
    told = [
        list(map(int, one.split(",")))
        for one in re.search(r'data-told="([^"]*)"', dom)[1].split(";")
    ]
    assert [one[:2] for one in told] == [[0, 0]] * len(widths), dict(zip(widths, told, strict=True))
    assert all(n_words > 150 and n_texts > 80 for _, _, n_words, n_texts, _ in told), told
    assert all(9 <= height <= 22 for *_, height in told), told


def test_broken_words_and_touching_texts_would_be_seen(wide_page, tmp_path):
    text = wide_page.read_text("utf-8").replace(
        "</style>",
        "th { word-break: break-all; max-width: 2rem } svg text { font-size: 20px !important }"
        "</style>",
    )
    wrapper = tmp_path / "frames.html"
    frame = f'<iframe width="400" srcdoc="{escape(text)}"></iframe>'
    wrapper.write_text(f"<!doctype html><meta charset=utf-8><body>{frame}{LAYOUT}", "utf-8")
    dom, _ = browse(wrapper, tmp_path, "--dump-dom", "--window-size=2000,900")
    broken, touching, *_ = map(int, re.search(r'data-told="([^"]*)"', dom)[1].split(","))
    assert broken
    assert touching


def test_errors_of_scripts_would_be_seen(page, tmp_path):
    broken = tmp_path / "broken.html"
    text = page.read_text("utf-8").replace("</body>", "<script>missing()</script></body>")
    broken.write_text(text, "utf-8")
    assert any("missing" in line for line in browse(broken, tmp_path, "--dump-dom")[1])


def test_light_dark_and_print(page, tmp_path):
    pictures = {}
    for scheme in (0, 1):  # dark, light
        file = tmp_path / f"{scheme}.png"
        flags = (f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={file}")
        assert browse(page, tmp_path, *flags, "--window-size=390,900")[1] == []
        pictures[scheme] = file.read_bytes()
        assert pictures[scheme].startswith(b"\x89PNG")
    assert pictures[0] != pictures[1]
    file = tmp_path / "page.pdf"
    browse(page, tmp_path, f"--print-to-pdf={file}")
    assert file.read_bytes().startswith(b"%PDF")
