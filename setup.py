"""Compiles proto/caffe.proto whenever the package is built or installed, a checkout (`-e .`) included."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
SCHEMA = HERE / "proto" / "caffe.proto"
TARGET = HERE / "pycaffe_lite" / "proto"


def compile_schema() -> None:
    """Writes caffe.desc, the schema's descriptors, and caffe_pb2.pyi, its types, into the package."""
    from grpc_tools import protoc

    arguments = [
        "protoc",
        f"--proto_path={SCHEMA.parent}",
        f"--descriptor_set_out={TARGET / 'caffe.desc'}",
        "--include_source_info",  # the comments, which `pycaffe-lite layers` shows
        f"--pyi_out={TARGET}",
        SCHEMA.name,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit(f"cannot compile {SCHEMA}")


class BuildWithSchema(build_py):
    """The usual build, with the schema compiled before it."""

    def run(self) -> None:
        """Compiles, then builds as usual."""
        compile_schema()
        super().run()


setup(cmdclass={"build_py": BuildWithSchema})
