"""Tables of the world model in SQLite.

Attributes and facts are never changed in place: a row is valid from the change ``sequence``
until the change ``until_sequence``, and still valid while that is NULL. The entity as it was
after any change is a fold over those rows. A change says for whom it was made; an erasure
deletes rows, and the changes stay as empty places.
"""

from typing import Final

from ensemble.eventlog.sqlite_file import Migration

_V1: Final = """
CREATE TABLE entities (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    search TEXT NOT NULL,
    UNIQUE (kind, name_key)
) STRICT;
CREATE TABLE attributes (
    entity INTEGER NOT NULL REFERENCES entities,
    name TEXT NOT NULL,
    value_json TEXT NOT NULL,
    digest BLOB NOT NULL,
    observed_at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    until INTEGER,
    until_sequence INTEGER
) STRICT;
CREATE UNIQUE INDEX attributes_now ON attributes (entity, name) WHERE until_sequence IS NULL;
CREATE INDEX attributes_past ON attributes (entity, until_sequence);
CREATE INDEX attributes_begun ON attributes (entity, sequence);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY,
    fact_id TEXT NOT NULL,
    entity INTEGER NOT NULL REFERENCES entities,
    text TEXT NOT NULL,
    observed_at INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    until INTEGER,
    until_sequence INTEGER
) STRICT;
CREATE INDEX facts_past ON facts (entity, until_sequence);
CREATE INDEX facts_begun ON facts (entity, sequence);
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY,
    created_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    entity INTEGER NOT NULL REFERENCES entities,
    removed INTEGER NOT NULL
) STRICT;
CREATE INDEX changes_of_kind ON changes (kind, sequence);
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

# Changes of before are known to be somebody's where their entity says so in an attribute.
_V2: Final = """
ALTER TABLE changes ADD COLUMN principal TEXT NOT NULL DEFAULT '';
UPDATE changes SET principal = coalesce((
    SELECT json_extract(a.value_json, '$') FROM attributes a
    WHERE a.entity = changes.entity AND a.name = 'principal' LIMIT 1
), '');
CREATE INDEX changes_of_principal ON changes (principal, kind, entity) WHERE principal != '';
CREATE INDEX changes_of_entity ON changes (entity)
"""

# What was removed long ago is found by its age, and the request that recorded it by its change.
_V3: Final = """
CREATE INDEX entities_removed ON entities (sequence) WHERE removed = 1;
CREATE INDEX requests_by_change ON requests (first_sequence)
"""

MIGRATIONS: Final[tuple[Migration, ...]] = (_V1, _V2, _V3)
"""What makes each version out of the one before."""
