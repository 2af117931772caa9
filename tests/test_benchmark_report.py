"""The reports say what the numbers say, of every frame."""

import re
import sys
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skmm.benchmark import Results, corrected_interval
from skmm.benchmark._frames import Curve, TaskInfo
from skmm.benchmark._metrics import METRICS
from skmm.benchmark._report._figures import COLOURS, training_curves
from skmm.benchmark._report._sections import _protocol
from skmm.benchmark._report._verdicts import listed

NOISE = np.array([-0.02, 0.01, 0.0, 0.02, -0.01])
BASE = 3 + 10 * NOISE  # differs more between splits than within them
ROLES = {"CCA": "linear", "DeepCCA": "deep", "RFF + CCA": "nonlinear", "control": "control"}


def rows(method, values, task="digits", metric="total_correlation", **columns):
    """Return rows of a frame, one per split."""
    known = {"kind": "align", "role": ROLES.get(method, "deep"), "n_train": 80, "n_test": 20}
    known |= {"status": "ok", "error": "", "family": "", "n_candidates": 1, "train_size": 1.0}
    known |= {"seed": 0, "chance": np.nan}
    known |= {"task": task, "method": method, "metric": metric, "value": values}
    return pd.DataFrame({**known, **columns, "split": range(len(values)), **columns})


def failing(frame, splits, error="Traceback: no", status="failed"):
    """Return rows that failed on some splits."""
    frame = frame.copy()
    frame.loc[frame["split"].isin(splits), ["value", "status", "error"]] = [np.nan, status, error]
    return frame


def results(*frames, **options):
    return Results(pd.concat(frames), **options)


def two(difference, **options):
    """Return results of a baseline and a deep method."""
    return results(rows("CCA", BASE), rows("DeepCCA", BASE + difference), **options)


def verdict(found):
    return found.report().verdicts[0]


def test_win():
    found = two(1 + NOISE)
    low, high = corrected_interval(1 + NOISE, 80, 20)
    assert verdict(found).outcome == "win"
    assert verdict(found).text == (
        f"DeepCCA beats CCA by 1.00 [{low:.2f}, {high:.2f}] (total correlation 4.00 against 3.00)."
    )


def test_time_cheap_method_and_budget():
    tried = rows("DeepCCA", BASE + 1 + NOISE).assign(n_candidates=5)
    seconds = [
        rows(name, [value] * 5, metric="fit_seconds")
        for name, value in {"CCA": 0.5, "DeepCCA": 20.0, "RFF + CCA": 1.0}.items()
    ]
    cheap = rows("RFF + CCA", BASE + 1.25)
    text = verdict(results(rows("CCA", BASE), tried, cheap, *seconds)).text
    assert ", at 40× the time. " in text
    assert "RFF + CCA, which is not deep, gets 4.25." in text
    assert text.endswith("CCA was tuned over fewer settings (1 against 5).")
    worse = rows("RFF + CCA", BASE + 0.9)
    text = verdict(results(rows("CCA", BASE).assign(n_candidates=5), tried, worse)).text
    assert "not deep" not in text
    assert "fewer settings" not in text
    assert "the time" not in text


def test_loss():
    found = verdict(two(-1 + NOISE))
    low, high = corrected_interval(1 + NOISE, 80, 20)
    assert found.outcome == "loss"
    expected = f"DeepCCA does not beat CCA: it loses by 1.00 [{low:.2f}, {high:.2f}] "
    assert found.text == expected + "(total correlation 2.00 against 3.00)."


def test_unclear():
    found = verdict(two(0.1 + 20 * NOISE))
    low, high = corrected_interval(0.1 + 20 * NOISE, 80, 20)
    assert found.outcome == "unclear"
    assert found.text == (
        f"No clear difference: DeepCCA − CCA is +0.10 [−{-low:.2f}, +{high:.2f}] "
        "(total correlation 3.10 against 3.00)."
    )


def test_tie():
    frames = [rows(name, 0.9 + 0.01 * NOISE, metric="accuracy") for name in ("CCA", "DeepCCA")]
    frames[1]["value"] += 0.001 + 0.001 * NOISE
    found = verdict(results(*frames))
    assert found.outcome == "tie"
    assert found.text.startswith(
        "DeepCCA and CCA are equal within the margin of 0.5 points: DeepCCA − CCA is +0.1 points ["
    )


