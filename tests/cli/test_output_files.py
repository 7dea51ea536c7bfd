"""Where answers are written to: links, pipes, full disks, and nothing half-written."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from meanfield.cli.output import write_bytes

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


def test_a_link_stays_a_link(terminal, tmp_path):
    target, link = tmp_path / "deep" / "target.json", tmp_path / "link.json"
    target.parent.mkdir()
    target.write_text("old")
    link.symlink_to(target)
    terminal.ok("list", "--output", link)
    assert link.is_symlink()
    assert json.loads(target.read_text())["command"] == "list"
    assert [path.name for path in target.parent.iterdir()] == ["target.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_stays_a_pipe(terminal, tmp_path):
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    terminal.ok("list", "--output", pipe)
    reader.join(timeout=20)
    assert pipe.is_fifo()
    assert json.loads(read[0])["command"] == "list"


@needs_full
def test_a_full_disk_is_no_bug(terminal, tmp_path):
    (tmp_path / "full.json").symlink_to(FULL)
    message = terminal.refused("list", "--output", tmp_path / "full.json")["message"]
    assert message == f"cannot use '{tmp_path / 'full.json'}': {os.strerror(errno.ENOSPC)}"


@needs_full
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["--help"]], ids=" ".join)
def test_a_full_disk_behind_stdout(words):
    program = [sys.executable, "-c", "from meanfield.cli.main import run; run()", *words]
    with FULL.open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"cannot write: {os.strerror(errno.ENOSPC)}" in done.stderr


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "answer.json"
    path.write_text("old")

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left") as failure:
        write_bytes(path, b"new")
    assert failure.value.filename == str(path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("answer.json", "old")]


def test_a_folder_that_cannot_be_made(terminal):
    words = ("phase", "tanh", "--sigma-w", 0.5, 1, "--sigma-b", 0, 1, "--points", 2, 2)
    message = terminal.refused(*words, "--folder", "/dev/null/run")["message"]
    assert message == f"cannot use '/dev/null/run': {os.strerror(errno.ENOTDIR)}"
