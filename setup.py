"""Has the schema compiled (proto/schema.py) when the package, or a checkout (`-e .`), is installed."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent / "proto"))


class BuildWithSchema(build_py):
    """The usual build, with the schema compiled before it."""

    def run(self) -> None:
        """Compiles, then builds as usual."""
        from schema import compile_schema  # needs what only the build installs

        compile_schema()
        super().run()


setup(cmdclass={"build_py": BuildWithSchema})