def test_holm_is_told_where_it_changes_the_verdict():
    # An interval that barely excludes 0, among many tasks that show nothing.
    frames = [rows("CCA", BASE), rows("DeepCCA", BASE + 1 + 20 * NOISE)]
    for i in range(8):
        more = [rows("CCA", BASE), rows("DeepCCA", BASE - 1 + 60 * NOISE[::-1])]
        frames += [frame.assign(task=f"other {i}") for frame in more]
    found = results(*frames)
    row = found.summary().set_index(["task", "method"]).loc[(frames[0]["task"].iloc[0], "DeepCCA")]
    assert row["low"] > 0
    assert row["p_holm"] > 0.05
    assert (
        "excludes 0, but not after Holm's correction for the number of tasks "
        f"(p = {row['p_holm']:.2g})" in verdict(found).text
    )


def test_small_but_certain():
    found = verdict(two(0.04 + 0.5 * NOISE, margin={"total_correlation": 0.045}))
    assert found.outcome == "tie"
    assert found.text.endswith("There is a difference, but its mean is smaller than the margin.")


def test_lower_is_better():
    frames = [rows("CCA", BASE / 10, metric="foscttm")]
    frames += [rows("DeepCCA", BASE / 10 - 0.1 + NOISE / 10, metric="foscttm")]
    found = verdict(results(*frames))
    assert found.outcome == "win"
    assert found.text.startswith("DeepCCA beats CCA by 0.100 [0.09")
    assert "(FOSCTTM 0.200 against 0.300; lower is better)" in found.text


def test_best_deep_method_challenges_and_without_one_the_best_other():
    cheap = rows("RFF + CCA", BASE + 2)
    found = results(rows("CCA", BASE), rows("VAE", BASE - 1), rows("DeepCCA", BASE + 1), cheap)
    assert verdict(found).challenger == "DeepCCA"
    assert verdict(results(rows("CCA", BASE), cheap)).challenger == "RFF + CCA"
    floor = rows("noise", BASE, role="floor")
    assert verdict(results(rows("CCA", BASE), floor)).text == (
        "CCA is the only method with a full total correlation: 3.00."
    )


def test_failures_are_named():
    vae = failing(rows("VAE", BASE + 9), [0, 3])
    slow = failing(rows("slow", BASE), range(5), status="timeout")
    found = results(rows("CCA", BASE), rows("DeepCCA", BASE + 1 + NOISE), vae, slow)
    assert verdict(found).challenger == "DeepCCA"
    assert verdict(found).text.endswith("VAE failed on 2 of 5 splits. slow ran out of time.")
    assert "failed on splits 1, 4" in found.to_html()
    assert "2 of 5 failed" in found.to_markdown()


def test_one_traceback_is_shown_once():
    frames = [failing(rows(name, BASE, task=task), [1, 2]) for task in "ab" for name in ("X", "Y")]
    found = results(*frames)
    (failure,) = found.report().failures
    assert failure.places == [f"{m} on {t}: failed on splits 2, 3" for t in "ab" for m in "XY"]
    assert found.to_html().count("Traceback: no") == found.to_markdown().count("Traceback: no") == 1


def test_everything_failed():
    found = results(failing(rows("CCA", BASE), range(5)), failing(rows("DeepCCA", BASE), range(5)))
    assert verdict(found).outcome == ""
    assert verdict(found).text == (
        "No method has a full total correlation. CCA failed. DeepCCA failed."
    )
    assert "Traceback: no" in found.to_html()
    assert "| CCA" in found.to_markdown()


def test_baseline_that_failed():
    frames = [failing(rows("CCA", BASE), [0]), rows("DeepCCA", BASE), rows("VAE", BASE + 1)]
    found = verdict(results(*frames, baseline="CCA"))
    assert found.text == (
        "There is no baseline to compare with. VAE has the best total correlation: 4.00. CCA "
        "failed on 1 of 5 splits."
    )


def test_likelihoods_of_different_families_stay_apart():
    options = {"metric": "log_likelihood"}
    frames = [rows("CCA", BASE, family="Gaussian", **options)]
    frames += [rows("DeepCCA", BASE + 1 + NOISE, family="Gaussian", **options)]
    frames += [rows("VAE", BASE + 50, family="Bernoulli", **options)]
    found = results(*frames)
    assert verdict(found).challenger == "DeepCCA"
    assert verdict(found).text.endswith(
        "Likelihoods of different families are not ranked together: VAE (Bernoulli) stands apart."
    )
    assert not any(e.strong for row in found.report().sections[0].means.rows for e in row)
    alone = verdict(results(frames[0], frames[2]))
    assert alone.text.startswith("No method can be compared with CCA, whose log-likelihood is 3.00")
    many = [frame.assign(task=f"task {i}") for i in range(8) for frame in frames]
    assert results(*many).report().rank_diagrams == []


