BEGIN TRANSACTION;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    payload BLOB NOT NULL
, text TEXT NOT NULL DEFAULT '', link BLOB NOT NULL DEFAULT x'', digest BLOB) STRICT;
INSERT INTO "events" VALUES(1,1,1,'said',1,1795277738458183826,X'6F6C642031','wört 1',X'7F2EB25F13DA3ECC9E702AAA017A5383ACAA0A6787D17CE2747790637F7BC6CD',NULL);
INSERT INTO "events" VALUES(2,1,2,'said',2,1795277738458183826,X'6F6C642032','wört 2',X'8219AF86258A74AD5656EEDA6BCB4285F33E1677F083AC611C1DC7979CD60E44',NULL);
INSERT INTO "events" VALUES(3,1,3,'said',3,1795277738458183826,X'6F6C642033','wört 3',X'6215FA93E1E9EE8D94E8B2C8FE2DC8440F6DD25FF5E42E122CFA8CF2B5321039',NULL);
INSERT INTO "events" VALUES(4,1,4,'said',4,1795277738458183826,X'6F6C642034','wört 4',X'1C393BCE17AA48E277CD61BFB948F06FC3E04C6839DBB4593933C659CD09728F',NULL);
INSERT INTO "events" VALUES(5,1,5,'said',5,1795277738458183826,X'6F6C642035','wört 5',X'19F62B4C636C69579380F702A276DA6F4474F3F2C53A3DE3EEB6A871A1C2D538',NULL);
INSERT INTO "events" VALUES(6,2,1,'told',1,1795277738467577153,X'00FF27','',X'63E89C0FE43EC16ADA6FDEB5FE60EF8D89CDB7C2C87AC0D2FCAC025FBE99257D',NULL);
INSERT INTO "events" VALUES(7,3,1,'said',1,1795277738471467308,X'','',X'13FE979E972A96540C8C0B163EF2C534352F14C26C8397D56E055A9A447B1722',X'E35906BA9C58838935DD4C4831B00D2D4C3BBD872F3D98AC8138E5CB0495DC18');
CREATE TABLE executions (
    id TEXT PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    seq_from INTEGER NOT NULL,
    seq_to INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    cost_nanos INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "executions" VALUES('r1',2,1,1,'assistant','small','completed',12,30,450,1234000,1795277738467577153,1795277738467577153);
CREATE TABLE instances (
    fence INTEGER PRIMARY KEY AUTOINCREMENT,
    slot TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    address TEXT NOT NULL,
    beat INTEGER NOT NULL DEFAULT 0,
    load INTEGER NOT NULL DEFAULT 0,
    leaving INTEGER NOT NULL DEFAULT 0,
    buried INTEGER NOT NULL DEFAULT 0,
    UNIQUE (slot, incarnation)
) STRICT;
INSERT INTO "instances" VALUES(1,'edge-1',1,'here:1',0,0,0,0);
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;
INSERT INTO "schema_version" VALUES(1,1795277738437362635);
INSERT INTO "schema_version" VALUES(2,1795277738438198653);
INSERT INTO "schema_version" VALUES(3,1795277738438198654);
CREATE TABLE snapshots (
    stream INTEGER PRIMARY KEY REFERENCES streams (id),
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;
INSERT INTO "snapshots" VALUES(2,1,X'7374617465',X'05F5EACCB2F289CA16F1CB7AD6FBB99C3BE0D008B15A43BFAC240D7B727E7790');
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    mark TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    position INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0, chain BLOB NOT NULL
    DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000', secret BLOB NOT NULL DEFAULT x'', base_seq INTEGER NOT NULL DEFAULT 0, base BLOB NOT NULL DEFAULT x'',
    UNIQUE (kind, name)
) STRICT;
INSERT INTO "streams" VALUES(1,'session','one','ada','open',5,5,1795277738458183826,1795277738458183826,0,X'19F62B4C636C69579380F702A276DA6F4474F3F2C53A3DE3EEB6A871A1C2D538',X'593396B7A950082CB835D167F7566194',0,X'');
INSERT INTO "streams" VALUES(2,'session','two','','',1,6,1795277738467577153,1795277738467577153,1,X'63E89C0FE43EC16ADA6FDEB5FE60EF8D89CDB7C2C87AC0D2FCAC025FBE99257D',X'228FC7795758026A0748A6407F2941DF',0,X'');
INSERT INTO "streams" VALUES(3,'session','three','','',1,7,1795277738471467308,1795277738471467308,0,X'13FE979E972A96540C8C0B163EF2C534352F14C26C8397D56E055A9A447B1722',X'',0,X'');
CREATE INDEX streams_by_change ON streams (kind, owner, position);
CREATE INDEX streams_by_mark ON streams (kind, mark, position) WHERE mark <> '';
CREATE UNIQUE INDEX events_by_stream ON events (stream, seq)
;
CREATE INDEX executions_by_stream ON executions (stream, seq_from);
CREATE INDEX instances_alive ON instances (fence) WHERE buried = 0
;
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
    strftime('%Y-%m-%dT%H:%M:%fZ', s.created_at / 1e9, 'unixepoch') AS started_at,
    CASE WHEN s.status <> 'running' THEN strftime('%Y-%m-%dT%H:%M:%fZ', s.updated_at / 1e9, 'unixepoch') END AS completed_at,
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
    strftime('%Y-%m-%dT%H:%M:%fZ', e.started_at / 1e9, 'unixepoch') AS started_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.ended_at / 1e9, 'unixepoch') AS completed_at
FROM executions e JOIN streams s ON s.id = e.stream;
CREATE VIEW token_stream AS
SELECT
    x.id AS execution_id,
    e.seq,
    e.text AS token,
    strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at / 1e9, 'unixepoch') AS timestamp,
    CASE WHEN s.owner = '' THEN json_array() ELSE json_array(s.owner) END AS sent_to
FROM executions x
JOIN streams s ON s.id = x.stream
JOIN events e ON e.stream = x.stream AND e.seq >= x.seq_from
    AND (x.ended_at IS NULL OR e.seq <= x.seq_to)
WHERE e.text <> '';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('instances',1);
COMMIT;
