"""The page of a net in a real browser, without a window: it is searched and clicked on, and has no error."""

import html
import os
import re
import shutil
import subprocess

import pytest
from paths import ROOT

from pycaffe_lite import TEST
from pycaffe_lite.view.drawing import drawn_net
from pycaffe_lite.view.net_page import net_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Runs behind the page's own script, and leaves what it finds in the document.
SCRIPT = """
<script>
search.value = "CONV2"; search.dispatchEvent(new Event("input"));
const said = found.value;
search.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
const found_name = document.querySelector("aside h2").textContent;
picture.groups.get("%s").querySelector("polygon").dispatchEvent(new MouseEvent("click", { bubbles: true }));
const before = picture.view.scale;
drawing.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, clientX: 9, clientY: 9, cancelable: true }));
const made = document.createElement("output");
made.id = "result";
made.textContent = JSON.stringify([said, found_name, aside.textContent, picture.view.scale > before]);
document.body.append(made);
</script>
</body>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on the PATH")
@pytest.mark.parametrize("case", ["lenet", "names"])
def test_search_click_and_zoom(case, tmp_path):
    if case == "lenet":
        file, key = f"{ROOT}/models/lenet/lenet.prototxt", "5"
    else:
        file, key = tmp_path / "net.prototxt", "1"
        file.write_text(
            'layer { name: "conv2" type: "Input" top: "x" input_param { shape { dim: 1 } } }\n'
            'layer { name: "<img src=x onerror=alert(1)></script>" type: "ReLU" bottom: "x" top: "y" }'
        )
    net = drawn_net(file, TEST)
    page = tmp_path / "net.html"
    page.write_text(net_page(net, net.layer_graph("TB")).replace("</body>", SCRIPT % key))
    done = subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom"),
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert ":CONSOLE" not in done.stderr
    result = html.unescape(re.search(r'id="result">(.*?)</output>', done.stdout, re.DOTALL)[1])
    if case == "lenet":
        assert result.startswith('["2 found","conv2","ip1type')
        assert "num_output: 500" in result
    else:
        assert result.startswith('["1 found","conv2","<img src=x onerror=alert(1)></script>type')
        assert "<img" not in done.stdout.partition("<aside")[2].partition("</aside>")[0]
    assert result.endswith("true]")