def test_one_split_is_too_few():
    found = results(rows("CCA", [3.0]), rows("DeepCCA", [4.0]), rows("control", [0.0], chance=0.0))
    assert verdict(found).outcome == ""
    assert verdict(found).text == (
        "No interval, because there are too few splits or their sizes are unknown: DeepCCA − CCA "
        "is +1.00 (total correlation 4.00 against 3.00)."
    )
    assert (
        found.report().sections[0].control.text == "There are too few splits to check the control."
    )
    assert "nan" not in found.to_html().lower()


@pytest.mark.parametrize(("value", "passed"), [(0.0, True), (1.0, False)])
def test_control(value, passed):
    control = rows("control", value + NOISE, chance=0.0)
    found = results(rows("CCA", BASE), rows("DeepCCA", BASE), control)
    section = found.report().sections[0]
    assert section.control.passed is passed
    for text in (found.to_html(), found.to_markdown()):
        assert ("NOT at chance in total correlation: do not trust" in text) is not passed
        assert ("✓ at chance" in text) is passed
    assert "not checked by a control: none was run" in two(NOISE).to_html()


def test_bare_frame():
    frame = pd.DataFrame(
        {"task": "mine", "method": ["a", "b"] * 2, "split": [0, 0, 1, 1], "metric": "gain"}
    ).assign(value=[1.0, 2.0, 1.1, 2.3])
    found = Results.from_frame(frame)
    assert verdict(found).theme == "Gain"
    # Without numbers of rows there is no correction, so no interval.
    assert "b − a is +1.100 (gain 2.150 against 1.050)" in verdict(found).text
    assert "nan" not in found.to_html().lower()
    assert "2 splits." in found.to_markdown()
    assert "into" not in found.report().sections[0].protocol


class Page(HTMLParser):
    """Checks that tags close in order; collects links and texts."""

    def __init__(self, html):
        super().__init__()
        self.links, self.open, self.ids, self.text = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "poster")]
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        self.text.append(data)


@cache
def rich():
    """Return results with everything that a report can have, and names that are markup."""
    names = {"CCA": "linear", "<b>Deep|CCA</b>": "deep", "RFF + CCA": "nonlinear"}
    frames = []
    for t in range(8):
        for i, (name, role) in enumerate(names.items()):
            for size in (0.5, 1.0):
                values = {"total_correlation": BASE + i * size, "fit_seconds": BASE}
                for metric, value in values.items():
                    columns = {"role": role, "train_size": size, "metric": metric}
                    columns["n_train"] = int(80 * size)
                    frames.append(rows(name, value + NOISE * i, task=f"<i>task {t}", **columns))
    trace = "```\n<script>alert(1)</script> & more"
    frames.append(failing(rows("broken", BASE, task="<i>task 0"), [2], trace))
    curve = {"epoch": [1.0, 2.0, 3.0], "train_loss": [3.0, 2.0, 1.0], "valid_loss": [3.0, 2.5, 2.4]}
    return results(
        *frames,
        notes=["a <u>note</u>"],
        warnings={"Warning: <odd>": ["x: y"]},
        provenance={"command": "run <me>"},
        curves=[Curve("<i>task 0", "<b>Deep|CCA</b>", s, 0, curve) for s in range(5)],
    )


@cache
def rich_page():
    return rich().to_html()


def lines_of(picture):
    """Return what a figure draws: arrays x, y of every line with data."""
    drawn = [line.get_data() for line in picture.draw().axes[0].lines]
    return [(np.asarray(x, float), np.asarray(y, float)) for x, y in drawn if len(x)]


def test_html_is_one_well_formed_page_without_external_files():
    html = rich_page()
    page = Page(html)
    assert page.open == []
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert not re.search(r"https?://|@import|url\((?!#)|<link|<img|\ssrc=", html)
    assert html.count("<script") == 1
    assert "<script>alert" not in html
    assert not re.search(r"<(b|i|u|odd|me)>", html)
    text = "".join(page.text)
    for shown in ("<i>task 0", "<b>Deep|CCA</b>", "a <u>note</u>", "run <me>", "<odd>"):
        assert shown in text
    assert "<script>alert(1)</script> & more" in text
    assert html.index("&lt;b&gt;Deep|CCA&lt;/b&gt; beats CCA") < html.index("<table")


