"""The server of the page: what it answers, and to whom it does not."""

import base64
import http.client
import json
import os
import re
import socket
import struct
import time

import numpy as np
import pytest
from paths import FIXTURES
from watched_solver import HOSTILE, small_solver

from pycaffe_lite.errors import DataError, FileLookupError, PycaffeError
from pycaffe_lite.view.dashboard import runs as runs_module
from pycaffe_lite.view.dashboard.course import Course, Points
from pycaffe_lite.view.dashboard.record import RunRecord
from pycaffe_lite.view.dashboard.recorder import Recorder
from pycaffe_lite.view.dashboard.runs import LiveRun, others_in, runs_of
from pycaffe_lite.view.dashboard.server import PageServer

LOG = """I1130 10:00:00.000000     1 solver.cpp:1] Solving x
I1130 10:00:00.000000     1 solver.cpp:1] Iteration {}, loss = {}
I1130 10:00:00.000000     1 solver.cpp:1] Iteration {}, lr = 0.01
"""


@pytest.fixture(scope="module")
def recorder():
    """What was noted of a training that is over."""
    solver = small_solver()
    recorder = Recorder(solver)
    solver.solve()
    recorder.finish("finished")
    return recorder


@pytest.fixture(scope="module")
def serve():
    """serve(runs): a server of these runs, closed at the end."""
    servers = []

    def start(runs, port=0):
        servers.append(PageServer(runs, port))
        return servers[-1]

    yield start
    for server in servers:
        if not server.is_over:
            server.close()


@pytest.fixture(scope="module")
def server(serve, recorder):
    return serve([LiveRun("<b>run</b>", recorder.record)])


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"127.0.0.1:{server.port}", **headers}.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def numbers(text, code):
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))


def test_the_page_and_its_headers(server):
    for path, kind in (
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/drawing.js", "text/javascript"),
        ("/chart.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg"),
    ):
        answer, body = ask(server, path)
        assert answer.status == 200
        assert body
        assert answer.headers["Content-Type"].startswith(kind)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        # Nothing of the page is elsewhere; names of XML's languages are no places.
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.", text)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "127.0.0.1", "127.0.0.1:1", "", None])
@pytest.mark.parametrize("path", ["/", "/runs", "/news", "/nothing"])
def test_other_hosts_are_refused(server, host, path):
    answer, body = ask(server, path, Host=host and host.replace("PORT", str(server.port)))
    assert answer.status == 403
    assert body == b"This address is not the page's.\n"


def test_two_hosts_are_refused(server):
    lines = f"GET /runs HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(lines.encode())
        assert b" 403 " in connection.recv(100)


@pytest.mark.parametrize("address", ["http://evil.example/runs", "http://[", "*"])
def test_whole_addresses_are_refused(server, address):
    assert ask(server, address)[0].status == 403


def test_localhost_is_the_same(server):
    assert ask(server, "/runs", Host=f"localhost:{server.port}")[0].status == 200
    assert ask(server, "/runs", Host=f"LocalHost:{server.port}")[0].status == 200


