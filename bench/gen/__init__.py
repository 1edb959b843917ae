"""Seeded vendor traffic with its truth, and the check of what came out.

The package is an independent second reader of the contract and the rules: it shares no code and
no tables with the C program, so that a misreading on one side shows up as a difference.

A vendor is a sub-package with the same five parts (see ``callgear``): ``render`` (facts to
requests, as the vendor sends them), ``read`` (requests to events), ``fold`` (what a record says
where vendors differ), ``reasons`` and ``stories`` (what happens in a call).
"""
