"""The CRM double is strict: each thing that a receiver must refuse is refused and named."""

import base64
import io
import json
import random
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from crm import Crm, Moods, Request, key_of, signature  # noqa: E402

CALL = "0d6e9f1c-4a55-5f0e-9d3b-6a1f0c1b2d3e"
SECRET = "whsec_" + base64.b64encode(b"a key of the test").decode()


def request(revision=1, **changes):
    """A faultless request, then changed."""
    body = json.dumps({"schema": "callstream.call/1", "id": CALL, "revision": revision}).encode()
    ident, stamp = f"{CALL}-{revision}", str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "webhook-id": ident,
        "webhook-timestamp": stamp,
        "webhook-signature": signature(key_of(SECRET), ident, stamp, body),
    }
    made = Request("POST", "/calls", headers, body)
    for name, value in changes.items():
        if name in ("method", "body"):
            setattr(made, name, value)
        else:
            headers[name.replace("_", "-")] = value
    return made


def crm():
    """One without moods."""
    return Crm(key_of(SECRET), Moods(), random.Random(1), io.StringIO())


class Strict(unittest.TestCase):
    ROWS = (
        ("faultless", {}, None),
        ("GET", {"method": "GET"}, 405),
        ("text", {"content_type": "text/plain"}, 400),
        ("no id", {"webhook_id": ""}, 400),
        ("old", {"webhook_timestamp": "1000000000"}, 400),
        ("other body", {"body": b"{}"}, 401),
        ("no signature", {"webhook_signature": ""}, 401),
        ("second of two signatures", {"webhook_signature": None}, None),
    )

    def test_rows(self):
        for name, changes, status in self.ROWS:
            with self.subTest(name):
                made = request(**{k: v for k, v in changes.items() if v is not None})
                if changes.get("webhook_signature", "") is None:
                    made.headers["webhook-signature"] = "v1,AAAA " + made.headers["webhook-signature"]
                objection = crm().objection(made)
                self.assertEqual(status, objection[0] if objection else None)

    def test_another_body_under_a_known_id(self):
        one = crm()
        first = request()
        self.assertEqual("new", one.apply(first.headers["webhook-id"], first.body))
        body = first.body.replace(b"}", b',"x":1}')
        stamp = first.headers["webhook-timestamp"]
        changed = request(body=body, webhook_signature=signature(one.key, f"{CALL}-1", stamp, body))
        changed.headers["webhook-timestamp"] = stamp
        self.assertEqual((400, "another body under a known webhook-id"), one.objection(changed))

    def test_order(self):
        one = crm()
        told = [one.apply(r.headers["webhook-id"], r.body) for r in (request(2), request(2), request(1))]
        self.assertEqual(["new", "repeated", "older"], told)


if __name__ == "__main__":
    unittest.main()
