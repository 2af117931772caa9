"""How Sphinx builds the site; `make docs` calls it with warnings as errors."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import skmm

project = "skmm"
author = "The skmm developers"
copyright = "2026, The skmm developers"
version = release = skmm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "docstrings",
    "mathml",
    "overview",
    "repository_links",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "examples", "auto_examples/**/*.ipynb"]
default_role = "literal"
smartquotes = False
nitpicky = True
nitpick_ignore_regex = [  # other projects; resolved only where their inventories are at hand
    ("py:.*", r"(numpy|scipy|sklearn|pandas|torch|skorch|matplotlib|joblib|dask)\..*"),
]
if os.environ.get("SKMM_INTERSPHINX"):  # fetches the inventories of other projects
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

# Markdown: headings get anchors, ::: opens directives, $ formulas.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

# API: one page per public name, which follows __all__.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "gallery_order.TeachingOrder",
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_signature": False,
    "doc_module": ("skmm",),
    "backreferences_dir": "api/generated/backreferences",
    "inspect_global_variables": False,
    "nested_sections": False,
    "write_computation_times": False,
    "matplotlib_animations": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "skmm"
html_static_path = ["_static"]
html_css_files = ["skmm.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "getting_started": [], "changelog": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
