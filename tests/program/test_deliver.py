"""Role deliver alone: records in topic calls, CRMs in every mood, a ledger that balances."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
import unittest
import uuid
from typing import Any

from crm_double import HANG, LATE, LOSE, Double, json_lines
from lib_cs import BINARY, Office, callstream, until

import topics  # lib_cs puts bench/ on the path

NAMESPACE = uuid.UUID("d74265c1-8fb4-540d-9e96-c913dfe35a1b")
SECRET = "whsec_dGhlIGtleSBvZiBhIENSTSBkb3VibGU="
OLD_SECRET = "plain old secret"
LONG = bool(os.environ.get("CALLSTREAM_LONG"))


def call_id(account: str, session: str) -> str:
    """The id of a call."""
    return str(uuid.uuid5(NAMESPACE, f"{account}\n{session}"))


def record(session: str, revision: int = 1, account: str = "acme", **fields: Any) -> dict[str, Any]:
    """A record as the correlator writes it, as far as deliver cares."""
    return {
        "schema": "callstream.call/1",
        "id": call_id(account, session),
        "revision": revision,
        "complete": False,
        "account": account,
        "source": "callgear",
        "call_session_id": session,
        "direction": "in",
        "outcome": "answered",
        "line": "74951234567",
        "contact": {"number": "79161234567", "name": "\u041e\u043b\u044c\u0433\u0430 \"O\"\\"},
        "started_at": "2026-03-14T10:15:02.000Z",
        **fields,
    }


class Desk(Office):
    """An office of deliver alone."""

    def __init__(self, sinks: list[str], routes: list[str], **deliver: str) -> None:
        super().__init__()
        self.sinks, self.routes = sinks, routes
        self.deliver = {
            "allow_private_networks": "true",
            "retry_first": "100ms",
            "retry_max": "500ms",
            "connect_timeout": "1s",
            "timeout": "1s",
            **deliver,
        }
        self.write()

    def write(self) -> None:
        """The config."""
        settings = ", ".join(f"{key}: {value}" for key, value in self.deliver.items())
        lines = [
            f'kafka: {{brokers: "{self.brokers}", topic_prefix: "{self.prefix}", partitions: 4}}',
            "drain: 12s",
            f"deliver: {{{settings}}}",
            "accounts:",
            *(
                f"  - {{name: {name}, source: callgear, timezone: Europe/Moscow, "
                'token: "0123456789abcdef0123", recordings: never}'
                for name in ("acme", "other")
            ),
            "sinks:",
            *(f"  - {{{sink}}}" for sink in self.sinks),
            "routes:",
            *(f"  - {{{route}}}" for route in self.routes),
        ]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run_deliver(self, name: str = "deliver") -> None:
        """Starts it and waits until it has its partitions."""
        self.role("deliver", name)
        self.ready(name)

    def produce(self, records: list[dict[str, Any]], topic: str = "calls") -> None:
        """Into topic calls, keyed by call id."""
        lines = [f"{r.get('id', 'x')}\t{json.dumps(r, ensure_ascii=False, separators=(',', ':'))}" for r in records]
        words = ["kcat", "-P", "-b", self.brokers, "-t", self.prefix + topic, "-K", "\t"]
        words += ["-X", "partitioner=murmur2_random"]
        subprocess.run(words, input="\n".join(lines).encode() + b"\n", check=True, timeout=60)

    def topic(self, name: str) -> list[topics.Message]:
        """All of a topic, read-committed. kcat gives up at a broker's first hiccup: it is asked again."""
        for _ in range(3):
            try:
                return topics.read_all(self.brokers, self.prefix + name)
            except RuntimeError:
                time.sleep(0.5)
        return topics.read_all(self.brokers, self.prefix + name)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The newest entry of each key."""
        return {m.key.decode(): json.loads(m.value) for m in self.topic("deliveries") if m.value}

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters."""
        return [json.loads(m.value) for m in self.topic("dead") if m.value]

    def settled(self, n: int, seconds: float = 40, revision: int = 1) -> dict[str, dict[str, Any]]:
        """The ledger once n keys wait for nothing any more, and all have come to this revision."""

        def look() -> dict[str, dict[str, Any]]:
            found = self.ledger()
            open_ones = [e for e in found.values() if e["verdict"] == "retry" or e["revision"] < revision]
            return found if len(found) == n and not open_ones else {}

        return until(f"{n} settled deliveries", seconds, look, pause=0.3)


