"""Reports: verdicts first, then figures, tables and provenance.

They are given their :class:`Content`, and know nothing of the results that it was taken from.
"""

from skmm.benchmark._report._content import Content
from skmm.benchmark._report._html import html
from skmm.benchmark._report._markdown import markdown, pipe_table
from skmm.benchmark._report._sections import Report

__all__ = ["Content", "Report", "html", "markdown", "pipe_table"]
