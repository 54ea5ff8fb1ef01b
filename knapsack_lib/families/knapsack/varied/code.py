"""The code of the varied teacher in the knapsack: many ways to write each block. In the texts `$word` stands for a name of
the hand (words.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from knapsack_lib.families.knapsack.varied.knowledge import SHAPES, Knowledge
from knapsack_lib.families.knapsack.varied.plan import Look, Take
from knapsack_lib.families.varied.hand import Hand, inside
from knapsack_lib.families.varied.records import Dicts, Records
from knapsack_lib.families.varied.telling import Form, printed, read_answer

__all__ = ["Code"]


class Code:
    """One episode's way to write. `tracks`: what it keeps in variables, beside the records (left, bag, budget, banned).
    `catches`: whether it catches refusals. `helpers`: its functions, `$word` -> definition; `helper_forms` of the lines
    that they print, `forms` of those that the last block prints."""

    def __init__(self, hand: Hand, records: Records, order: str, catches: bool, helper: bool):
        self._hand, self._records, self._order, self._catches = hand, records, order, catches
        shares = {"left": 0.75, "bag": 0.75, "budget": 0.35, "banned": 0.6}
        self._tracks = {word for word, share in shares.items() if hand.chance(share)}
        if not catches:  # no code of it hears of a refusal
            self._tracks.discard("banned")
        self._comments = hand.draw(0.0, 0.0, 0.2, 0.5)
        self.helpers: dict[str, str] = {}
        self.helper_forms: list[Form] = []
        self.forms: list[Form] = []
        if hand.chance(0.35) or helper:
            self._define_look()
        if hand.chance(0.35):
            get = records.get
            ratio = f"{get('$id', 'value')} / {get('$id', 'weight')}"
            self.helpers["$ratio"] = hand.pick(
                f"def $ratio($id):\n    return {ratio}", f"$ratio = lambda $id: {ratio}"
            )

    def _define_look(self) -> None:
        body, form = self._one_look()
        self._looks_at_many = self._hand.chance(0.5)
        if self._looks_at_many:
            body = ["for $id in $queue:", *inside(body)]
        if "budget" in self._tracks:
            body = ["global $budget", *body]
        taken = "$queue" if self._looks_at_many else "$id"
        self.helpers["$look"] = "\n".join([f"def $look({taken}):", *inside(body)])
        self.helper_forms.append(form)

    def _note(self, *texts: str) -> list[str]:
        """A comment, now and then."""
        return [f"# {self._hand.pick(*texts)}"] if self._hand.chance(self._comments) else []

    def _loop(self, source: str, body: list[str]) -> list[str]:
        """Statements that go through the ids of `source` with $id."""
        way = self._hand.pick("for", "named", "while", "enumerate")
        if way == "named":
            return [f"$queue = {source}", "\n".join(["for $id in $queue:", *inside(body)])]
        if way == "while":
            steps = ["$id = $queue.pop(0)", *body]
            return [f"$queue = list({source})", "\n".join(["while $queue:", *inside(steps)])]
        head = "for $n, $id in enumerate({}):" if way == "enumerate" else "for $id in {}:"
        return ["\n".join([head.format(source), *inside(body)])]

    # Inspecting -------------------------------------------------------------------------------------------------------

    def _one_look(self, mistake: str = "") -> tuple[list[str], Form]:
        """Read one item, keep it, print it."""
        hand, records = self._hand, self._records
        reading = read_answer(hand, "inspect($id)", tuple(SHAPES), mistake)
        keep = records.keep("$id", reading.fields)
        if reading.whole and isinstance(records, Dicts) and hand.chance(0.7):
            keep = [f"$known[$id] = {reading.whole}"]
        counted = ["$budget -= 1"] if "budget" in self._tracks else []
        show, form = printed(hand, "$id", reading.fields, SHAPES, reading.whole)
        return [*reading.lines, *keep, *counted, show], form

    def look(self, intent: Look, known: Knowledge, too_many: bool, mistake: str) -> list[str]:
        """Statements that list the items, or inspect some, or both. With `too_many` nothing stands after the loop, which
        will not end."""
        lines = [] if known.items else self._list()
        if not intent.number:
            return lines
        source = self._source(intent, known)
        lines += self._note(
            f"inspect {intent.number}",
            "look at the next ones",
            "get weight, value and class",
            "keep what is shown",
        )
        after = [] if too_many else self._after_look()
        if "$look" in self.helpers and not mistake:
            return [*lines, self._call_look(source), *after]
        body, form = self._one_look(mistake)
        self.forms.append(form)
        if len(intent.ids) == 1 and self._hand.chance(0.6):
            return [*lines, f"$id = {intent.ids[0]!r}", *body, *after]
        return [*lines, *self._loop(source, body), *after]

    def _list(self) -> list[str]:
        return [
            *self._note("what is there?", "first the list", "list the items"),
            self._hand.pick(
                "$all = json.loads(list_items())",
                "$all = ast.literal_eval(list_items())",
                "$all = list(json.loads(list_items()))",
            ),
            self._hand.pick(
                "print($all)",
                "print('items:', $all)",
                "print(len($all), 'items', $all)",
                'print(f"{len($all)} items: {$all}")',
            ),
        ]

    def _source(self, intent: Look, known: Knowledge) -> str:
        """An expression of the ids to inspect: written out, or worked out as the order has it."""
        ids, count = list(intent.ids), intent.number
        if not known.items:
            return self._hand.pick(f"$all[:{count}]", f"$all[-{count}:]")
        unseen = f"$id for $id in $all if $id not in {self._records.ids}"
        worked_out: Mapping[str, list[str]] = {
            "listed": [f"[{unseen}][:{count}]"],
            "reversed": [f"[{unseen}][::-1][:{count}]"],
            "sorted": [f"sorted({unseen})[:{count}]"],
            "shuffled": [],
        }
        ways = worked_out[self._order]
        first = known.items.index(ids[0])
        if self._order == "listed" and known.items[first : first + count] == ids:
            ways.append(f"$all[{first}:{first + count}]")
        return self._hand.pick(*ways, repr(ids), repr(tuple(ids)))

    def _call_look(self, source: str) -> str:
        if self._looks_at_many:
            return f"$look({source})"
        return self._hand.pick(
            f"for $id in {source}:\n    $look($id)", f"_ = [$look($id) for $id in {source}]"
        )

    def _after_look(self) -> list[str]:
        ways = [[], [], [f"print(len({self._records.ids}), 'seen')"]]
        if "budget" in self._tracks:
            left = self._hand.pick(
                "print('inspections left:', $budget)",
                'print(f"{$budget} looks left")',
                "print('budget', $budget)",
            )
            ways.append([left])
        return self._hand.draw(*ways)

    # Taking -----------------------------------------------------------------------------------------------------------

    def take(self, intent: Take, known: Knowledge, calls: int) -> list[str]:
        """Statements that take items, those of the intent or what they find by its rule, at most `calls`."""
        lines = [] if "left" in self._tracks else [f"$left = {known.left}"]
        if intent.computes:
            lines += self._candidates(known)
            lines += self._note("best first", "rank them", "in the order of my rule")
            lines.append(self._ranked(intent.rule))
            source, body = f"$order[:{calls}]", [*self._skip(), *self._one_take()]
        else:
            lines += self._note("the best ones", "take these", "fill up")
            source, body = repr(list(intent.ids)), self._one_take()
        lines += self._loop(source, body)
        ways: list[list[str]] = [[], []]
        if "bag" in self._tracks and self._catches:
            shown = ("print('bag:', $bag)", "print($bag, $left)", 'print(f"{len($bag)} items in")')
            ways.append([self._hand.pick(*shown)])
        return [*lines, *self._hand.draw(*ways)]

    def _candidates(self, known: Knowledge) -> list[str]:
        """$order: what may and can be taken. What no variable keeps is written out."""
        row = self._records.row()
        conditions = [f"{row.fields['weight']} <= $left"]
        if "bag" in self._tracks or known.bag:
            bag = "$bag" if "bag" in self._tracks else repr(known.bag)
            conditions.append(f"{row.id} not in {bag}")
        if "banned" in self._tracks or known.banned:
            banned = "$banned" if "banned" in self._tracks else repr(tuple(known.banned))
            conditions.append(f"{row.fields['class']} not in {banned}")
        fits = " and ".join(self._hand.shuffled(conditions))
        loop = f"for {row.target} in {row.source}"
        if self._hand.chance(0.3):
            return ["$order = []", f"{loop}:\n    if {fits}:\n        $order.append({row.id})"]
        return [f"$order = [{row.id} {loop} if {fits}]"]

    def _ranked(self, rule: str) -> str:
        """A statement that brings $order into the order of the rule, or to the best set."""
        value, weight, kind = (self._records.get("$id", f) for f in ("value", "weight", "class"))
        if rule == "exact":
            heavy, worth = f"sum({weight} for $id in $one)", f"sum({value} for $id in $one)"
            return self._hand.pick(
                f"$order = max(($one for $n in range(len($order) + 1) for $one in combinations($order, $n) "
                f"if {heavy} <= $left), key=lambda $one: {worth})",
                f"$total, $fresh = 0, ()\n"
                f"for $n in range(1, len($order) + 1):\n"
                f"    for $one in combinations($order, $n):\n"
                f"        if {heavy} <= $left and {worth} > $total:\n"
                f"            $total, $fresh = {worth}, $one\n"
                f"$order = list($fresh)",
            )
        density = "$ratio($id)" if "$ratio" in self.helpers else f"{value} / {weight}"
        if rule == "by class":
            key = f"key=lambda $id: ({kind}, -({density}))"
            return self._hand.pick(f"$order.sort({key})", f"$order = sorted($order, {key})")
        best = value if rule == "value" else density
        key = self._hand.pick(f"key=lambda $id: -({best})", f"key=lambda $id: {best}, reverse=True")
        return self._hand.pick(f"$order.sort({key})", f"$order = sorted($order, {key})")

    def _skip(self) -> list[str]:
        """Pass by what no longer fits, or is of a class that was just refused."""
        reasons = [f"{self._records.get('$id', 'weight')} > $left"]
        if "banned" in self._tracks:
            reasons.append(f"{self._records.get('$id', 'class')} in $banned")
        return [f"if {' or '.join(reasons)}:", "    continue"]

    def _one_take(self) -> list[str]:
        """Take one item, keep count, print it; what is refused is noted."""
        hand, get = self._hand, self._records.get
        counted = [f"$left -= {get('$id', 'weight')}"]
        if "bag" in self._tracks:
            counted.append(hand.pick("$bag.append($id)", "$bag += [$id]"))
        show = hand.pick(
            "print('took', $id, 'left', $left)",
            'print(f"took {$id}, {$left} left")',
            "print('+', $id)",
            "print('ok', $id, $left)",
            "print('taken', $id)",
        )
        done = [*hand.shuffled(counted), show]
        if not self._catches:
            return ["take_item($id)", *done]
        kind = get("$id", "class")
        told = hand.pick(
            "print($error)",
            "print('refused', $id, $error)",
            "print($id, $error)",
            f"print('no class', {kind})",
        )
        missed = [*([f"$banned.append({kind})"] if "banned" in self._tracks else []), told]
        catch = f"except PermissionError{' as $error' if '$error' in told else ''}:"
        way = hand.pick("in the try", "else", "continue")
        if way == "in the try":
            return ["try:", *inside(["take_item($id)", *done]), catch, *inside(missed)]
        attempt = ["try:", "    take_item($id)", catch]
        if way == "else":
            return [*attempt, *inside(missed), "else:", *inside(done)]
        return [*attempt, *inside([*missed, "continue"]), *done]

    # The end ----------------------------------------------------------------------------------------------------------

    def review(self, known: Knowledge) -> list[str]:
        """Statements that look back."""
        taken = "$bag" if "bag" in self._tracks else repr(known.bag)
        return [
            *self._note("a look back", "check before finishing"),
            f"$total = sum({self._records.get('$id', 'value')} for $id in {taken})",
            self._hand.pick(
                f"print($total, {taken})",
                "print('value so far:', $total)",
                'print(f"worth {$total}")',
            ),
        ]

    def finish(self) -> list[str]:
        """Statements that end the task."""
        ways: list[Sequence[str]] = [["finish()"], ["finish()"], ["print('done')", "finish()"]]
        if "bag" in self._tracks:
            ways += [["print($bag)", "finish()"], ["if $bag:\n    finish()"]]
        if "left" in self._tracks:
            ways.append(["print('unused:', $left)", "finish()"])
        return [*self._note("nothing more fits", "the end", "done"), *self._hand.draw(*ways)]