def webhook(name: str, double: Double, more: str = "") -> str:
    """A sink of the double."""
    return f'name: {name}, kind: webhook, url: "http://127.0.0.1:{double.port}/{name}", secret: "{SECRET}"{more}'


class Moods(unittest.TestCase):
    """One office, CRMs in every mood at once: none delays another, none loses anything."""

    calls = 120
    sinks = ("well", "errors", "loses", "late", "gone", "hangs", "refuses")

    def mood(self, rng: random.Random, word: Any) -> Any:
        """A mood that is bad at every third first try."""
        return lambda _ident, seen: word if seen == 0 and rng.random() < 0.3 else 200

    def set_moods(self, double: Double) -> None:
        """One sink each."""
        rng = random.Random(7)
        double.moods = {
            "errors": self.mood(rng, 500),
            "loses": self.mood(rng, LOSE),
            "late": self.mood(rng, LATE),
            "gone": lambda ident, _: 410 if ident[0] in "01234567" else 200,
            "hangs": lambda _ident, _seen: HANG,
            "refuses": self.mood(rng, 429),
        }

    def test_every_mood(self) -> None:
        with Double([SECRET], late_s=2) as double:
            self.set_moods(double)
            sinks = [webhook(name, double, ", concurrency: 16") for name in self.sinks]
            names = ", ".join(self.sinks)
            with Desk(sinks, [f"account: acme, sinks: [{names}]"], timeout="700ms", connect_timeout="500ms") as desk:
                desk.role("deliver")
                desk.ready("deliver")
                began = time.monotonic()
                for revision in (1, 2):
                    desk.produce([record(str(i), revision) for i in range(self.calls)])
                self.check_arrivals(double)
                self.check_dead(desk, double)
                self.check_hanging(desk, double, began)
                self.assertEqual([], double.bad)
                for name in self.sinks:
                    self.assertEqual([], double.went_back(name), name)
                    self.assertEqual([], double.bodies_differ(name), name)
                self.assertEqual(0, desk.processes["deliver"].stop())

    def check_arrivals(self, double: Double) -> None:
        """All but those that refuse for ever know the newest of every call."""
        wanted = {call_id("acme", str(i)): 2 for i in range(self.calls)}
        for name in ("well", "errors", "loses", "late", "refuses"):
            until(f"all at {name}", 40, lambda: double.newest(name) == wanted)
        repeated = [a.ident for a in double.applied("loses")]
        self.assertGreater(len(repeated), len(set(repeated)), "a lost answer is asked for again")
        for arrival in double.applied("well"):
            session = json.loads(arrival.body)["call_session_id"]
            body = json.dumps(record(session, arrival.revision), ensure_ascii=False, separators=(",", ":"))
            self.assertEqual(body.encode(), arrival.body, "byte for byte")

    def check_dead(self, desk: Desk, double: Double) -> None:
        """What is refused for ever is a dead letter at once, with its task, and never tried again."""
        gone = {i for i in (call_id("acme", str(i)) for i in range(self.calls)) if i[0] in "01234567"}
        letters = until(
            "dead letters",
            20,
            lambda: (d := [x for x in desk.dead() if x["sink"] == "gone"])
            and {x["id"] for x in d if x["original"]["revision"] == 2} == gone
            and d,
        )
        for letter in letters:
            self.assertEqual("callstream.dead/1", letter["schema"])
            self.assertEqual("permanent: http 410", letter["reason"])
            self.assertEqual(("acme", 1), (letter["account"], letter["attempts"]))
            self.assertEqual("callstream.task/1", letter["original"]["schema"])
        tries = [a.ident for a in double.arrivals["gone"] if a.outcome == 410]
        self.assertEqual(len(tries), len(set(tries)))
        ledger = desk.ledger()
        self.assertEqual({"dead"}, {ledger[f"gone/{i}"]["verdict"] for i in gone})

    def check_hanging(self, desk: Desk, double: Double, began: float) -> None:
        """The one that never answers waits, with its tasks in the ledger; the others were done long ago."""
        last = max(a.at for a in double.applied("well"))
        self.assertLess(last - began, 30)

        def all_wait() -> bool:
            ledger = desk.ledger()
            mine = [e for key, e in ledger.items() if key.startswith("hangs/")]
            return len(mine) == self.calls and all(
                e["verdict"] == "retry" and e["task"]["revision"] == e["revision"] == 2 for e in mine
            )

        until("waiting entries", 20, all_wait, pause=0.3)
        self.assertGreater(desk.metric("deliver", "callstream_deliver_waiting"), 0)


