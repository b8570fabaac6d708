-- What makes the log verifiable by an outsider, searchable by QA, and correctable by rulings.

-- The log, continued. Roots of perfect subtrees above the leaves, which never change again: position
-- is StoredHashIndex of Go's golang.org/x/mod/sumdb/tlog.
CREATE TABLE hashes (
    position BIGINT PRIMARY KEY,
    hash     BYTEA NOT NULL CHECK (length(hash) = 32)
);

CREATE TRIGGER hashes_are_never_changed BEFORE UPDATE OR DELETE ON hashes
FOR EACH ROW EXECUTE FUNCTION refuse('stored hashes are append-only: no UPDATE, no DELETE');

CREATE TRIGGER hashes_are_never_emptied BEFORE TRUNCATE ON hashes
EXECUTE FUNCTION refuse('stored hashes are append-only: no TRUNCATE');

-- Signed checkpoints of this log (C2SP tlog-checkpoint): one a size, with the signatures of all who
-- signed that size.
CREATE TABLE checkpoints (
    size BIGINT PRIMARY KEY CHECK (size >= 0),
    note TEXT NOT NULL
);

CREATE TRIGGER checkpoints_are_never_deleted BEFORE DELETE ON checkpoints
FOR EACH ROW EXECUTE FUNCTION refuse('checkpoints are never deleted');

CREATE TRIGGER checkpoints_are_never_emptied BEFORE TRUNCATE ON checkpoints
EXECUTE FUNCTION refuse('checkpoints are never deleted');

-- Archived events keep everything but their bytes.
CREATE FUNCTION refuse_unless_archived() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq <> OLD.seq OR NEW.id <> OLD.id OR NEW.leaf_hash <> OLD.leaf_hash OR NEW.bytes <> ''
        OR NOT EXISTS (SELECT 1 FROM archives WHERE OLD.seq >= first AND OLD.seq < past)
    THEN
        RAISE EXCEPTION 'events are append-only: no UPDATE';
    END IF;
    RETURN NEW;
END
$$;

DROP TRIGGER events_are_never_changed ON events;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
FOR EACH ROW EXECUTE FUNCTION refuse_unless_archived();

-- What people sign in with, and what they typed: as mutable as `people`, and for the same reason.
CREATE TABLE credentials (
    id              BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    pin_hash        TEXT NOT NULL,
    failures        BIGINT NOT NULL CHECK (failures >= 0),
    locked_until_ns BIGINT
);

-- The log has SHA-256(salt ‖ words).
CREATE TABLE texts (
    id    BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    salt  BYTEA NOT NULL CHECK (length(salt) = 32),
    words TEXT NOT NULL
);

-- Projections from here on.

-- What was read from the chip, and whether it was proven.
ALTER TABLE runs ADD COLUMN fingerprint BYTEA;
ALTER TABLE runs ADD COLUMN uid TEXT;
ALTER TABLE runs ADD COLUMN proven BIGINT NOT NULL DEFAULT 0;

-- A binding out of an imported history knows no key and no chip until a claim completes it.
DROP TABLE bindings;
CREATE TABLE bindings (
    claimed_seq BIGINT PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BYTEA NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    spki        BYTEA UNIQUE CHECK (length(spki) = 32),
    uid         TEXT UNIQUE,
    run         BYTEA CHECK (length(run) = 16),
    open        BIGINT NOT NULL CHECK (open IN (0, 1)),
    imported    BIGINT NOT NULL CHECK (imported IN (0, 1)),
    CHECK (imported = 1 OR (spki IS NOT NULL AND run IS NOT NULL))
);

CREATE UNIQUE INDEX bindings_unit ON bindings (product, serial) WHERE open = 1;

-- What keeps a unit from being claimed. fingerprint is the certificate that failed; empty: whatever
-- the unit shows.
CREATE TABLE locks (
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('failed', 'scrapped', 'conflict')),
    fingerprint BYTEA NOT NULL,
    run         BYTEA CHECK (length(run) = 16),
    reason      TEXT,
    seq         BIGINT NOT NULL,
    PRIMARY KEY (product, serial, kind, fingerprint)
);

CREATE INDEX locks_newest ON locks (seq);

-- used_seq: the event that used the ruling up; NULL while it is open.
CREATE TABLE rulings (
    seq             BIGINT PRIMARY KEY,
    id              BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    ruling          TEXT NOT NULL,
    product         TEXT,
    serial          TEXT,
    old_fingerprint BYTEA,
    new_fingerprint BYTEA,
    new_spki        BYTEA,
    new_uid         TEXT,
    reason_id       BYTEA NOT NULL CHECK (length(reason_id) = 16),
    used_seq        BIGINT
);

CREATE INDEX rulings_unit ON rulings (product, serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX rulings_rollback ON rulings (seq) WHERE ruling = 'rollback';
CREATE INDEX rulings_reason ON rulings (reason_id);

-- Rows of histories made elsewhere.
CREATE TABLE imported_rows (
    seq         BIGINT PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    conflicts   BIGINT NOT NULL
);

CREATE INDEX imported_rows_unit ON imported_rows (product, serial, seq);
CREATE INDEX imported_rows_conflicts ON imported_rows (seq) WHERE conflicts > 0;

CREATE TABLE operators (
    id        BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    role      TEXT NOT NULL,
    disabled  BIGINT NOT NULL CHECK (disabled IN (0, 1)),
    added_seq BIGINT NOT NULL
);

-- The log's name, said once.
CREATE TABLE origins (
    seq    BIGINT PRIMARY KEY,
    origin TEXT NOT NULL
);

CREATE TABLE log_keys (
    added_seq    BIGINT PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    station      TEXT NOT NULL,
    replaced_seq BIGINT
);

-- Leaves first to past (not among them) have their bytes in a file of this SHA-256.
CREATE TABLE archives (
    first BIGINT PRIMARY KEY,
    past  BIGINT NOT NULL,
    file  BYTEA NOT NULL CHECK (length(file) = 32),
    seq   BIGINT NOT NULL
);

-- What QA looks for: sealed runs, rulings, imported rows. seq is a run's first event.
CREATE TABLE records (
    seq         BIGINT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('run', 'ruling', 'imported')),
    run         BYTEA,
    station     TEXT NOT NULL,
    product     TEXT,
    serial      TEXT COLLATE "C",
    batch       TEXT,
    operator_id BYTEA,
    thing       TEXT COLLATE "C",
    fingerprint BYTEA,
    uid         TEXT COLLATE "C",
    verdict     TEXT,
    reason      TEXT,
    started_ns  BIGINT NOT NULL,
    finished_ns BIGINT,
    words       TEXT NOT NULL
);

CREATE INDEX records_serial ON records (serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX records_thing ON records (thing, seq) WHERE thing IS NOT NULL;
CREATE INDEX records_fingerprint ON records (fingerprint, seq) WHERE fingerprint IS NOT NULL;
CREATE INDEX records_uid ON records (uid, seq) WHERE uid IS NOT NULL;
CREATE INDEX records_operator ON records (operator_id, seq) WHERE operator_id IS NOT NULL;
CREATE INDEX records_batch ON records (batch, seq) WHERE batch IS NOT NULL;
CREATE INDEX records_reason ON records (reason, seq) WHERE reason IS NOT NULL;
CREATE INDEX records_verdict ON records (verdict, seq) WHERE verdict IS NOT NULL;
CREATE INDEX records_started ON records (started_ns, seq);

-- The index over their words, cut into words by the program in the same way for every database.
CREATE INDEX records_words ON records USING gin (array_to_tsvector(string_to_array(words, ' ')));
