"""A paid teacher behind a server that fails in every way: nothing is lost, nothing is paid for
twice, no budget is exceeded, no key is shown."""

import logging
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from knapsack_lib.errors import UserError
from knapsack_lib.policies import gemini
from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import load_profile
from knapsack_lib.store import current, read_episodes

ROOT = Path(__file__).parents[2]
PRICES = load_prices(ROOT / "params" / "prices" / "gemini.yaml")
MANY = 200


def each_once(server):
    return len(server.settle().answered) == len(set(server.answered))


# A storm ------------------------------------------------------------------------------------------


def test_200_episodes_through_a_storm_equal_those_of_a_calm_day_and_a_second_run_asks_for_nothing(
    play, google, storm, tmp_path, monkeypatch, paid
):
    calm, wild = google(), google(fault=storm)
    expected, _ = play("calm", calm, MANY)
    found, policy = play("wild", wild, MANY)
    assert found == expected
    episodes = read_episodes(tmp_path / "wild", "make")
    assert len({e.episode_id for e in episodes}) == len(episodes) == MANY
    turns = sum(len(e.turns) for e in episodes)
    assert (
        each_once(wild)
        and sorted(wild.answered) == sorted(calm.answered)
        and len(wild.answered) == turns
    )
    # The storm was one, and every kind of odd reply came too.
    assert (
        len(wild.faults) == 10
        and min(wild.faults.values()) >= 1
        and sum(wild.faults.values()) > turns / 4
    )
    outcomes = Counter(t.parse_status for e in episodes for t in e.turns)
    assert outcomes["no_code"] >= 5 and outcomes["cut_off"] >= 5 and outcomes["code"] > 0.9 * turns
    report = policy.report()
    assert report.requests == turns + sum(wild.faults.values()) and report.paid == turns
    assert report.unanswered == sum(
        wild.faults[k] for k in ("hang", "reset", "half", "half json", "nothing")
    )
    kept = paid(tmp_path / "wild-replies")
    assert (
        policy.spent_usd == pytest.approx(sum(line["usd"] for line in kept))
        and policy.spent_usd > 0
    )
    assert {line["reason"] for line in kept} == {
        "STOP",
        "SAFETY",
        "MAX_TOKENS",
        "prompt PROHIBITED_CONTENT",
    }
    assert {
        line["text"] for line in kept if line["reason"] in ("SAFETY", "prompt PROHIBITED_CONTENT")
    } == {""}
    assert not any("I wonder" in line["text"] for line in kept)  # thoughts are no part of a reply
    # Again, without key and server.
    monkeypatch.delenv("GEMINI_API_KEY")
    again, policy = play("again", None, 50, replies="wild-replies")
    assert expected.splitlines()[:50] == again.splitlines()
    again = policy.report()
    assert again.requests == again.prompt_tokens == 0
    assert again.from_store == sum(len(e.turns) for e in read_episodes(tmp_path / "again", "make"))
    assert policy.spent_usd == pytest.approx(report.spent_usd)


def test_the_key_is_in_no_file_and_no_line_of_a_log(play, google, storm, tmp_path, caplog, key):
    caplog.set_level(logging.DEBUG)  # the libraries' own lines too
    play("a", google(fault=storm), 8)
    assert key not in caplog.text and len(caplog.records) > 100
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3 and not [path for path in files if key.encode() in path.read_bytes()]


SCRIPT = """
import sys
from pathlib import Path
from knapsack_lib.families import family_named
from knapsack_lib.policies.gemini import GeminiPolicy
from knapsack_lib.policies.prices import load_prices
from knapsack_lib.profiles import Cell, Gemini, Profile
from knapsack_lib.rollouts import Rollouts
folder, profile, setting = Path(sys.argv[1]), *sys.argv[2:]
policy = GeminiPolicy(Gemini.model_validate_json(setting), folder / "replies", load_prices(), pause_seconds=0.005)
make = family_named("knapsack").make_task
tasks = [make("pocket-easy", seed=1, split="roll", index=i) for i in range(24)]
rollouts = Rollouts(policy, Cell("knapsack", "teacher", "reset", "easy"), Profile.model_validate_json(profile), 1, 100)
rollouts.run(tasks, folder / "episodes", "k")
"""


