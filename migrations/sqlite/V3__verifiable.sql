-- What makes the log verifiable by an outsider, searchable by QA, and correctable by rulings.

-- The log, continued. Roots of perfect subtrees above the leaves, which never change again: position
-- is StoredHashIndex of Go's golang.org/x/mod/sumdb/tlog.
CREATE TABLE hashes (
    position INTEGER PRIMARY KEY,
    hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER hashes_are_never_changed BEFORE UPDATE ON hashes
BEGIN
    SELECT RAISE(ABORT, 'stored hashes are append-only: no UPDATE');
END;

CREATE TRIGGER hashes_are_never_deleted BEFORE DELETE ON hashes
BEGIN
    SELECT RAISE(ABORT, 'stored hashes are append-only: no DELETE');
END;

-- Signed checkpoints of this log (C2SP tlog-checkpoint): one a size, with the signatures of all who
-- signed that size.
CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY CHECK (size >= 0),
    note TEXT NOT NULL
) STRICT;

CREATE TRIGGER checkpoints_are_never_deleted BEFORE DELETE ON checkpoints
BEGIN
    SELECT RAISE(ABORT, 'checkpoints are never deleted');
END;

-- Archived events keep everything but their bytes.
DROP TRIGGER events_are_never_changed;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
WHEN NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id OR NEW.leaf_hash IS NOT OLD.leaf_hash
    OR NEW.bytes IS NOT x''
    OR NOT EXISTS (SELECT 1 FROM archives WHERE OLD.seq >= first AND OLD.seq < past)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: no UPDATE');
END;

-- What people sign in with, and what they typed: as mutable as `people`, and for the same reason.
CREATE TABLE credentials (
    id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    pin_hash        TEXT NOT NULL,
    failures        INTEGER NOT NULL CHECK (failures >= 0),
    locked_until_ns INTEGER
) STRICT;

-- The log has SHA-256(salt ‖ words).
CREATE TABLE texts (
    id    BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    salt  BLOB NOT NULL CHECK (length(salt) = 32),
    words TEXT NOT NULL
) STRICT;

-- Projections from here on.

-- What was read from the chip, and whether it was proven.
ALTER TABLE runs ADD COLUMN fingerprint BLOB;
ALTER TABLE runs ADD COLUMN uid TEXT;
ALTER TABLE runs ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;

-- A binding out of an imported history knows no key and no chip until a claim completes it.
DROP TABLE bindings;
CREATE TABLE bindings (
    claimed_seq INTEGER PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    spki        BLOB UNIQUE CHECK (length(spki) = 32),
    uid         TEXT UNIQUE,
    run         BLOB CHECK (length(run) = 16),
    open        INTEGER NOT NULL CHECK (open IN (0, 1)),
    imported    INTEGER NOT NULL CHECK (imported IN (0, 1)),
    CHECK (imported = 1 OR (spki IS NOT NULL AND run IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX bindings_unit ON bindings (product, serial) WHERE open = 1;

-- What keeps a unit from being claimed. fingerprint is the certificate that failed; empty: whatever
-- the unit shows.
CREATE TABLE locks (
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('failed', 'scrapped', 'conflict')),
    fingerprint BLOB NOT NULL,
    run         BLOB CHECK (length(run) = 16),
    reason      TEXT,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (product, serial, kind, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX locks_newest ON locks (seq);

-- used_seq: the event that used the ruling up; NULL while it is open.
CREATE TABLE rulings (
    seq             INTEGER PRIMARY KEY,
    id              BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    ruling          TEXT NOT NULL,
    product         TEXT,
    serial          TEXT,
    old_fingerprint BLOB,
    new_fingerprint BLOB,
    new_spki        BLOB,
    new_uid         TEXT,
    reason_id       BLOB NOT NULL CHECK (length(reason_id) = 16),
    used_seq        INTEGER
) STRICT;

CREATE INDEX rulings_unit ON rulings (product, serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX rulings_rollback ON rulings (seq) WHERE ruling = 'rollback';
CREATE INDEX rulings_reason ON rulings (reason_id);

-- Rows of histories made elsewhere.
CREATE TABLE imported_rows (
    seq         INTEGER PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    conflicts   INTEGER NOT NULL
) STRICT;

CREATE INDEX imported_rows_unit ON imported_rows (product, serial, seq);
CREATE INDEX imported_rows_conflicts ON imported_rows (seq) WHERE conflicts > 0;

CREATE TABLE operators (
    id        BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    role      TEXT NOT NULL,
    disabled  INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    added_seq INTEGER NOT NULL
) STRICT;

-- The log's name, said once.
CREATE TABLE origins (
    seq    INTEGER PRIMARY KEY,
    origin TEXT NOT NULL
) STRICT;

CREATE TABLE log_keys (
    added_seq    INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL,
    station      TEXT NOT NULL,
    replaced_seq INTEGER
) STRICT;

-- Leaves first to past (not among them) have their bytes in a file of this SHA-256.
CREATE TABLE archives (
    first INTEGER PRIMARY KEY,
    past  INTEGER NOT NULL,
    file  BLOB NOT NULL CHECK (length(file) = 32),
    seq   INTEGER NOT NULL
) STRICT;

-- What QA looks for: sealed runs, rulings, imported rows. seq is a run's first event.
CREATE TABLE records (
    seq         INTEGER PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('run', 'ruling', 'imported')),
    run         BLOB,
    station     TEXT NOT NULL,
    product     TEXT,
    serial      TEXT,
    batch       TEXT,
    operator_id BLOB,
    thing       TEXT,
    fingerprint BLOB,
    uid         TEXT,
    verdict     TEXT,
    reason      TEXT,
    started_ns  INTEGER NOT NULL,
    finished_ns INTEGER,
    words       TEXT NOT NULL
) STRICT;

CREATE INDEX records_serial ON records (serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX records_thing ON records (thing, seq) WHERE thing IS NOT NULL;
CREATE INDEX records_fingerprint ON records (fingerprint, seq) WHERE fingerprint IS NOT NULL;
CREATE INDEX records_uid ON records (uid, seq) WHERE uid IS NOT NULL;
CREATE INDEX records_operator ON records (operator_id, seq) WHERE operator_id IS NOT NULL;
CREATE INDEX records_batch ON records (batch, seq) WHERE batch IS NOT NULL;
CREATE INDEX records_reason ON records (reason, seq) WHERE reason IS NOT NULL;
CREATE INDEX records_verdict ON records (verdict, seq) WHERE verdict IS NOT NULL;
CREATE INDEX records_started ON records (started_ns, seq);

-- The index over their words, cut into words by the program in the same way for every database: the
-- tokenizer only parts them at spaces. Which rows have a word is all that is asked; every beginning of up
-- to sixteen characters has its own list, so that a page of a common one is read, not sorted.
CREATE VIRTUAL TABLE record_words USING fts5 (
    words, content = 'records', content_rowid = 'seq', detail = none, columnsize = 0,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'",
    prefix = '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16'
);
