"""`pycaffe-lite parse-log`."""

import shutil
from pathlib import Path

from paths import FIXTURES

LOGS = FIXTURES / "logs"


def test_the_command(run, fails, misused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(LOGS / "train.log", "train.log")
    result = run("parse-log", "train.log")
    assert result.out == ["wrote train.log.train", "wrote train.log.test"]
    assert run("parse-log", "train.log", "--delimiter", ";").code == 0
    assert Path("train.log.test").read_text().startswith("NumIters;Seconds;LearningRate;accuracy;loss\n")
    shutil.copy(LOGS / "time.log", "time.log")
    assert run("parse-log", "time.log").out == ["no rows in 'time.log': nothing written"]
    assert fails("parse-log", "none.log") == "Error: no such file: 'none.log'"
    assert misused("parse-log", "train.log", "--delimiter", ",,").endswith(
        "it is one character, but no quote and no line break"
    )
