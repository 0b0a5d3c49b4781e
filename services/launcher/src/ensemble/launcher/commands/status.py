"""``ensemble status``: how each service is."""

import argparse
import json

from ensemble.launcher.connection import client
from ensemble.launcher.table import render


async def run(options: argparse.Namespace) -> int:
    """Print a row a service; fail when one does not serve."""
    async with client() as gateway:
        rows = await gateway.status()
    if options.json:
        print(json.dumps({"services": [row.as_json() for row in rows]}))
    else:
        print(
            render(
                ("SERVICE", "STATE", "TRANSPORT", "ADDRESS", "ENGINE"),
                [
                    (row.name, row.state, row.transport, row.address, row.engine or row.detail)
                    for row in rows
                ],
            )
        )
    return 0 if all(row.state == "serving" for row in rows) else 1