def test_a_run_that_is_killed_again_and_again_pays_only_for_what_the_kill_tore_away(
    play, google, storm, brisk, tmp_path, key, setting, paid
):
    expected, _ = play("calm", google(), 24)
    server, folder = google(fault=storm), tmp_path / "killed"
    arguments = [str(folder), brisk.model_dump_json(), setting(concurrency=3).model_dump_json()]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KNAPSACK_ROOT": str(ROOT),
        "GEMINI_BASE_URL": server.url,
    }
    kept, seen = set(), 0
    for stop in (12, 40, None):
        run = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], env=environment)
        while stop and run.poll() is None and len(server.answered) < stop:
            time.sleep(0.002)
        if stop:
            run.kill()
        assert run.wait() == (-9 if stop else 0)
        time.sleep(0.1)
        server.settle()  # answers that were on their way
        assert not kept & set(server.answered[seen:])  # what was on disk was not asked for again
        kept = {record["response_id"] for record in paid(folder / "replies")}
        seen = len(server.answered)
        # Torn away: at most one for each request under way.
        assert len(set(server.answered) - kept) <= 3
    assert len(server.answered) - len(set(server.answered)) <= 2 * 3
    assert kept == set(server.answered)
    assert (current(folder / "episodes") / "episodes.jsonl").read_bytes() == expected


def test_a_server_that_stays_away_ends_the_run_in_one_line_and_no_answer_is_lost(
    play, google, no_waiting, tmp_path, paid
):
    server = google(fault=lambda digest, attempt: "503" if len(server.answered) >= 9 else None)
    with pytest.raises(UserError, match=r"no answer after 2 attempts.*503.*resumes") as caught:
        play("a", server, attempts=2)
    assert "\n" not in str(caught.value) and len(no_waiting) == 4
    assert len(server.settle().answered) == len(paid(tmp_path / "a-replies")) >= 9
    server.fault = lambda digest, attempt: None
    assert play("a", server)[0] == play("b", google())[0] and each_once(server)


# Money --------------------------------------------------------------------------------------------


def test_no_budget_is_exceeded_and_the_run_continues_when_it_is_raised(
    play, google, tmp_path, no_waiting, paid
):
    expected, whole = play("whole", google())
    server = google()
    with pytest.raises(
        UserError, match=r"^\$0\.\d+ of budget_usd = .* are spent .*budget_usd.*resumes$"
    ):
        play("a", server, budget_usd=whole.spent_usd / 2)
    spent = sum(line["usd"] for line in paid(tmp_path / "a-replies"))
    assert 0 < spent <= whole.spent_usd / 2 and play.policy.spent_usd == pytest.approx(spent)
    before = len(server.settle().answered)
    with pytest.raises(UserError, match="budget"):  # a new run has no new budget
        play("a", server, budget_usd=whole.spent_usd / 2)
    assert (
        len(server.settle().answered) == before == len(paid(tmp_path / "a-replies"))
        and no_waiting == []
    )
    found, policy = play("a", server)
    assert (
        found == expected
        and len(set(server.answered)) == len(server.answered)
        and policy.spent_usd == pytest.approx(whole.spent_usd)
    )


def test_concurrent_requests_do_not_exceed_the_budget_together(
    play, google, tmp_path, paid, answers
):
    server = google(
        answer=answers("hm", prompt=100, completion=510)
    )  # hardly less than the worst case
    server.slow = 0.05
    worst = PRICES.of("gemini-3-flash-preview").usd(200, 512)
    with pytest.raises(UserError, match="budget"):
        play("a", server, 8, budget_usd=2 * worst)
    assert len(server.settle().answered) == 2 == len(paid(tmp_path / "a-replies"))


# Refusals and pauses ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, hint", [(400, "profile"), (401, "key"), (403, "key"), (404, "model")]
)
def test_a_refusal_that_asking_again_cannot_change_is_not_asked_again(
    play, google, code, hint, key
):
    server = google(fault=lambda digest, attempt: str(code))
    with pytest.raises(UserError, match=f"refuses.*{code}.*{hint}") as caught:
        play("a", server, concurrency=1)
    assert sum(server.asked.values()) == 1
    assert "\n" not in str(caught.value) and key not in str(caught.value)


