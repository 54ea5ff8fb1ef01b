"""Archives and folders that are damaged or mean harm; outputs that are written whole or not at all."""

import contextlib
import io
import tarfile
import zipfile

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.published.files import is_litter, members, written_whole
from knapsack_lib.published.reading import read_source
from knapsack_lib.published.records import read_records


def archive(path, **member):
    with tarfile.open(path, "w:gz") as made:
        info = tarfile.TarInfo(member.pop("name", "knapsack-a.json"))
        data = member.pop("data", b"{}")
        for key, value in {"size": len(data), **member}.items():
            setattr(info, key, value)
        made.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"name": "../knapsack-a.json"}, "points outside"),
        ({"name": "a/../../knapsack-a.json"}, "points outside"),
        ({"name": "/etc/knapsack-a.json"}, "points outside"),
        ({"name": "..\\knapsack-a.json"}, "points outside"),
        (
            {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd", "size": 0, "data": b""},
            "a link or a device",
        ),
        ({"type": tarfile.LNKTYPE, "linkname": "x", "size": 0, "data": b""}, "a link or a device"),
        ({"type": tarfile.FIFOTYPE, "size": 0, "data": b""}, "a link or a device"),
    ],
)
def test_an_archive_that_means_harm_is_refused_in_one_line_and_writes_nothing(
    tmp_path, member, message
):
    path = archive(tmp_path / "bad.tar.gz", **member)
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(UserError, match=message) as error:
        list(members(path))
    assert one_line(error) and sorted(tmp_path.parent.iterdir()) == before


def test_an_archive_that_is_cut_short_is_one_line(tmp_path, sample, packed):
    path = packed(sample / "persistent")
    whole = path.read_bytes()
    for end in (3, len(whole) // 2, len(whole) * 3 // 4):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError) as error:
            read_records(path)
        one_line(error)


@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_a_damaged_archive_of_any_packing_is_one_line(tmp_path, sample, packing):
    path = tmp_path / f"made.tar.{packing}"
    with tarfile.open(path, f"w:{packing}") as made:
        made.add(sample / "persistent", arcname="persistent")
    assert len(read_records(path).records) == 8
    whole = path.read_bytes()
    for place in range(3, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
        with contextlib.suppress(UserError):  # what is damaged may be a part that nobody reads
            read_records(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="the archive is damaged") as error:
        read_records(path)
    one_line(error)


def test_a_link_out_of_a_folder_is_refused_and_one_within_is_followed(copy):
    folder = copy("persistent")
    (folder / "notes.txt").symlink_to("/etc/hostname")  # nobody reads it
    (folder / "knapsack-in.trace.json").symlink_to(
        folder / "knapsack-knapsack-0000000000.trace.json"
    )
    assert len(read_records(folder).records) == 9
    (folder / "knapsack-out.json").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="leads out"):
        read_records(folder)


def test_what_fails_midway_leaves_nothing(tmp_path):
    for make in (lambda part: part.mkdir(), lambda part: part.write_text("half", encoding="utf-8")):
        with pytest.raises(RuntimeError), written_whole(tmp_path / "new") as part:
            make(part)
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_new_folder_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").mkdir()
    with written_whole(tmp_path / "ours") as part:
        part.mkdir()
    assert (tmp_path / "usual").stat().st_mode == (tmp_path / "ours").stat().st_mode


LITTER = (
    "._traces.jsonl",
    "._knapsack-knapsack-0000000000.json",
    "__MACOSX/persistent/._knapsack-knapsack-0000000001.json",
    "__MACOSX/persistent/knapsack-knapsack-0000000001.json",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    ".ipynb_checkpoints/knapsack-knapsack-0000000002.json",
    "knapsack-a.json.tmp",
    "knapsack-a.json~",
    "#knapsack-a.json#",
    ".#knapsack-a.json",
    ".knapsack-a.json.swp",
    "~$knapsack-a.json",
    ".cache/knapsack-a.trace.json",
    "._stateless.tar.gz",
    "knapsack-a.json.part/knapsack-a.json",
)
NOISE = (
    b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        \xff\xfe"  # how an AppleDouble file begins
)


@pytest.fixture
def littered(copy):
    folder = copy("persistent")
    for name in LITTER:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(NOISE)
    return folder


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as made:
        for file in sorted(folder.rglob("*")):
            made.write(file, file.relative_to(folder.parent).as_posix())
    return path


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_what_systems_and_editors_leave_behind_is_passed_over_silently(
    form, littered, packed, tmp_path, sample
):
    source = {
        "folder": lambda: littered,
        "tar": lambda: packed(littered),
        "zip": lambda: zipped(littered, tmp_path / "made.zip"),
    }[form]()
    found = read_source(source)
    assert found.episodes == read_source(sample / "persistent").episodes
    assert not found.notes and not found.left_out


@pytest.mark.parametrize("name", LITTER)
def test_names_of_litter(name):
    assert is_litter(name) and is_litter(f"./a/{name}")


@pytest.mark.parametrize(
    "name",
    [
        "./data/knapsack/traces.jsonl",
        "../traces.jsonl",
        "a.b/c.json",
        "knapsack-tmp.json",
        "swap.jsonl",
    ],
)
def test_names_of_data(name):
    assert not is_litter(name)


def test_a_lock_that_an_editor_left_in_an_archive_does_not_spoil_it(tmp_path, sample):
    path = tmp_path / "made.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        made.add(sample / "persistent", arcname="persistent")
        lock = tarfile.TarInfo("persistent/.#knapsack-a.json")
        lock.type, lock.linkname = tarfile.SYMTYPE, "someone@machine.1"
        made.addfile(lock)
    assert len(read_records(path).records) == 8


def test_a_zip_that_means_harm_or_is_damaged_is_refused_in_one_line(tmp_path, sample):
    path = tmp_path / "bad.zip"
    link = zipfile.ZipInfo("knapsack-a.json")
    link.external_attr = 0o120777 << 16
    for entry, message in (("../knapsack-a.json", "points outside"), (link, "a link or a device")):
        with zipfile.ZipFile(path, "w") as made:
            made.writestr(entry, "/etc/passwd")
        with pytest.raises(UserError, match=message) as error:
            list(members(path))
        one_line(error)
    whole = zipped(sample / "persistent", path).read_bytes()
    for end in (0, 3, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match="the archive is damaged") as error:
            read_records(path)
        one_line(error)
    for place in range(3, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes(64) + whole[place + 64 :])
        with contextlib.suppress(UserError):
            read_records(path)
