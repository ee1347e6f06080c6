"""Tests on other people's models run where the folder that holds these is named in PYCAFFE_LITE_SHARED."""

import os

collect_ignore = [] if os.environ.get("PYCAFFE_LITE_SHARED") else ["test_real.py", "test_wild.py"]
