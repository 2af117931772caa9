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
