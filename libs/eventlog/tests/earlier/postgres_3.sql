CREATE TABLE schema_version (version integer PRIMARY KEY, applied_at bigint NOT NULL);
CREATE TABLE streams (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    mark text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL,
    position bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    chain bytea NOT NULL,
    secret bytea NOT NULL,
    base_seq bigint NOT NULL DEFAULT 0,
    base bytea NOT NULL DEFAULT '',
    UNIQUE (kind, name)
);
CREATE INDEX streams_by_change ON streams (kind, owner, position);
CREATE INDEX streams_by_mark ON streams (kind, mark, position) WHERE mark <> '';
CREATE TABLE snapshots (
    stream bigint PRIMARY KEY REFERENCES streams (id),
    seq bigint NOT NULL,
    payload bytea NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE executions (
    id text COLLATE "C" PRIMARY KEY,
    stream bigint NOT NULL REFERENCES streams (id),
    seq_from bigint NOT NULL,
    seq_to bigint NOT NULL,
    agent text NOT NULL,
    model text NOT NULL,
    status text NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    latency_ms bigint NOT NULL,
    cost_nanos bigint NOT NULL,
    started_at bigint NOT NULL,
    ended_at bigint
);
CREATE INDEX executions_by_stream ON executions (stream, seq_from);
CREATE TABLE instances (
    fence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot text COLLATE "C" NOT NULL,
    incarnation integer NOT NULL,
    address text NOT NULL,
    beat bigint NOT NULL DEFAULT 0,
    load bigint NOT NULL DEFAULT 0,
    leaving boolean NOT NULL DEFAULT false,
    buried boolean NOT NULL DEFAULT false,
    UNIQUE (slot, incarnation)
);
CREATE INDEX instances_alive ON instances (fence) WHERE NOT buried;
CREATE TABLE types (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE segments (
    position bigint GENERATED ALWAYS AS IDENTITY,
    stream bigint NOT NULL,
    seq bigint NOT NULL,
    created_at bigint NOT NULL,
    trail integer NOT NULL,
    types bytea NOT NULL,
    link bytea NOT NULL,
    payload bytea NOT NULL,
    text text NOT NULL,
    digest bytea,
    PRIMARY KEY (stream, seq)
);
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
    to_timestamp(s.created_at / 1e9) AS started_at,
    CASE WHEN s.status <> 'running' THEN to_timestamp(s.updated_at / 1e9) END AS completed_at,
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
    to_timestamp(e.started_at / 1e9) AS started_at,
    to_timestamp(e.ended_at / 1e9) AS completed_at
FROM executions e JOIN streams s ON s.id = e.stream;
CREATE VIEW token_stream AS
SELECT
    x.id AS execution_id,
    e.seq - e.trail AS seq,
    e.text AS token,
    to_timestamp(e.created_at / 1e9) AS timestamp,
    CASE WHEN s.owner = '' THEN json_build_array() ELSE json_build_array(s.owner) END AS sent_to
FROM executions x
JOIN streams s ON s.id = x.stream
JOIN segments e ON e.stream = x.stream AND e.seq >= x.seq_from
    AND e.seq - e.trail >= x.seq_from
    AND (x.ended_at IS NULL OR e.seq - e.trail <= x.seq_to)
WHERE e.text <> '';
INSERT INTO schema_version OVERRIDING SYSTEM VALUE VALUES (1, 1795277740474934724);
INSERT INTO schema_version OVERRIDING SYSTEM VALUE VALUES (2, 1795277740474934725);
INSERT INTO schema_version OVERRIDING SYSTEM VALUE VALUES (3, 1795277740474934726);
INSERT INTO streams OVERRIDING SYSTEM VALUE VALUES (1, 'session', 'one', 'ada', 'open', 5, 5, 1795277740492124656, 1795277740492124656, 0, '\xee95269b241d3e60f3c0d0981b1315ac5cc7c7705b85dbfc91cb75d60cc0c608', '\x6e93eec3d1b6e3311fc641e41186949a', 0, '\x');
INSERT INTO streams OVERRIDING SYSTEM VALUE VALUES (2, 'session', 'two', '', '', 1, 6, 1795277740557719801, 1795277740557719801, 1, '\x1c1616d7275401abf3e4ae8519f91fddb725a6e8f692471f35d69b327c4aa81b', '\x0dfd1825e2c97975331141ea961023dd', 0, '\x');
INSERT INTO streams OVERRIDING SYSTEM VALUE VALUES (3, 'session', 'three', '', '', 1, 7, 1795277740559907185, 1795277740559907185, 0, '\xf21c0a0ed029f606f137c60d14cd2c3f3cff1e689f84c8aee20abb5620f489d7', '\x', 0, '\x');
INSERT INTO streams OVERRIDING SYSTEM VALUE VALUES (4, 'session', 'four', 'ada', '', 4, 9, 1795277740560000000, 1795277740560000000, 0, '\x7a06042db69e2a6157530da6d5b13ef0e2f266341f674f3678a9eb545b2bfea2', '\x6c087b21b15d1c04d94c15ae9bf1d47d', 0, '\x');
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (1, 'said', 1);
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (2, 'said', 2);
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (3, 'said', 3);
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (4, 'said', 4);
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (5, 'said', 5);
INSERT INTO types OVERRIDING SYSTEM VALUE VALUES (6, 'told', 1);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, 1795277740492124656, 0, '\x01', '\x43be2040bad043fd4859bcf65ab4af2a54a5bedefae2b5d2e8f656ab1a198b79', '\x6f6c642031', 'wört 1', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (2, 1, 2, 1795277740492124656, 0, '\x02', '\xd5c01db22307ded3239e710ae112a6a33be1292798feea16adc25a3e9710f391', '\x6f6c642032', 'wört 2', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (3, 1, 3, 1795277740492124656, 0, '\x03', '\xba033ee3b2281f145a345ed23cb1157ebcb740a305a8dad18b96ae3e64184cf6', '\x6f6c642033', 'wört 3', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (4, 1, 4, 1795277740492124656, 0, '\x04', '\xbf9e0d44de41d0e7a6bf07a059b6a6c019a1ea0726a8890b735b10eca5bca36e', '\x6f6c642034', 'wört 4', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (5, 1, 5, 1795277740492124656, 0, '\x05', '\xee95269b241d3e60f3c0d0981b1315ac5cc7c7705b85dbfc91cb75d60cc0c608', '\x6f6c642035', 'wört 5', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (6, 2, 1, 1795277740557719801, 0, '\x06', '\x1c1616d7275401abf3e4ae8519f91fddb725a6e8f692471f35d69b327c4aa81b', '\x00ff27', '', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (7, 3, 1, 1795277740559907185, 0, '\x01', '\xf21c0a0ed029f606f137c60d14cd2c3f3cff1e689f84c8aee20abb5620f489d7', '\x', '', '\x804cc873db0db320e6700334641b006fa6bc48ab48967a91d4563002f59e5486');
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (8, 4, 3, 1795277740560000000, 1, '\x010602', '\xa2723248c470eb61970f7559e8294339', '\x05056f6c6420316f6c6420326f6c642033', 'wört 2', NULL);
INSERT INTO segments OVERRIDING SYSTEM VALUE VALUES (9, 4, 4, 1795277740560000000, 0, '\x01', '\x7a06042db69e2a6157530da6d5b13ef0', '\x6f6c642034', 'wört 4', NULL);
INSERT INTO snapshots OVERRIDING SYSTEM VALUE VALUES (2, 1, '\x7374617465', '\x27dfa4145ae73c51a1f3d1a14e3772fac3ca3f58ce8acfee7e930c16454b7f75');
INSERT INTO executions OVERRIDING SYSTEM VALUE VALUES ('r1', 2, 1, 1, 'assistant', 'small', 'completed', 12, 30, 450, 1234000, 1795277740557719801, 1795277740557719801);
INSERT INTO instances OVERRIDING SYSTEM VALUE VALUES (1, 'edge-1', 1, 'here:1', 0, 0, false, false);
SELECT setval(pg_get_serial_sequence('streams', 'id'), (SELECT max(id) FROM streams));
SELECT setval(pg_get_serial_sequence('types', 'id'), (SELECT max(id) FROM types));
SELECT setval(pg_get_serial_sequence('segments', 'position'), (SELECT max(position) FROM segments));
SELECT setval(pg_get_serial_sequence('instances', 'fence'), (SELECT max(fence) FROM instances));
