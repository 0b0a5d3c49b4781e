"""The tools that the assistant really has, as the recogniser is told of them."""

import json
from typing import Any

from ensemble.stt.grammar.tools import SpokenTool
from ensemble.tool_server import household
from ensemble.tool_server.toolbox import Offer


def served_tools() -> tuple[SpokenTool, ...]:
    """Return the household tools of the tool server."""
    nowhere: Any = None
    offers = [Offer(tool) for tool in household.tools(nowhere, nowhere)]
    return tuple(
        SpokenTool(offer.tool.name, json.dumps(offer.input_schema), tuple(offer.tool.utterances))
        for offer in offers
    )