def test_a_server_that_repeats_the_key_does_not_make_us_show_it(play, google, key, caplog, capsys):
    server = google(fault=lambda digest, attempt: "401")
    server.says = f"the key {key} is not\nknown"
    with pytest.raises(UserError) as caught:
        play("a", server)
    chain, error = [], caught.value
    while error is not None:
        chain, error = [*chain, repr(error), str(error)], error.__cause__
    shown = " ".join(
        [*chain, *caught.value._render_traceback_(), repr(play.policy), str(play.policy.report())]
    )
    assert "[key]" in shown and key not in shown + caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("fault, pause", [("429 header", 0.06), ("429 body", 0.06), ("503", 0.02)])
def test_pauses_grow_and_are_as_long_as_the_server_asks(
    google, brisk, tmp_path, key, play, fault, pause
):
    server = google(fault=lambda digest, attempt: fault if attempt < 3 else None)
    play("a", server, 1, concurrency=1)
    for times in server.times.values():
        gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
        assert len(gaps) == 3 and (min(gaps) if fault != "503" else gaps[-1]) >= pause


def test_a_quota_that_is_used_up_for_long_ends_the_run_at_once(play, google):
    server = google(fault=lambda digest, attempt: "429")
    server.headers = [("Retry-After", "7200")]
    with pytest.raises(UserError, match="wait 7200 s.*resumes"):
        play("a", server, concurrency=1)
    assert sum(server.asked.values()) == 1


def test_when_one_request_is_refused_the_others_do_not_go_on_asking(play, google):
    server = google(fault=lambda digest, attempt: "401" if len(server.asked) == 4 else "429")
    server.headers = [("Retry-After", "20")]  # the first three wait when the fourth is refused
    start = time.monotonic()
    with pytest.raises(UserError, match="refuses.*401"):
        play("a", server, concurrency=4)
    assert time.monotonic() - start < 15 and sum(server.asked.values()) == 4


# What is asked ------------------------------------------------------------------------------------


def test_a_request_holds_the_conversation_the_seed_and_the_limits_and_nothing_else(
    play, google, tmp_path, answers
):
    server = google(answer=answers("no block here", ""))
    play("a", server, 1, temperature=0.5)
    first, _, third = server.bodies[:3]
    assert set(first) == {"contents", "systemInstruction", "generationConfig"}
    assert set(first["generationConfig"]) == {"temperature", "seed", "maxOutputTokens"}
    assert (
        first["generationConfig"]["temperature"] == 0.5
        and first["generationConfig"]["maxOutputTokens"] == 512
    )
    seeds = [body["generationConfig"]["seed"] for body in server.bodies]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**31 for seed in seeds)
    # The second reply was empty: no empty part is sent, and the user's messages around it stand
    # together.
    assert [c["role"] for c in third["contents"]] == ["user", "model", "user"]
    assert (
        third["contents"][1]["parts"] == [{"text": "no block here"}]
        and len(third["contents"][2]["parts"]) == 2
    )
    episode = read_episodes(tmp_path / "a", "make")[0]
    assert [t.parse_status for t in episode.turns[:2]] == ["no_code"] * 2 and episode.turns[
        1
    ].reply == ""


def test_thinking_counts_as_completion_and_a_full_context_ends_the_episode(
    play, google, tmp_path, answers
):
    _, policy = play("a", google(answer=answers("hm")), 1, context=1024)
    turns = read_episodes(tmp_path / "a", "make")[0].turns
    assert (
        [(t.parse_status, t.prompt_tokens, t.completion_tokens) for t in turns]
        == [
            ("no_code", 400, 100),
            ("no_code", 800, 100),
            ("no_code", 1200, 100),
            ("context", 0, 0),
        ][: len(turns)]
        and turns[-1].parse_status == "context"
        and len(turns) in (3, 4)
    )
    assert policy.report().completion_tokens == 100 * (len(turns) - 1)


# How a reply ends ---------------------------------------------------------------------------------