class Restarts(unittest.TestCase):
    """The ledger outlives the process."""

    seconds_max = 600

    def kill_in_mid_load(self, times: int) -> None:
        """kill -9 again and again, while records come and the CRM is moody."""
        rng = random.Random(os.environ.get("CALLSTREAM_SEED") or None)
        moody = lambda _ident, seen: rng.choice((200, 200, 500, LOSE)) if seen < 2 else 200  # noqa: E731
        calls = 60 * times
        with Double([SECRET]) as double:
            double.moods = {"crm": moody}
            archive = 'name: archive, kind: file, path: "{}"'
            with Desk([webhook("crm", double)], ["account: acme, sinks: [crm, archive]"]) as desk:
                path = desk.folder / "calls.jsonl"
                desk.sinks.append(archive.format(path))
                desk.write()
                desk.run_deliver()
                for i in range(times):
                    batch = [record(str(60 * i + k), r) for r in (1, 2) for k in range(60)]
                    desk.produce(batch)
                    time.sleep(rng.uniform(0.0, 0.3))  # a random moment, not a wait for something
                    desk.processes["deliver"].kill()
                    desk.role("deliver")
                    if i % 3 == 2:
                        desk.ready("deliver")
                desk.ready("deliver")
                desk.settled(2 * calls, 90, revision=2)
                wanted = {call_id("acme", str(i)): 2 for i in range(calls)}
                self.assertEqual(wanted, double.newest("crm"))
                self.assertEqual([], double.went_back("crm"))
                self.assertEqual([], double.bodies_differ("crm"))
                self.assertEqual([], double.bad)
                self.assertEqual([], desk.dead())
                newest = {line["id"]: line["revision"] for line in json_lines(path)}
                self.assertEqual(wanted, newest)
                self.check_tasks(desk, 4 * calls)

    def check_tasks(self, desk: Desk, n: int) -> None:
        """Routing is exactly once: each (sink, call, revision) has one task, under one id."""
        tasks = [json.loads(m.value or b"") for m in desk.topic("tasks")]
        keys = [(t["sink"], t["call"], t["revision"]) for t in tasks]
        self.assertEqual(n, len(keys))
        self.assertEqual(n, len(set(keys)))
        for task in tasks[:50]:
            name = f"{task['sink']}\n{task['call']}\n{task['revision']}"
            self.assertEqual(str(uuid.uuid5(NAMESPACE, name)), task["id"])

    def test_kill(self) -> None:
        self.kill_in_mid_load(30 if LONG else 10)

    def test_a_restart_knows_every_timer(self) -> None:
        with Double([SECRET]) as double:
            double.moods = {"crm": lambda _ident, seen: 500 if seen == 0 else 200}
            with Desk([webhook("crm", double)], ["account: acme, sinks: [crm]"], retry_first="6s", retry_max="6s") as desk:
                desk.run_deliver()
                desk.produce([record("1")])
                entry = until("the retry", 20, lambda: next((e for e in desk.ledger().values() if e["attempt"]), None))
                self.assertEqual(("retry", 500), (entry["verdict"], entry["status"]))
                self.assertEqual(0, desk.processes["deliver"].stop())
                first = double.arrivals["crm"][0]
                desk.run_deliver()
                entry = desk.settled(1)[f"crm/{call_id('acme', '1')}"]
                second = double.arrivals["crm"][1]
                self.assertEqual((first.ident, first.body), (second.ident, second.body))
                self.assertGreaterEqual(second.at - first.at, 2.5)  # half of the wait is chance
                self.assertEqual(("done", 2), (entry["verdict"], entry["attempt"]))

    def test_topics_that_were_made_anew(self) -> None:
        """Their ends lie before the committed offsets: they are read from the beginning."""
        with Double([SECRET]) as double:
            with Desk([webhook("crm", double)], ["account: acme, sinks: [crm]"]) as desk:
                desk.run_deliver()
                desk.produce([record(f"old {i}") for i in range(40)])
                desk.settled(40)
                self.assertEqual(0, desk.processes["deliver"].stop())
                subprocess.run(
                    [str(BINARY.with_name("fault_probe")), "make-calls-anew", desk.prefix, "4"],
                    env={**os.environ, "CALLSTREAM_BROKERS": desk.brokers},
                    check=True,
                    timeout=60,
                )
                desk.produce([record(f"new {i}") for i in range(4)])
                desk.run_deliver()
                desk.produce([record(f"later {i}") for i in range(4)])
                desk.settled(48)
                self.assertEqual(48, len(double.newest("crm")))
                self.assertEqual(0, desk.processes["deliver"].stop())

    def test_two_share_the_work(self) -> None:
        """A second process comes and goes: partitions are handed over in order."""
        calls = 200
        with Double([SECRET]) as double:
            sinks = [webhook(f"crm-{i}", double) for i in range(6)]
            names = ", ".join(f"crm-{i}" for i in range(6))
            with Desk(sinks, [f"account: acme, sinks: [{names}]"]) as desk:
                desk.run_deliver()
                desk.produce([record(str(i)) for i in range(calls)])
                desk.run_deliver("second")
                desk.produce([record(str(i), 2) for i in range(calls)])
                self.assertEqual(0, desk.processes["deliver"].stop())
                desk.produce([record(str(i), 3) for i in range(calls)])
                ledger = desk.settled(6 * calls, revision=3)
                self.assertEqual({(3, "done")}, {(e["revision"], e["verdict"]) for e in ledger.values()})
                for i in range(6):
                    self.assertEqual([], double.went_back(f"crm-{i}"))


    def test_a_stopped_process_that_wakes_tells_nothing_old(self) -> None:
        """SIGSTOP for longer than the session: another one has its partitions when it goes on."""
        names = [f"crm-{i}" for i in range(3)]
        rng = random.Random(3)
        with Double([SECRET]) as double:
            moody = lambda _ident, seen: rng.choice((200, 500, LOSE)) if seen < 2 else 200  # noqa: E731
            double.moods = {name: moody for name in names}
            with Desk([webhook(n, double) for n in names], [f"account: acme, sinks: [{', '.join(names)}]"]) as desk:
                desk.run_deliver()
                desk.produce([record(str(i)) for i in range(200)])
                until("the first arrivals", 20, lambda: double.newest("crm-0"))
                desk.processes["deliver"].signal(signal.SIGSTOP)
                desk.run_deliver("second")
                desk.produce([record(str(i), 2) for i in range(200)])
                until("the second's work", 60, lambda: set(double.newest("crm-0").values()) == {2})
                desk.processes["deliver"].signal(signal.SIGCONT)
                desk.produce([record(str(i), 3) for i in range(200)])
                ledger = desk.settled(600, 60, revision=3)
                self.assertEqual({(3, "done")}, {(e["revision"], e["verdict"]) for e in ledger.values()})
                for name in names:
                    self.assertEqual([], double.went_back(name), name)
                for name in ("deliver", "second"):
                    self.assertEqual(0, desk.processes[name].stop(), name)


