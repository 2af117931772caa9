"""Suites: tasks that are run by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial

import skmm.benchmark._suite_tasks as of
from skmm.benchmark._tasks import Task
from skmm.datasets._base import _REGISTERED, find_local


@dataclass(frozen=True)
class Source:
    """How to get a task of a suite.

    Parameters
    ----------
    name : str
        Name of the task.
    summary : str
        What it is, for the list of suites.
    load : callable
        ``load()`` returns the task, or raises FileNotFoundError if its files are not there.
    files : tuple of str, default=()
        How the paths of the files that it needs begin, within the folder of the data.
    """

    name: str
    summary: str
    load: Callable[[], Task]
    files: tuple[str, ...] = ()

    def is_there(self) -> bool:
        """Return whether the files are on this machine."""
        needed = [path for path in _REGISTERED if self.files and path.startswith(self.files)]
        if all(find_local(path, None) is not None for path in needed):
            return True  # without reading them
        try:  # some come in other forms as well
            self.load()
        except FileNotFoundError:
            return False
        return True


def load_suite(suite: str, patterns: Sequence[str] = ()) -> tuple[list[Task], dict[str, str]]:
    """Return the tasks of a suite whose files are there, and why others are left out.

    Nothing is downloaded. Patterns as of file names choose tasks; none take all.
    """
    tasks, absent = [], {}
    for source in find_sources(suite, patterns):
        try:
            tasks.append(source.load())
        except FileNotFoundError:
            absent[source.name] = (
                "its files are not on this machine. Set the environment variable SKMM_DATA to the "
                "folder of the data, or let the fetchers of skmm.datasets download them."
            )
    return tasks, absent


def find_sources(suite: str, patterns: Sequence[str] = ()) -> list[Source]:
    """Return the sources of a suite that match a pattern, or say which there are."""
    if suite not in SUITES:
        raise ValueError(f"suite={suite!r} is unknown; valid suites are {list(SUITES)}.")
    sources = SUITES[suite]
    for pattern in patterns:
        if not any(matches(source.name, pattern) for source in sources):
            raise ValueError(
                f"No task of the suite {suite!r} matches {pattern!r}; its tasks are "
                f"{[source.name for source in sources]}."
            )
    return [s for s in sources if not patterns or any(matches(s.name, p) for p in patterns)]


def matches(name: str, pattern: str) -> bool:
    """Return whether a name is what a pattern such as ``digits*`` means, in either case."""
    return fnmatch(name.lower(), pattern.lower())


def _of_views(name: str, what: str, *kinds: str) -> list[Source]:
    return [
        Source(f"{name} {k}", what, partial(of.many_views, name, what, k), (f"mvclust/{name}.",))
        for k in kinds
    ]


def _of(folder: str, what: str, loads: Mapping[str, Callable[[], Task]]) -> list[Source]:
    return [Source(name, what, load, (f"{folder}/",)) for name, load in loads.items()]


_DIGITS = (
    Source("digits align", "two halves of digits", partial(of.digits, "align")),
    Source("digits fuse", "two halves of digits", partial(of.digits, "fuse")),
    Source(
        "digits transfer", "the right from the left half", partial(of.digits, "transfer", "right")
    ),
    Source("digits classify", "two halves of digits", partial(of.digits, "classify")),
)
# Fewer rows save half of the time where networks take most of it.
_QUICK = {
    "digits align": partial(of.digits, "align", None, 1000),
    "digits fuse": partial(of.digits, "fuse", None, 1000),
    "digits transfer": partial(of.digits, "transfer", "right", 1000),
}
_SPOKEN = Source(
    "spoken digits align", "spoken and written digits", of.spoken_digits, ("fsdd/", "mnist/")
)
SUITES: dict[str, tuple[Source, ...]] = {
    "quick": tuple(replace(s, load=_QUICK.get(s.name, s.load)) for s in _DIGITS),
    "full": (
        *_DIGITS,
        *_of(
            "mfeat",
            "five descriptions of handwritten digits",
            {f"mfeat {kind}": partial(of.mfeat, kind) for kind in ("align", "fuse", "classify")},
        ),
        *_of("wikipedia", "images and texts", {"Wikipedia align": of.wikipedia}),
        *_of(
            "mnist",
            "two halves of 5000 larger digits",
            {
                "MNIST halves align": partial(of.mnist, "align"),
                "MNIST halves transfer": partial(of.mnist, "transfer", "right"),
            },
        ),
        _SPOKEN,
        *_of(
            "nutrimouse",
            "genes and fatty acids of 40 mice",
            {
                "nutrimouse align": partial(of.nutrimouse, "align"),
                "nutrimouse transfer": partial(of.nutrimouse, "transfer", "lipid"),
                "nutrimouse classify": partial(of.nutrimouse, "classify"),
            },
        ),
        *_of("russett", "three blocks about 47 countries", {"Russett align": of.russett}),
        *_of(
            "singlecell/snareseq",
            "expression and accessibility of 1047 cells",
            {
                "SNARE-seq align": partial(of.snareseq, "align"),
                "SNARE-seq transfer": partial(of.snareseq, "transfer", "rna"),
            },
        ),
        *_of(
            "singlecell/scgem",
            "expression and methylation of 177 cells",
            {
                "scGEM align": partial(of.scgem, "align"),
                "scGEM transfer": partial(of.scgem, "transfer", "expression"),
            },
        ),
        *_of(
            "breast_tcga",
            "genes, microRNAs and proteins of 220 cancers",
            {
                "breast TCGA fuse": partial(of.breast_tcga, "fuse"),
                "breast TCGA classify": partial(of.breast_tcga, "classify"),
            },
        ),
        *_of("cll_partial", "drugs and mutations of leukaemias", {"CLL classify": of.cll}),
        *_of_views("100Leaves", "leaves of 100 species in three ways", "fuse", "classify"),
        *_of_views("MSRCV1", "images of 7 kinds of objects in six ways", "fuse", "classify"),
        *_of_views("ORL", "images of the faces of 40 people in four ways", "classify"),
        *_of_views("Scene-15", "images of 15 kinds of scenes in three ways", "classify"),
        *_of_views("LandUse-21", "aerial images of 21 uses of land in three ways", "classify"),
        *_of_views("BBCSport", "articles about five sports in two segments", "classify"),
        *(
            Source(f"{name} transfer", "simulated, the truth is known", partial(of.simulated, name))
            for name in ("circle", "branches", "heteroscedastic", "correlated")
        ),
    ),
}