def ending(reason, text="print(1)", *, times=1, turn=0):
    """A model that answers in blocks, but whose first `times` answers to that turn end with `reason`
    (none: with a prompt that is blocked for no reason)."""
    seen = Counter()

    def answer(body):
        asked = sum(len(c["parts"]) for c in body["contents"] if c["role"] == "user") - 1
        usage = {"promptTokenCount": 400, "candidatesTokenCount": 50}
        good = {"role": "model", "parts": [{"text": f"```python\n{text}\n```"}]}
        seen[asked] += 1
        if asked != turn or seen[asked] > times:
            return {
                "candidates": [{"content": good, "finishReason": "STOP"}],
                "usageMetadata": usage,
            }
        if reason is None:
            return {"usageMetadata": usage}
        if reason.startswith("prompt "):
            blocked = {"blockReason": reason.removeprefix("prompt ")}
            return {"promptFeedback": blocked, "usageMetadata": usage}
        return {"candidates": [{"finishReason": reason}], "usageMetadata": usage}

    return answer


@pytest.mark.parametrize(
    "reason",
    [
        *("MALFORMED_FUNCTION_CALL", "OTHER", "UNEXPECTED_TOOL_CALL", "MALFORMED_RESPONSE"),
        *("FINISH_REASON_UNSPECIFIED", "A_WORD_OF_A_LATER_SERVER", None),
    ],
)
def test_an_answer_that_no_model_wrote_is_asked_for_again_and_is_nobodys_turn(
    play, google, tmp_path, paid, reason
):
    calm, server = google(answer=ending("STOP", times=0)), google(answer=ending(reason, times=2))
    expected, _ = play("calm", calm, 1)
    found, policy = play("broken", server, 1)
    assert found == expected
    report = policy.report()
    turns = len(read_episodes(tmp_path / "broken", "make")[0].turns)
    assert (report.paid, report.broken, report.failed, report.blocked) == (turns, 2, 2, 0)
    assert "2 broken answers asked for again" in str(report)
    # Asked otherwise each time, charged for each time, and kept: the next run asks for nothing.
    seeds = [body["generationConfig"]["seed"] for body in server.bodies[:3]]
    assert len(set(seeds)) == 3
    assert policy.spent_usd == pytest.approx(
        sum(r["usd"] for r in paid(tmp_path / "broken-replies"))
    )
    again, policy = play("again", server, 1, replies="broken-replies")
    assert again == expected and policy.report().requests == 0


def test_answers_that_stay_broken_end_the_run_in_one_line_and_the_next_run_asks_otherwise(
    play, google, tmp_path, no_waiting, paid
):
    server = google(answer=ending("MALFORMED_FUNCTION_CALL", times=10**6))
    with pytest.raises(UserError, match=r"no reply in 2 answers.*MALFORMED_FUNCTION_CALL.*resumes"):
        play("a", server, 1, attempts=2)
    asked = len(server.settle().bodies)
    assert asked == 10 == len(paid(tmp_path / "a-replies"))
    server.answer = ending("STOP", times=0)
    play("a", server, 1)
    seeds = [body["generationConfig"]["seed"] for body in server.bodies[: asked + 1]]
    assert len(set(seeds)) == asked + 1


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "prompt OTHER", "prompt SAFETY"])
def test_a_blocked_reply_is_a_turn_of_the_models_without_a_text_and_counted_apart(
    play, google, tmp_path, reason
):
    _, policy = play("a", google(answer=ending(reason)), 1)
    first = read_episodes(tmp_path / "a", "make")[0].turns[0]
    assert (first.reply, first.parse_status) == ("", "no_code")
    report = policy.report()
    assert (report.blocked, report.broken) == (1, 0) and "1 blocked replies" in str(report)
    _, again = play("again", None, 1, replies="a-replies")
    assert again.report().blocked == 1


def test_threads_that_ask_at_once_share_one_client(monkeypatch, tmp_path):
    """A second client would be dropped, and close itself under the thread that had taken it."""
    made = []

    def slow(*_):
        made.append(object())
        time.sleep(0.05)
        return made[-1], str

    monkeypatch.setattr(gemini, "connect", slow)
    setting = load_profile("paper").teacher.gemini
    policy = gemini.GeminiPolicy(setting, tmp_path, load_prices())
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: policy._connection, range(8)))
    assert len(made) == 1 and {id(one[0]) for one in taken} == {id(made[0])}