class Parked(unittest.TestCase):
    """More waits than memory may hold: it lies in the log and is read back in time."""

    def verdicts(self, desk: Desk) -> list[str]:
        """Of the entries of the dead one."""
        return [e["verdict"] for key, e in desk.ledger().items() if key.startswith("dead/")]

    def test_a_dead_crm_with_little_memory(self) -> None:
        calls, more = 300, 100
        with Double([SECRET]) as double:
            double.moods = {"dead": lambda _ident, _seen: 503}
            # Six sinks share four partitions; 8 KiB of memory hold about ten tasks of each.
            sinks = [webhook("dead", double), *(webhook(f"well-{i}", double) for i in range(5))]
            names = ", ".join(["dead", *(f"well-{i}" for i in range(5))])
            with Desk(sinks, [f"account: acme, sinks: [{names}]"], waiting_bytes_max="48KiB") as desk:
                desk.run_deliver()
                desk.produce([record(str(i)) for i in range(calls)])
                for i in range(5):
                    until(f"well-{i}", 30, lambda: len(double.newest(f"well-{i}")) == calls)
                until("all wait", 20, lambda: len(self.verdicts(desk)) == calls, pause=0.3)
                desk.processes["deliver"].kill()  # parked from topic tasks before, from the ledger now
                desk.run_deliver()
                desk.produce([record(str(i), 2) for i in range(0, calls, 3)])
                desk.produce([record(str(i)) for i in range(calls, calls + more)])
                until("the well", 30, lambda: len(double.newest("well-0")) == calls + more)
                self.assertEqual({"retry"}, set(self.verdicts(desk)))
                double.moods = {}
                wanted = {call_id("acme", str(i)): 2 if i < calls and i % 3 == 0 else 1 for i in range(calls + more)}
                until("all of it", 40, lambda: double.newest("dead") == wanted)
                desk.settled(6 * (calls + more))
                self.assertEqual([], double.went_back("dead"))
                self.assertEqual([], desk.dead())


