"""The nets that a solver trains and tests, from the many ways in which its settings can name them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from pycaffe_lite.errors import SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import resolve
from pycaffe_lite.proto.prototxt import Document, FieldPath, read_net, upgrade_part

log = logging.getLogger(__name__)

NetDocument = Document[caffe_pb2.NetParameter]


class NetSource(NamedTuple):
    """A net that a solver's settings give, in a file or inline.

    Attributes:
        what: the setting, in the words of Caffe's log. load: reads or copies the net's message.
    """

    what: str
    load: Callable[[], NetDocument]


class SolverNets:
    """The nets of one solver's settings.

    Args:
        document: the settings. If they come from a file, net files are looked for beside it, too.
        strict: a field that the schema does not know is an error.

    Source: BVLC/caffe src/caffe/solver.cpp, InitTrainNet and InitTestNets
    """

    def __init__(self, document: Document[caffe_pb2.SolverParameter], *, strict: bool) -> None:
        self.param = document.message
        self._document = document
        self._strict = strict
        self._files: dict[Path, NetDocument] = {}

    def train_net(self) -> NetDocument:
        """The train net's message, in its state.

        Raises:
            SolverError: no train net is given, or more than one.
        """
        p = self.param
        given = [name for name in ("net", "net_param", "train_net", "train_net_param") if p.HasField(name)]
        if len(given) != 1:
            raise SolverError(
                f"{self._where(*given)}a solver needs exactly one of net, net_param, train_net and "
                f"train_net_param, got {' and '.join(given) or 'none'}"
            )
        if given[0].endswith("_param"):
            log.info("Creating training net specified in %s.", given[0])
            document = self._inline((given[0],), getattr(p, given[0]))
        else:
            file = getattr(p, given[0])
            log.info("Creating training net from %s file: %s", given[0], file)
            document = self._from_file(file)
        _set_state(document.message, caffe_pb2.TRAIN, [p.train_state] if p.HasField("train_state") else [])
        return document

    def test_nets(self) -> list[NetDocument]:
        """The test nets' messages, each in its state; as many as there are values of test_iter.

        First those of test_net_param, then of test_net; the generic net fills up the rest.

        Raises:
            SolverError: the counts of test nets, test_iter and test_state do not match, or test_interval
                is not set.
        """
        p = self.param
        sources = [
            NetSource("test_net_param", _later(self._inline, ("test_net_param", i), net))
            for i, net in enumerate(p.test_net_param)
        ]
        sources += [NetSource(f"test_net file: {net}", _later(self._from_file, net)) for net in p.test_net]
        self._check_counts(len(sources))
        for _ in range(len(p.test_iter) - len(sources)):
            if p.HasField("net_param"):
                sources.append(NetSource("net_param", _later(self._inline, ("net_param",), p.net_param)))
            else:
                sources.append(NetSource(f"net file: {p.net}", _later(self._from_file, p.net)))
        documents = []
        for i, source in enumerate(sources):
            log.info("Creating test net (#%d) specified by %s", i, source.what)
            document = source.load()
            _set_state(document.message, caffe_pb2.TEST, p.test_state[i : i + 1])
            documents.append(document)
        return documents

    def _check_counts(self, specified: int) -> None:
        p = self.param
        generic = p.HasField("net") or p.HasField("net_param")
        if p.test_iter and not specified and not generic:
            raise SolverError(
                f"{self._where('test_iter')}test_iter is given, but there is no test net: "
                "name one as test_net, or write net instead of train_net"
            )
        if len(p.test_iter) < specified or (len(p.test_iter) > specified and not generic):
            raise SolverError(
                f"{self._where('test_iter')}test_iter needs a value for each of the {specified} test nets, "
                f"got {len(p.test_iter)}"
            )
        if any(n < 0 for n in p.test_iter):
            raise SolverError(
                f"{self._where('test_iter')}test_iter must not be negative, got {min(p.test_iter)}"
            )
        nets = max(specified, len(p.test_iter))
        if p.test_state and len(p.test_state) != nets:
            raise SolverError(
                f"{self._where('test_state')}test_state must be given for none or for each of the {nets} "
                f"test nets, got {len(p.test_state)}"
            )
        if nets and p.test_interval <= 0:
            raise SolverError(
                f"{self._where('test_interval')}a solver with test nets needs test_interval above 0, "
                f"got {p.test_interval}"
            )

    def _where(self, *names: str) -> str:
        """The place of the first of these settings that the file has, `solver.prototxt:3: `."""
        places = (self._document.where(path) for name in names for path in ((name,), (name, 0)))
        return next(filter(None, places), "")

    def weight_files(self) -> list[Path]:
        """The files of `weights`, in their order; each entry may name several, separated by commas."""
        names = [name.strip() for entry in self.param.weights for name in entry.split(",")]
        return [resolve(name, self._folder) for name in names]

    @property
    def _folder(self) -> Path | None:
        return self._document.path.parent if self._document.path else None

    def _from_file(self, name: str) -> NetDocument:
        """The net of a file. It is read once even if several nets use it, so that warnings come once."""
        path = resolve(name, self._folder)
        if path not in self._files:
            self._files[path] = read_net(path, strict=self._strict)
        copy = caffe_pb2.NetParameter()
        copy.CopyFrom(self._files[path].message)
        return replace(self._files[path], message=copy)

    def _inline(self, path: FieldPath, net: caffe_pb2.NetParameter) -> NetDocument:
        """A net that is written in the solver's own prototxt.

        Caffe drops old `layers` and `input` there without a word; here they are upgraded, as those of a file.
        """
        copy = caffe_pb2.NetParameter()
        copy.CopyFrom(net)
        return upgrade_part(self._document.part(path, copy))


def _later(load: Callable[..., NetDocument], *args: object) -> Callable[[], NetDocument]:
    return lambda: load(*args)


def _set_state(
    net: caffe_pb2.NetParameter, phase: caffe_pb2.Phase, states: Sequence[caffe_pb2.NetState]
) -> None:
    """Sets the net's state: the phase, then what its own state says, then what the solver's states say."""
    state = caffe_pb2.NetState(phase=phase)
    state.MergeFrom(net.state)
    for more in states:
        state.MergeFrom(more)
    net.state.CopyFrom(state)
