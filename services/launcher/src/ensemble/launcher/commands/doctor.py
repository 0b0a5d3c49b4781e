"""``ensemble doctor``: what is missing on this machine and how to get it."""

import argparse
import json

from ensemble.launcher.doctor import examine
from ensemble.launcher.table import render


async def run(options: argparse.Namespace) -> int:
    """Print the findings; fail when a needed part is broken."""
    findings = list(examine())
    if options.json:
        print(json.dumps({"findings": [finding.as_json() for finding in findings]}))
    else:
        print(
            render(
                ("PART", "STATE", "FOUND", "HOW TO GET IT"),
                [(f.name, f.state, f.detail, f.advice) for f in findings],
            )
        )
    return 1 if any(finding.state == "broken" for finding in findings) else 0