def test_markdown_cannot_be_broken_by_names():
    text = rich().to_markdown()
    assert "\n````\n```\n<script>alert(1)</script> & more\n````\n" in text
    outside = text.replace("<script>alert(1)</script>", "")
    assert not re.search(r"<\w", outside)
    table = next(part for part in text.split("\n\n") if part.startswith("| method") and "±" in part)
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
    assert len(widths) == 1


def test_tables_have_the_numbers_of_the_summary():
    found = rich()
    for text in (rich_page(), found.to_markdown()):
        for row in found.summary().query("method == 'CCA' and role == 'linear'").itertuples():
            metric = METRICS[row.metric]
            assert f"{metric.text(row.mean)} ± {metric.text(row.std_splits)}" in text


def test_seeds_and_splits_are_kept_apart():
    seeds = [rows("CCA", BASE + s, seed=s) for s in (0, 2)]
    found = results(*seeds, rows("DeepCCA", BASE), rows("DeepCCA", BASE, seed=2))
    assert f"4.00 ± {BASE.std(ddof=1):.2f} (± {np.sqrt(2):.2f})" in found.to_html()
    assert "2 seeds on each" in found.to_markdown()


def test_rank_diagram_only_from_eight_tasks_on():
    found = rich()
    (picture,) = found.report().rank_diagrams
    ranks = found.ranks("total_correlation")
    assert f"critical difference at 5 %: {ranks.critical_difference:.2f}" in picture.note
    assert picture.note.endswith(f"p = {ranks.p_value:.2g}.")
    named = [part.rsplit(": ", 1) for part in picture.words.split("; ")]
    assert named == [[name, f"{rank:.2f}"] for name, rank in ranks.mean.items()]
    frame = found.results_
    seven = Results(frame[frame["task"] != "<i>task 7"])
    assert seven.report().rank_diagrams == []
    assert "critical difference" not in seven.to_html()
    assert "Wins, ties, losses" in seven.to_html()


