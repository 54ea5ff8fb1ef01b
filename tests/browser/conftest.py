"""A real JupyterLab on this machine and a real Chromium without a window; both are gone when the
tests are."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "explorer"
expect.set_options(timeout=60_000)  # the kernel answers when the cells before have run
# What JupyterLab itself reports on a server without extensions of its own.
HARMLESS = re.compile(r"favicon|/lsp/status|workspace|listings|net::ERR_ABORTED", re.I)


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The committed results and a copy of the notebooks, so that saving changes nothing here."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "params", "results"):
        shutil.copytree(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def lab(project):
    """The address of a running JupyterLab."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chosen = {
        "notebook-extension/tracker": {
            "windowingMode": "none"
        },  # cells out of sight stay in the page
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, setting in chosen.items():
        file = project / ".settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting), encoding="utf-8")
    hidden = {
        "JUPYTERLAB_SETTINGS_DIR": str(project / ".settings"),
        "KNAPSACK_ROOT": str(project),
        "JUPYTER_CONFIG_DIR": str(project / ".jupyter"),
        "OMP_NUM_THREADS": "1",
        "JUPYTER_DATA_DIR": str(project / ".data"),
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--ip=127.0.0.1",
        f"--port={port}",
        "--allow-root",
        f"--IdentityProvider.token={TOKEN}",
        f"--ServerApp.root_dir={project}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    with open(project / "lab.log", "wb") as log:
        server = subprocess.Popen(
            command, env=os.environ | hidden, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=5)
                break
            except OSError:
                assert server.poll() is None, (project / "lab.log").read_text(encoding="utf-8")[
                    -2000:
                ]
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as play:
        path = (
            os.environ.get("CHROMIUM")
            or shutil.which("chromium")
            or shutil.which("chromium-browser")
        )
        assert path, "no chromium; install the Debian package chromium, or name one in CHROMIUM"
        opened = play.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that remembers what went wrong in it: page.faults."""
    opened = browser.new_page(viewport={"width": 1500, "height": 1400})
    opened.set_default_timeout(90_000)
    opened.faults = []
    opened.on("pageerror", lambda error: opened.faults.append(str(error)))
    opened.on(
        "console",
        lambda line: line.type == "error" and opened.faults.append(f"{line.text} {line.location}"),
    )
    yield opened
    opened.close()


@pytest.fixture
def no_faults(page):
    """Fails when the browser's console holds an error that is not JupyterLab's own."""

    def check():
        assert [fault for fault in page.faults if not HARMLESS.search(fault)] == []

    return check


@pytest.fixture(scope="session")
def shots():
    """Where screenshots go, to be looked at."""
    folder = REPOSITORY / "runs" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
