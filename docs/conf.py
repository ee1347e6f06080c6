"""Settings of the site that `make docs` builds with Sphinx: pages in Markdown, references from the code.

The Markdown has no directives, so that it reads well on a code host, too. What the site needs beyond it is
made by the extensions beside this file; each says at its top what it does.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import pycaffe_lite

project = "pycaffe-lite"
release = version = pycaffe_lite.__version__
project_copyright = "the authors of pycaffe-lite"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "contents",
    "docstrings",
    "generated",
    "repository",
    "self_contained",
]
exclude_patterns = ["_build"]
smartquotes = False  # two dashes are an option's
default_role = "code"  # in docstrings, `x` is code
highlight_language = "none"  # of blocks that name no language
# Headings get the names that code hosts give them, so that links to them lead there in both places.
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # CHANGELOG.md begins its sections where the format that it keeps says

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures get shorter; docstrings name what matters, with shapes
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
add_module_names = False
maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"pycaffe-lite {version}"
html_copy_source = False
html_show_search_summary = False  # it is fetched from the pages, which browsers allow on a server only
html_show_sphinx = False
# No fonts, scripts or pictures from elsewhere: the pages work from a folder on disk.
html_static_path = ["static"]
html_css_files = ["site.css"]
# Links to source files, see extensions/repository.py.
myst_url_schemes = {"http": None, "https": None, "source": "{{path}}#{{fragment}}"}