class Rules(unittest.TestCase):
    """Routes, refusals, ends; and the commands that show them."""

    def test_routes_and_sends(self) -> None:
        with Double([SECRET]) as double:
            sinks = [
                webhook("every", double),
                webhook("first", double, ", send: first"),
                webhook("complete", double, ", send: complete"),
                webhook("inside", double),
            ]
            routes = [
                "account: acme, sinks: [every, first, complete]",
                'account: acme, lines: ["84951234567"], outcome: [answered], sinks: [every]',
                "account: acme, direction: [internal], sinks: [inside]",
            ]
            with Desk(sinks, routes) as desk:
                desk.run_deliver()
                desk.produce([record("1"), record("2", notes=["callback_leg"]), record("3", direction="internal")])
                desk.produce([record("4", account="other")])
                until("first round", 20, lambda: len(desk.ledger()) == 3)
                until("revision 1", 20, lambda: double.newest("every"))
                desk.produce([record("1", 2, complete=True)])
                one, three = call_id("acme", "1"), call_id("acme", "3")
                until("revision 2", 20, lambda: double.newest("every").get(one) == 2)
                until("the complete one", 20, lambda: double.newest("complete"))
                self.assertEqual({one: 1}, double.newest("first"))
                self.assertEqual({one: 2}, double.newest("complete"))
                self.assertEqual({three: 1}, double.newest("inside"))
                self.assertEqual(2, len(double.arrivals["every"]), "two routes, one delivery")
                until("counted", 5, lambda: desk.metric("deliver", "callstream_deliver_unrouted_total") == 2)
                self.check_commands(desk, one)

    def check_commands(self, desk: Desk, call: str) -> None:
        """calls show by id and by session, calls tail."""
        done = callstream("calls", "show", call, "--json", "--config", str(desk.config))
        shown = json.loads(done.stdout)
        self.assertEqual(2, shown["record"]["revision"])
        self.assertEqual([1, 2], [r["revision"] for r in shown["revisions"]])
        found = {d["sink"]: (d["revision"], d["verdict"]) for d in shown["deliveries"]}
        self.assertEqual({"every": (2, "done"), "first": (1, "done"), "complete": (2, "done")}, found)
        again = callstream("calls", "show", "acme/1", "--json", "--config", str(desk.config))
        self.assertEqual(done.stdout, again.stdout)
        text = callstream("calls", "show", "acme/1", "--config", str(desk.config))
        self.assertIn(b"every: revision 2 done", text.stdout)
        missing = callstream("calls", "show", "acme/77", "--config", str(desk.config))
        self.assertEqual((1, b""), (missing.returncode, missing.stdout))
        self.check_tail(desk)

    def check_tail(self, desk: Desk) -> None:
        """Old and new ones, until Ctrl-C."""
        words = ["calls", "tail", "--json", "--since", "1h", "--config", str(desk.config)]
        with subprocess.Popen(
            [str(desk.processes["deliver"].words[0]), *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as tail:
            assert tail.stdout is not None
            lines = [json.loads(tail.stdout.readline()) for _ in range(5)]
            self.assertEqual({"1", "2", "3", "4"}, {line["call_session_id"] for line in lines})
            desk.produce([record("9", account="other")])
            self.assertEqual("9", json.loads(tail.stdout.readline())["call_session_id"])
            tail.send_signal(signal.SIGINT)
            self.assertEqual(0, tail.wait(10))

    def test_private_addresses_are_refused(self) -> None:
        with Double([SECRET]) as double:
            sink = webhook("crm", double).replace("127.0.0.1", "localhost")
            with Desk([sink], ["account: acme, sinks: [crm]"], allow_private_networks="false") as desk:
                desk.run_deliver()
                desk.produce([record("1")])
                letter = until("the dead letter", 20, desk.dead)[0]
                self.assertEqual("permanent: address_not_allowed", letter["reason"])
                self.assertEqual([], double.arrivals["crm"])
                listed = callstream("dead", "list", "--json", "--sink", "crm", "--config", str(desk.config))
                self.assertEqual([letter], [json.loads(line) for line in listed.stdout.splitlines()])
                for ident, code in ((letter["id"], 0), ("acme/1", 0), ("nothing", 1)):
                    shown = callstream("dead", "show", ident, "--config", str(desk.config))
                    self.assertEqual(code, shown.returncode, ident)

    def test_gives_up(self) -> None:
        with Double([SECRET]) as double:
            double.moods = {"crm": lambda _ident, _seen: 503}
            with Desk([webhook("crm", double)], ["account: acme, sinks: [crm]"], give_up_after="2s") as desk:
                desk.run_deliver()
                desk.produce([record("1")])
                letter = until("the dead letter", 20, desk.dead)[0]
                self.assertEqual("gave_up", letter["reason"])
                self.assertGreater(letter["attempts"], 2)
                self.assertEqual(letter["attempts"], len(double.arrivals["crm"]))
                entry = desk.settled(1)[f"crm/{call_id('acme', '1')}"]
                self.assertEqual(("dead", 503), (entry["verdict"], entry["status"]))

    def test_rotated_secrets_and_files(self) -> None:
        with Double([SECRET, OLD_SECRET]) as double:
            sinks = [webhook("crm", double, f', secret_previous: "{OLD_SECRET}"')]
            with Desk(sinks, ["account: acme, sinks: [crm, archive]"]) as desk:
                path = desk.folder / "calls.jsonl"
                path.write_bytes(b'{"torn":')  # a crash in the middle of a line
                desk.sinks.append(f'name: archive, kind: file, path: "{path}"')
                desk.write()
                desk.run_deliver()
                desk.produce([record("1")])
                until("the first line", 20, lambda: json_lines(path))
                path.rename(desk.folder / "calls.jsonl.1")
                desk.produce([record("2")])
                until("the new file", 20, path.exists)
                until("its line", 20, lambda: json_lines(path))
                self.assertEqual(["1"], [r["call_session_id"] for r in json_lines(desk.folder / "calls.jsonl.1")])
                self.assertEqual(["2"], [r["call_session_id"] for r in json_lines(path)])
                until("both", 20, lambda: len(double.newest("crm")) == 2)
                self.assertEqual([], double.bad)

    def test_what_cannot_be_read_is_kept_and_stops_nothing(self) -> None:
        with Double([SECRET]) as double:
            with Desk([webhook("crm", double)], ["account: acme, sinks: [crm]"]) as desk:
                desk.run_deliver()
                desk.produce([{"id": "x", "schema": "something/1"}, {"id": "y"}])
                desk.produce([{"schema": "nothing"}], topic="tasks")
                desk.produce([record("1")])
                until("the good one", 20, lambda: double.newest("crm"))
                letters = until("letters", 20, lambda: (d := desk.dead()) and len(d) == 3 and d)
                reasons = sorted(letter["reason"] for letter in letters)
                self.assertEqual(["undecodable: no call record"] * 2 + ["undecodable: no task"], reasons)
                self.assertIn('{"id":"y"}', [letter["original"]["value"] for letter in letters])


if __name__ == "__main__":
    unittest.main()
