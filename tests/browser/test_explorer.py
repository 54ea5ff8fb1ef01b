"""Notebook 06 in a real browser: find, open, step, compare, play again; and the pages that need no
kernel."""

import re

import pytest
from playwright.sync_api import TimeoutError, expect

from knapsack_lib.explorer.catalogue import open_catalogue
from knapsack_lib.explorer.pages import write_pages


@pytest.fixture
def opened(page, lab):
    """Notebook 06 with all of its cells run."""
    page.goto(f"{lab}/lab/tree/notebooks/06_explore.ipynb?token=explorer&reset")
    page.locator(".jp-Notebook").wait_for()
    page.keyboard.press("Control+b")  # the notebook alone
    page.get_by_text("| Idle").first.wait_for()  # in the status bar: the kernel has started
    for _ in range(3):  # a click that comes before JupyterLab listens does nothing
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        try:
            page.locator(".ks-pane tbody tr").first.wait_for(timeout=30_000)
            break
        except TimeoutError:
            page.keyboard.press("Escape")
    expect(page.locator(".ks-pane tbody tr").first).to_be_visible()
    return page


def choose(page, label, value):
    """Set a drop-down of the explorer."""
    box = page.locator(
        ".widget-dropdown", has=page.locator(".widget-label", has_text=re.compile(f"^{label}$"))
    )
    box.locator("select").select_option(value)


def test_an_episode_is_found_read_compared_and_played_again(opened, no_faults, shots):
    page = opened
    table, reader = page.locator(".ks-pane").nth(0), page.locator(".ks-pane").nth(1)
    table.scroll_into_view_if_needed()
    everything = page.get_by_text(re.compile(r"of [\d,]+ episodes"))
    before = everything.inner_text()
    choose(page, "train", "persistent")
    choose(page, "runtime", "reset")
    expect(everything).not_to_have_text(before)
    expect(table.locator("tbody tr")).to_have_count(15)
    expect(table.locator("tbody")).not_to_contain_text("base")

    table.locator("th", has_text="tokens").click()
    expect(table.locator("th", has_text="tokens")).to_contain_text("▴")
    table.locator("tbody tr").first.click()
    expect(reader).to_contain_text("turn 1")

    reader.focus()
    page.keyboard.press("ArrowRight")
    expect(reader).to_contain_text("turn 2")
    expect(reader.locator("mark.missing").first).to_be_visible()
    expect(reader).to_contain_text("is not defined")
    first = reader.locator("h1").inner_text()
    explorer = page.locator(".jp-OutputArea-output", has=table)
    explorer.screenshot(path=shots / "read.png")
    page.keyboard.press("ArrowDown")
    expect(reader.locator("h1")).not_to_have_text(first)
    page.keyboard.press("ArrowUp")
    expect(reader.locator("h1")).to_have_text(first)

    compare(page, "reset → reset, train seed 1")
    expect(reader.locator("h1")).to_have_count(2)
    page.keyboard.press("End")
    expect(reader).to_contain_text("this episode has ended")
    reader.screenshot(path=shots / "compare.png")

    reader.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(reader).to_contain_text("turn 2")
    choose(page, "play in", "reset")
    page.get_by_role("button", name="re-run to this turn").click()
    played = page.get_by_text("continue by hand: a cell that begins with %%turn")
    expect(played.first).to_be_visible()
    played.first.scroll_into_view_if_needed()
    page.screenshot(path=shots / "again.png")
    no_faults()


def compare(page, text):
    box = page.locator(
        ".widget-dropdown", has=page.locator(".widget-label", has_text="compare with")
    )
    box.locator("select").select_option(label=text)


def test_keys_of_the_explorer_do_not_move_the_notebook(opened, no_faults):
    page = opened
    reader = page.locator(".ks-pane").nth(1)
    page.locator(".ks-pane tbody tr").first.click()
    expect(reader).to_contain_text("turn 1")
    reader.focus()
    chosen = page.locator(".jp-Cell.jp-mod-active")
    was = chosen.get_attribute("data-windowed-list-index")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(reader).to_contain_text("turn 2")
    assert chosen.get_attribute("data-windowed-list-index") == was
    no_faults()


def test_pages_without_a_kernel_show_an_episode_and_run_nothing(
    page, project, no_faults, shots, tmp_path
):
    catalogue = open_catalogue(project / "results" / "pocket-seeds")
    index = write_pages(catalogue, list(catalogue.frame.index[::200]), tmp_path)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(index.as_uri())
    expect(page.locator("svg").first).to_be_visible()
    page.screenshot(path=shots / "index.png")
    page.locator("a").nth(1).click()
    expect(page.locator(".turn").first).to_be_visible()
    page.screenshot(path=shots / "page.png")
    assert all(url.startswith("file:") for url in asked)
    no_faults()
