"""The views that operators query, one definition for the SQL of both stores.

``collaborations`` has a row a session, ``agent_executions`` one a piece of work, and
``token_stream`` one an event that carries words. A stream whose last execution runs, or which
carries a mark, is still worked on.
"""

from collections.abc import Callable
from typing import Final

NAMES: Final = ("collaborations", "agent_executions", "token_stream")
"""The views, in the order in which they are made."""


DROP_VIEWS: Final = "".join(f"DROP VIEW IF EXISTS {name};" for name in reversed(NAMES))
"""What a migration begins with that changes tables which the views show."""


def views(time: Callable[[str], str], array: str) -> str:
    """Return the statements that make the views.

    Args:
        time: Turns an expression in nanoseconds since the epoch into a time in UTC.
        array: Name of the function that makes a JSON array out of its arguments.
    """
    return f"""
CREATE VIEW collaborations AS
WITH works AS (
    SELECT stream, count(*) AS turns, sum(input_tokens + output_tokens) AS tokens,
        sum(cost_nanos) AS nanos
    FROM executions GROUP BY stream
), states AS (
    SELECT s.*, CASE
        WHEN s.mark <> '' THEN 'running'
        ELSE coalesce((
            SELECT CASE e.status WHEN 'running' THEN 'running' WHEN 'failed' THEN 'failed'
                ELSE 'completed' END
            FROM executions e WHERE e.stream = s.id ORDER BY e.seq_from DESC LIMIT 1
        ), 'completed') END AS status
    FROM streams s WHERE s.kind = 'session' AND s.last_seq > s.base_seq
)
SELECT
    s.name AS id,
    s.owner,
    s.status,
    {time("s.created_at")} AS started_at,
    CASE WHEN s.status <> 'running' THEN {time("s.updated_at")} END AS completed_at,
    coalesce(w.turns, 0) AS turns,
    CAST(coalesce(w.tokens, 0) AS bigint) AS total_tokens,
    round(coalesce(w.nanos, 0) / 1e9, 6) AS total_cost_usd
FROM states s LEFT JOIN works w ON w.stream = s.id;
CREATE VIEW agent_executions AS
SELECT
    e.id,
    s.name AS collaboration_id,
    e.agent,
    e.model,
    e.status,
    e.input_tokens,
    e.output_tokens,
    e.latency_ms,
    round(e.cost_nanos / 1e9, 6) AS cost_usd,
    {time("e.started_at")} AS started_at,
    {time("e.ended_at")} AS completed_at
FROM executions e JOIN streams s ON s.id = e.stream;
CREATE VIEW token_stream AS
SELECT
    x.id AS execution_id,
    e.seq - e.trail AS seq,
    e.text AS token,
    {time("e.created_at")} AS timestamp,
    CASE WHEN s.owner = '' THEN {array}() ELSE {array}(s.owner) END AS sent_to
FROM executions x
JOIN streams s ON s.id = x.stream
JOIN segments e ON e.stream = x.stream AND e.seq >= x.seq_from
    AND e.seq - e.trail >= x.seq_from
    AND (x.ended_at IS NULL OR e.seq - e.trail <= x.seq_to)
WHERE e.text <> ''
"""  # noqa: S608 - made of constants
