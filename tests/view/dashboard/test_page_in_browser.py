"""The page in a real browser, without a window, while a real training runs."""

import shutil
import threading
import time
from contextlib import contextmanager

import pytest
from paths import ROOT
from watched_solver import ESCAPES, HOSTILE, small_solver

from pycaffe_lite import TEST, Net
from pycaffe_lite.solver import Action
from pycaffe_lite.view.dashboard.graph import drawn_graph
from pycaffe_lite.view.dashboard.layers import LayerLook, first_kernels
from pycaffe_lite.view.dashboard.record import Look, RunRecord
from pycaffe_lite.view.dashboard.recorder import Recorder
from pycaffe_lite.view.dashboard.runs import LiveRun, runs_of
from pycaffe_lite.view.dashboard.server import PageServer

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOWN_ESCAPES = ESCAPES.replace("\\033", "\\x1b")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on the PATH")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextmanager
def opened(browser, url, **options):
    """The page, once it has shown what there is; what its console says goes into `complaints`."""
    page = browser.new_page(**options)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append(dialog.message), dialog.dismiss()))
    page.goto(url)
    until(lambda: page.get_attribute("body", "data-ready") == "yes")
    yield page
    page.close()


def until(condition):
    """Waits; the page's policy lets no script of the test wait inside."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def training(more=""):
    """A solver that trains in a thread until the block is over, and its recorder."""
    ask = threading.Event()

    def request():
        time.sleep(0.002)
        return Action.STOP if ask.is_set() else Action.NONE

    solver = small_solver(f"max_iter: 1000000 {more}", action_request=request)
    recorder = Recorder(solver)
    thread = threading.Thread(target=solver.solve)
    thread.start()
    try:
        yield recorder
    finally:
        ask.set()
        thread.join()


def test_the_page_of_a_training(browser):
    with training() as recorder:
        record = recorder.record
        until(lambda: record.tests and record.tests[0].mistakes and record.look)
        server = PageServer([LiveRun("<i>run</i>", record)])
        try:
            with opened(browser, server.url) as page:
                see_a_page(page, recorder)
                at = page.inner_text("#facts div:first-child dd")
                until(lambda: page.inner_text("#facts div:first-child dd") != at)
                server.close()
                until(lambda: "This page's server has ended" in page.inner_text("#notice"))
                assert page.complaints == []
        finally:
            if not server.is_over:
                server.close()


def see_a_page(page, recorder):
    assert page.inner_text("h1") == "<i>run</i>"
    assert page.inner_text("#state") in ("training", "testing")
    assert "of 1000000" in page.inner_text("#facts")
    assert page.locator("#runs").is_hidden()
    for chart in ("loss", "output", "rate", "ratio"):
        assert page.locator(f"#{chart} canvas").is_visible()
    assert page.locator("#loss .legend li").all_inner_texts()[0].startswith("train loss")
    assert f"test {HOSTILE} accuracy" in page.inner_text("#output .legend")
    # Something is drawn: the canvas has pixels of the first line's colour.
    canvas = page.locator("#loss canvas")
    assert len(set(canvas.screenshot())) > 50
    canvas.hover(position={"x": 150, "y": 60})
    assert page.inner_text("#loss .tip").startswith("iteration ")
    rows = page.locator("#blobs tbody tr")
    assert rows.count() == 4
    assert rows.nth(0).inner_text().startswith(HOSTILE)
    assert rows.nth(2).inner_text().startswith(SHOWN_ESCAPES)
    assert page.inner_text("#kernels h2") == f"Kernels of {HOSTILE}"
    assert page.evaluate("document.querySelector('#kernels img').naturalWidth") > 0
    assert page.locator(".matrix tr").count() == 5
    assert "label 1 " in page.locator(".mistakes figcaption").nth(0).inner_text()
    assert page.evaluate("document.querySelector('.mistakes img').naturalWidth") == 6
    assert page.locator("#drawing g[data-key]").count() == 4
    page.locator('#drawing g[data-key="1"]').click()
    assert page.inner_text("#layer h3") == HOSTILE
    assert "8x4x4x4" in page.inner_text("#layer")
    assert page.locator("#blobs tr.chosen").count() == 2
    assert page.locator("img[src='x'], b:text('net'), i:text('run')").count() == 0


def test_more_pages_than_are_kept_up_to_date(browser, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.view.dashboard.server.MOST_STREAMS", 1)
    server = PageServer([LiveRun("run", RunRecord())])
    try:
        with opened(browser, server.url) as first, opened(browser, server.url) as second:
            until(lambda: "Too many pages" in second.inner_text("#notice"))
            assert first.locator("#notice").is_hidden()
    finally:
        server.close()


def test_a_port_that_another_training_takes(browser):
    """A page that waits for an answer is loaded again where it comes from another server."""
    server = PageServer([LiveRun("first", RunRecord())])
    try:
        with opened(browser, server.url) as page:
            until(lambda: page.evaluate("state.server") == server.name)
            page.evaluate("state.server = 'one that was killed'")
            server.runs = [LiveRun("second", RunRecord())]
            page.evaluate("state.news.close(), listen()")
            until(lambda: page.inner_text("h1") == "second" and page.evaluate("state.server") == server.name)
    finally:
        server.close()


def test_googlenet(browser):
    net = Net(f"{ROOT}/models/googlenet/googlenet.prototxt", TEST)
    record = RunRecord(graph=drawn_graph(net))
    record.look = Look(0, LayerLook(net).finish(), *first_kernels(net))
    server = PageServer([LiveRun("googlenet", record)])
    try:
        with opened(browser, server.url) as page:
            assert page.locator("#drawing g[data-key]").count() == 143
            assert page.locator("#blobs tbody tr").count() == 116
            until(lambda: page.evaluate("document.querySelector('#kernels img').naturalWidth") > 0)
            assert page.complaints == []
    finally:
        server.close()


def test_the_runs_of_a_folder(browser, tmp_path):
    with training() as recorder:
        until(lambda: recorder.record.look)
    recorder.record.status.state = "stopped"
    recorder.record.write(tmp_path / "one.run")
    recorder.record.write(tmp_path / "two.run")
    server = PageServer(runs_of([tmp_path]))
    try:
        with opened(browser, server.url, viewport={"width": 390, "height": 800}, color_scheme="dark") as page:
            assert page.locator("#runs li").all_inner_texts() == ["one\nstopped", "two\nstopped"]
            names = page.locator("#loss .legend li").all_inner_texts()
            assert [name.split("\n")[0] for name in names if "train" in name] == [
                "one: train loss",
                "two: train loss",
            ]
            page.locator("#runs input").nth(1).click()
            until(lambda: page.locator("#loss .legend li").count() == 2)
            page.locator("#runs button").nth(1).click()
            until(lambda: page.inner_text("h1") == "two")
            # Zoomed by dragging, and back.
            box = page.locator("#loss canvas").bounding_box()
            page.mouse.move(box["x"] + 100, box["y"] + 50)
            page.mouse.down()
            page.mouse.move(box["x"] + 200, box["y"] + 50)
            page.mouse.up()
            until(lambda: page.locator("#loss .whole").is_visible())
            page.locator("#loss .whole").click()
            until(lambda: page.locator("#loss .whole").is_hidden())
            # Nothing is wider than a narrow window.
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            assert page.complaints == []
    finally:
        server.close()