def test_bars_of_ranks_overlap_within_the_critical_difference():
    frames = [
        rows(f"m{i}", BASE + (i % 3) * (-1) ** t + i // 3 * 9, task=f"t{t}", role="deep")
        for t in range(40)
        for i in range(6)
    ]
    found = results(*frames)
    ranks = found.ranks("total_correlation")
    (picture,) = found.report().rank_diagrams
    bars = [x for x, _ in lines_of(picture) if len(x) == 2 and not np.array_equal(x, [0, 1])]
    names = list(ranks.mean)
    assert len(bars) == len(names)
    groups = set()
    for i, one in enumerate(names):
        overlapping = [
            o for j, o in enumerate(names) if abs(bars[i] - bars[j]).max() < np.ptp(bars[i])
        ]
        within = [
            o for o in names if abs(ranks.mean[o] - ranks.mean[one]) < ranks.critical_difference
        ]
        assert overlapping == within
        groups.add(tuple(sorted(within)))
    assert sorted(groups) == [("m0", "m1", "m2"), ("m3", "m4", "m5")]


def test_strips_and_forests_show_the_values():
    found = rich().report().pictures("<i>task 0")
    strips, costs = found.strips
    assert strips.title == "total correlation"
    names = [text.get_text() for text in strips.draw().axes[0].texts[::2]]
    assert names == ["CCA", "<b>Deep|CCA</b>", "RFF + CCA", "broken"]
    shown = [x for x, _ in lines_of(strips)]
    np.testing.assert_allclose(shown[1], BASE)
    np.testing.assert_allclose(shown[3], [BASE.mean()])
    (forest,) = found.forests
    summary = rich().summary().query("task == '<i>task 0' and metric == 'total_correlation'")
    expected = summary.dropna(subset="difference")[["low", "high"]].to_numpy()
    bars = [x for x, _ in lines_of(forest) if len(x) == 2 and not np.array_equal(x, [0, 1])]
    np.testing.assert_allclose(bars, expected)
    assert "broken: 0.00 [0.00, 0.00] ✗" in forest.words
    assert costs.draw().axes[0].get_xscale() == "log"
    assert strips.draw().axes[0].get_xscale() == "linear"


def test_shares_are_in_percent_and_chance_and_baseline_are_marked():
    frames = [rows(name, 0.9 + NOISE, metric="accuracy", chance=0.5) for name in ("CCA", "DeepCCA")]
    found = results(*frames).report().pictures("digits")
    (strips,), (forest,) = found.strips, found.forests
    places = {x[0] for lines in strips.draw().axes[0].collections for x in lines.get_segments()[0]}
    assert sorted(places) == pytest.approx([50, 90])
    low, high = (
        p.get_x() + k * p.get_width() for p in forest.draw().axes[0].patches[:1] for k in (0, 1)
    )
    assert (low, high) == pytest.approx((-0.5, 0.5))  # the margin in points


def test_a_method_without_values_says_why():
    frame = rows("PLS", [np.nan] * 5, status="not applicable", error="needs two modalities")
    (strips,) = two(NOISE).report().pictures("digits").strips
    assert "PLS" not in strips.words
    (strips,) = results(rows("CCA", BASE), frame).report().pictures("digits").strips
    assert strips.words == "CCA: 3.00; PLS: not for these data"


def test_learning_and_training_curves():
    found = rich().report().pictures("<i>task 0")
    (chart,) = found.learning
    axes = chart.draw().axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["40", "80"]
    names = axes.get_legend_handles_labels()[1]
    drawn = dict(zip(names, [line for line in axes.lines if len(line.get_xdata())], strict=True))
    assert len({(line.get_color(), line.get_marker()) for line in drawn.values()}) == len(drawn)
    np.testing.assert_allclose(np.asarray(drawn["RFF + CCA"].get_ydata(), float), [4, 5])
    bars = [np.ptp(bar[:, 1]) for lines in axes.collections for bar in lines.get_segments()]
    np.testing.assert_allclose(bars[:2], 2 * BASE.std(ddof=1))
    (chart,) = found.training
    assert chart.note == "validation loss, a line for each fit"
    curves = [np.asarray(y) for _, y in lines_of(chart)]
    np.testing.assert_array_equal(curves, [[3.0, 2.5, 2.4]] * 5)
    assert two(NOISE).report().pictures("digits").learning == []
    only = Curve("t", "net", 0, 0, {"train_loss": [2.0, 1.0]})
    (chart,) = training_curves([only] * 12)
    assert chart.note == "training loss, a line for each fit, the first 10 of 12 fits"


def test_figures_are_the_same_bytes_in_the_colours_of_the_page(monkeypatch):
    import matplotlib as mpl

    picture = two(NOISE).report().pictures("digits").strips[0]
    svg = picture.svg("a")
    monkeypatch.setitem(mpl.rcParams, "font.size", 30)  # a user's own setting
    monkeypatch.setitem(mpl.rcParams, "svg.fonttype", "path")
    assert picture.svg("a") == svg
    assert mpl.rcParams["font.size"] == 30
    assert not re.search("#[0-9a-f]{6}", svg)
    assert set(re.findall(r"var\(--(\w+)\)", svg)) <= {*COLOURS, "font"}
    assert ">DeepCCA<" in svg


def test_figures_have_words_and_names_of_their_own():
    ids = Page(rich_page()).ids
    assert len(ids) == len(set(ids))
    labels = re.findall(r'<div role="img" aria-label="([^"]*)">\s*<svg', rich_page())
    assert len(labels) == rich_page().count("<svg")
    assert any("RFF + CCA: 5.00" in label for label in labels)


def test_names_of_any_length_leave_room_for_the_value():
    long = "a method of a very long name that nobody would ever shorten by hand"
    (forest,) = (
        results(rows("CCA", BASE), rows(long, BASE + NOISE)).report().pictures("digits").forests
    )
    name, value = (text.get_text() for text in forest.draw().axes[0].texts)
    assert name.endswith("…")
    assert long.startswith(name[:-1])
    assert 40 < len(name) + len(value) < 50
    assert long in forest.words


def test_names_keep_their_case_in_the_report():
    info = TaskInfo("t", "align", [], [], modalities=["RNA", "mri"], target="RNA")
    text = _protocol(info, rows("CCA", BASE), rows("CCA", BASE))
    assert text.startswith("Kind “align”; modalities RNA, mri; target RNA;")


def test_methods_that_are_not_for_the_data_say_why():
    frame = rows("PLS", [np.nan] * 5, status="not applicable", error="needs two modalities")
    found = results(rows("CCA", BASE), rows("DeepCCA", BASE), frame)
    assert "PLS is not for these data: needs two modalities" in found.to_markdown()
    assert "n/a" in found.to_markdown()
    assert found.report().failures == []


def test_listed():
    assert listed(["a"]) == "a"
    assert listed("abc") == "a, b and c"


@pytest.mark.parametrize("module", ["jinja2", "matplotlib"])
def test_missing_extras_say_how_to_get_them(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'{module}: pip install "skmm\[benchmark\]"'):
        two(NOISE).to_html()
    assert "DeepCCA" in two(NOISE).to_markdown()
