"""Archives and folders that are damaged or mean harm; outputs that are written whole or not at all."""

import contextlib
import io
import tarfile

import pytest
from common import one_line

from knapsack_lib.errors import UserError
from knapsack_lib.published.files import members, written_whole
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
    for make in (lambda part: part.mkdir(), lambda part: part.write_text("half")):
        with pytest.raises(RuntimeError), written_whole(tmp_path / "new") as part:
            make(part)
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_new_folder_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").mkdir()
    with written_whole(tmp_path / "ours") as part:
        part.mkdir()
    assert (tmp_path / "usual").stat().st_mode == (tmp_path / "ours").stat().st_mode
