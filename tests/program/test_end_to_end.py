"""The whole path on a real broker: webhooks in, records at the CRM. Under the thread sanitizer, too."""

from __future__ import annotations

import unittest

from lib_cs import Office

ROLES = ("ingest", "correlate", "deliver")


def start(office: Office, *crm: str) -> None:
    """CRM and all roles, ready."""
    office.write_config()
    office.crm(*crm)
    for role in ROLES:
        office.role(role)
    office.ready(*ROLES)


class EndToEnd(unittest.TestCase):
    """Nothing breaks: every field, every count."""

    def test_all_is_accounted_for(self) -> None:
        with Office() as office:
            office.generate(300, rate=400)
            start(office, "--errors", "0.03", "--losses", "0.01")
            office.send()
            report = office.verify()
            self.assertEqual(300, report["records"])
            for role in ROLES:
                self.assertEqual(0, office.processes[role].stop(), role)

    def test_one_process_for_a_small_office(self) -> None:
        with Office() as office:
            office.generate(60, rate=200)
            office.write_config()
            office.crm()
            process = office.role("", "office")
            office.ready("office")
            office.send()
            self.assertEqual(60, office.verify()["records"])
            self.assertEqual(0, process.stop())


if __name__ == "__main__":
    unittest.main()