def test_browsers_do_not_name_the_port_of_http(server, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.view.dashboard.server.HTTP_PORT", server.port)
    assert ask(server, "/runs", Host="127.0.0.1")[0].status == 200
    assert ask(server, "/runs", Host="evil.example")[0].status == 403


def test_connections_are_few(serve, recorder, monkeypatch):
    """However many are opened, the training keeps enough files for its own."""
    monkeypatch.setattr("pycaffe_lite.view.dashboard.server.MOST_CONNECTIONS", 2)
    server = serve([LiveRun("run", recorder.record)])
    place = "127.0.0.1", server.port
    idle = [socket.create_connection(place, timeout=10) for _ in range(2)]
    with socket.create_connection(place, timeout=10) as third:
        assert third.recv(1) == b""
    for connection in idle:
        connection.close()
    for _ in range(100):  # until the server has noticed
        try:
            assert ask(server, "/runs")[0].status == 200
            break
        except (http.client.HTTPException, OSError):
            time.sleep(0.02)
    else:
        pytest.fail("no connection is free again")


def test_browsers_wait_until_there_is_something_to_show(serve, recorder):
    server = serve(None)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(f"GET /runs HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
        server.show([LiveRun("late", recorder.record)])
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    serve(None).close()


@pytest.mark.parametrize("path", [
    "/../server.py", "/page/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/etc/passwd", "/page.html",
    "/run?id=1", "/run?id=-1", "/run?id=x", "/net?id=7", "/curves?runs=5", "/curves?runs=0&columns=x",
    "/kernels/1", "/kernels/99999999999999", "/mistake/0/0/99", "/mistake/0/5/0", "/run?" + "a=1&" * 50,
])  # fmt: skip
def test_what_is_not_there(server, path):
    answer, _ = ask(server, path)
    assert answer.status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_is_read_only(server, method):
    assert ask(server, "/", method)[0].status == 501


def test_it_listens_to_this_machine_alone(server):
    assert server._server.socket.getsockname()[0] == "127.0.0.1"


def test_a_port_in_use(serve, server):
    with pytest.raises(
        PycaffeError, match=f"cannot show the page at port {server.port}: it is in use; name ano"
    ):
        serve([], server.port)


def test_runs_and_details(server, recorder):
    (run,) = json.loads(ask(server, "/runs")[1])
    assert (run["name"], run["state"], run["iteration"], run["max_iter"]) == (
        "<b>run</b>",
        "finished",
        30,
        30,
    )
    assert (run["seconds_left"], run["tested"]) == (None, 30)
    details = json.loads(ask(server, "/run?id=0")[1])
    assert details["look"]["blobs"][0]["layer"] == HOSTILE
    assert len(details["tests"][0]["matrix"]) == 4
    net = json.loads(ask(server, "/net?id=0")[1])
    assert net["layers"]["1"]["name"] == HOSTILE
    answer, body = ask(server, "/kernels/0")
    assert answer.headers["Content-Type"] == "image/png"
    assert body.startswith(b"\x89PNG")
    if recorder.record.tests[0].mistakes:
        assert ask(server, "/mistake/0/0/0?at=30")[1].startswith(b"\x89PNG")


def test_a_picture_of_an_earlier_test_is_no_error(server):
    """The page may ask for it while the next test takes its place."""
    answer, body = ask(server, "/mistake/0/0/11?at=20")
    assert (answer.status, body) == (204, b"")


def test_curves_are_those_of_the_training(server, recorder):
    lines = {line["label"]: line for line in json.loads(ask(server, "/curves?runs=0")[1])}
    loss = recorder.record.lines["train loss"].course.points()
    assert numbers(lines["train loss"]["x"], "d") == loss.x.tolist()
    np.testing.assert_array_equal(numbers(lines["train loss"]["mean"], "f"), loss.mean.astype(np.float32))
    assert lines["train loss"]["low"] is None  # each point is one value
    assert lines["learning rate"]["panel"] == "rate"
    part = json.loads(ask(server, "/curves?runs=0&first=10&last=12")[1])
    assert numbers(part[0]["x"], "d") == [9, 10, 11, 12, 13]
    assert json.loads(ask(server, "/curves?runs=")[1]) == []


def test_long_runs_are_cut_down_to_what_a_screen_shows(serve):
    values = np.random.default_rng(0).normal(size=100_000)
    record = RunRecord()
    x = np.arange(100_000.0)
    record.line("train loss", "train loss", "loss").course = Course.of(Points(x, values, values, values))
    server = serve([LiveRun("long", record)])
    (line,) = json.loads(ask(server, "/curves?runs=0&columns=500")[1])
    low, high, smooth = (numbers(line[name], "f") for name in ("low", "high", "smooth"))
    assert len(low) == len(high) == len(smooth) == 500
    assert (min(low), max(high)) == (np.float32(values.min()), np.float32(values.max()))
    assert np.abs(smooth).max() < 0.2
    (most,) = json.loads(ask(server, "/curves?runs=0&columns=999999999")[1])
    assert len(numbers(most["x"], "d")) == 2000


def test_news_come_when_there_are_any(serve, recorder, monkeypatch):
    server = serve([LiveRun("run", recorder.record)])
    monkeypatch.setattr("pycaffe_lite.view.dashboard.server.NEWS_SECONDS", 0.01)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/news")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    lines = iter(answer.readline, None)
    assert next(lines) == b"event: server\n"
    assert next(lines) == f"data: {server.name}\n".encode()
    first = next(json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
    version = recorder.record.version
    recorder.record.version += 1
    second = next(json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
    assert (first[0]["version"], second[0]["version"]) == (version, version + 1)
    server.close()
    assert b"event: end\n" in answer.read()


def test_runs_of_a_folder(tmp_path, recorder):
    recorder.record.log = "a.log"
    recorder.record.write(tmp_path / "a.run")
    recorder.record.log = ""
    recorder.record.write(tmp_path / "a.run.1")
    (tmp_path / "a.log").write_text(LOG.format(5, 0.25, 5))
    (tmp_path / "b.log").write_text(LOG.format(7, 0.5, 7))
    (tmp_path / "c.log").write_text("no log")
    (tmp_path / "d.run").write_text("no run")
    (tmp_path / "net.prototxt").write_text("name: 'x'")
    found = runs_of([tmp_path])
    assert [run.name for run in found] == ["a", "a.run", "b"]
    assert [run.name for run in others_in(tmp_path, tmp_path / "a.run")] == ["a.run"]
    assert others_in(tmp_path / "none", tmp_path / "a.run") == []
    (log,) = runs_of([tmp_path / "b.log"])
    assert log.record().lines["train 0 loss None"].course.points().mean.tolist() == [0.5]
    assert log.record().status.iteration == 7


def test_files_that_grow_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(runs_module.Pace, "is_due", lambda pace: True)
    path = tmp_path / "a.log"
    path.write_text(LOG.format(5, 0.25, 5))
    (run,) = runs_of([path])
    first = run.record()
    assert run.record() is first
    path.write_text(LOG.format(5, 0.25, 5) + LOG.format(10, 0.125, 10))
    assert run.record().lines["train 0 loss None"].course.points().mean.tolist() == [0.25, 0.125]
    assert run.record().version > first.version
    path.unlink()
    assert run.record().status.iteration == 10


def test_a_training_that_was_killed(tmp_path):
    Recorder(small_solver(f'snapshot_prefix: "{tmp_path}/"'))
    path = tmp_path / "training.run"
    assert runs_of([path])[0].record().status.is_live
    os.utime(path, (0, 0))
    status = runs_of([path])[0].record().status
    assert (status.state, status.is_live) == ("not finished", False)


def test_what_is_no_run(tmp_path):
    with pytest.raises(FileLookupError, match="no such file"):
        runs_of([tmp_path / "none.log"])
    with pytest.raises(FileLookupError):
        runs_of([tmp_path / "none.run"])
    with pytest.raises(DataError, match="no file in folder"):
        runs_of([tmp_path])


def test_a_log_of_caffe_has_its_net(tmp_path):
    (run,) = runs_of([FIXTURES / "logs" / "train.log"])
    graph = run.record().graph
    assert [layer["name"] for layer in graph.layers.values()][:3] == ["mnist", "conv1", "pool1"]
    text = (
        (FIXTURES / "logs" / "train.log")
        .read_text()
        .replace("inner_product_param {", "inner_product_param }")
    )
    (tmp_path / "a.log").write_text(text)
    assert runs_of([tmp_path / "a.log"])[0].record().graph is None
