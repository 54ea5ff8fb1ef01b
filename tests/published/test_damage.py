"""The sample's files damaged in every way that files meet: whatever is done to them, the answer is
records or one line, and the same one each time."""

import codecs
import gzip
import io
import json
import random
import tarfile
import zipfile
from copy import deepcopy
from pathlib import Path

import pytest

from knapsack_lib.analysis.metrics import episode_frame
from knapsack_lib.errors import UserError
from knapsack_lib.published.episodes import write_chat, write_published
from knapsack_lib.published.reading import read_source, write_stores
from knapsack_lib.published.records import read_records
from knapsack_lib.published.reports import compare, stats
from knapsack_lib.seeds import named_seed

ODD = (
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x\ud800",
    [],
    {},
    [[]],
    {"": 1},
)
SPELT = (
    lambda text: codecs.BOM_UTF8 + text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-16-be"),
    lambda text: text.encode("utf-32"),
    lambda text: text.encode("latin-1", "replace"),
    lambda text: text.encode()[: len(text) // 2],
    lambda text: b"",
    lambda text: text.encode().replace(b"0", b"\xff\x00", 3),
)


def places(value):
    """Every (container, key) in a JSON value."""
    keys = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in keys:
        yield value, key
        yield from places(inner)


def damaged(value, rng):
    """A JSON value after one to three of the things that happen to values."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.randint(1, 3)):
        found = list(places(value))
        if not found:
            break
        container, key = rng.choice(found)
        kind = rng.randrange(5)
        if kind == 0:
            del container[key]
        elif kind == 1:
            container[key] = deepcopy(rng.choice(ODD))
        elif kind == 2:
            container[key] = [container[key]]
        elif kind == 3 and isinstance(container, list):
            container.insert(key, container[key])
        else:
            container[key] = type(container[key])() if container[key] is not None else {}
    return value


def spelt(text, rng):
    return rng.choice(SPELT)(text) if rng.random() < 0.3 else text.encode("utf-8", "surrogatepass")


@pytest.fixture(scope="module")
def records():
    """Results and traces of the sample by name, those of a ReAct agent and a family nobody knows too."""
    folder = Path(__file__).resolve().parents[1] / "data" / "published_sample" / "persistent"
    found = {
        f.name: json.loads(f.read_text(encoding="utf-8"))
        for f in sorted(folder.iterdir())
        if f.name[26] in "046"
    }
    name = "knapsack-knapsack-0000000004.trace.json"
    react = json.loads(json.dumps(found[name]))
    for event in react["events"]:
        if event["type"] == "StepEvent":
            listed = [{"tool": "inspect", "output": '{"error": "ValueError: no"}'}] * 2
            event["data"] |= {"code": None, "interpreter_result": {"results": listed}}
    return found | {"lamps-0.trace.json": react}


@pytest.fixture(scope="module")
def chats(records):
    """The same as conversations, an observation JSON, and a whole trace on a line."""
    lines = []
    for name, trace in records.items():
        if not name.endswith(".trace.json"):
            continue
        messages = [{"role": "user", "content": trace["summary"]["task"]}]
        for event in trace["events"]:
            if event["type"] == "StepEvent":
                result = event["data"]["interpreter_result"]
                told = {key: result[key] for key in ("output", "error") if result.get(key)}
                messages += [{"role": "assistant", "content": event["data"]["assistant_text"]}]
                messages += [{"role": "user", "content": json.dumps(told)}] if told else []
        lines += [{"messages": messages}, {"messages": messages, "task_id": name, "score": 0.5}]
    return [*lines, {"trace": trace, "id": 7}]


def check(source, out):
    """What a source gives, down to what is written of it; a text that is always the same."""
    told = []
    try:
        found = read_source(source)
        told += [episode.to_line() for episode in found.episodes] + [*found.notes]
        assert all("\n" not in note for note in found.notes)
        assert len(episode_frame(found.episodes)) == len(found.episodes)
        for number, write in enumerate(
            (
                lambda path: write_stores(found, path),
                lambda path: write_chat(found.episodes, path),
                lambda path: write_published(found.episodes, path, found.seconds),
            )
        ):
            write(out / str(number))
    except UserError as error:
        told.append(str(error))
        assert "\n" not in str(error) and len(str(error)) < 900
    try:
        listed = read_records(source)
        told += [str(stats(listed, True)), str(compare(listed, listed))]
    except UserError as error:
        told.append(str(error))
        assert "\n" not in str(error) and len(str(error)) < 900
    return told


def test_hundreds_of_damaged_values_give_episodes_or_one_line(records, chats, tmp_path):
    rng = random.Random(named_seed(0, "published", "damaged values"))
    folder = tmp_path / "made" / "data" / "lamps" / "stateless"
    folder.mkdir(parents=True)
    read = 0
    for number in range(60):  # thirty files and lines each
        for name, value in records.items():
            (folder / name).write_bytes(spelt(json.dumps(damaged(value, rng)), rng))
        lines = [json.dumps(damaged(value, rng)) for value in chats]
        lines += rng.choices(lines, k=rng.randrange(2))
        (folder / "traces.jsonl").write_bytes(spelt("\n".join(lines) + "\n", rng))
        first = check(tmp_path / "made", tmp_path / f"out{number}")
        read += len(first) > 3
        if number % 20 == 0:
            assert check(tmp_path / "made", tmp_path / f"again{number}") == first
    assert read > 57  # damage to one file does not hide the others


def packings(records, chats):
    files = {f"a/{name}": json.dumps(value).encode() for name, value in records.items()}
    files["a/persistent/traces.jsonl"] = "".join(json.dumps(line) + "\n" for line in chats).encode()
    made = {}
    for mode in ("", "gz", "bz2", "xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        made[f"made.tar.{mode}".rstrip(".")] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made | {
        "made.zip": buffer.getvalue(),
        "traces.jsonl.gz": gzip.compress(files["a/persistent/traces.jsonl"]),
    }


def test_hundreds_of_damaged_archives_give_episodes_or_one_line(records, chats, tmp_path):
    rng = random.Random(named_seed(0, "published", "damaged archives"))
    for name, whole in packings(records, chats).items():
        path = tmp_path / name
        path.write_bytes(whole)
        assert len(read_source(path).episodes) > 6
        for number in range(60):
            at = rng.randrange(len(whole))
            cut = whole[:at]
            flipped = cut + bytes([whole[at] ^ (1 << rng.randrange(8))]) + whole[at + 1 :]
            lost = cut + whole[at + rng.randrange(1, 600) :]
            path.write_bytes(rng.choice((cut, flipped, lost)))
            check(path, tmp_path / f"{name}-{number}")
