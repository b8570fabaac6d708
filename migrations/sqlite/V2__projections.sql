-- Everything here is derived from events and can be dropped and rebuilt without a loss.
-- Times are nanoseconds since 1970 UTC; *_seq are events' numbers.

-- Which events tell of a run.
CREATE TABLE run_events (
    run BLOB NOT NULL CHECK (length(run) = 16),
    seq INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- One attempt at one unit. verdict, reason, slip, finished_ns and sealed_seq are those of the
-- latest sealing: a HELD run is sealed again when it is resumed.
CREATE TABLE runs (
    first_seq   INTEGER PRIMARY KEY,
    run         BLOB NOT NULL UNIQUE CHECK (length(run) = 16),
    station     TEXT NOT NULL,
    lane        INTEGER NOT NULL,
    port        TEXT NOT NULL,
    profile     TEXT NOT NULL,
    product     TEXT NOT NULL,
    serial      TEXT,
    batch       TEXT,
    operator_id BLOB,
    thing       TEXT,
    started_ns  INTEGER NOT NULL,
    finished_ns INTEGER,
    verdict     TEXT CHECK (verdict IN ('PASS', 'FAIL', 'ERROR', 'ABORTED', 'HELD')),
    reason      TEXT,
    slip        INTEGER,
    sealed_seq  INTEGER
) STRICT;

CREATE INDEX runs_unfinished ON runs (station, first_seq) WHERE verdict IS NULL;
CREATE INDEX runs_held ON runs (first_seq) WHERE verdict = 'HELD';
CREATE UNIQUE INDEX runs_sealed ON runs (sealed_seq) WHERE sealed_seq IS NOT NULL;
CREATE INDEX runs_unit ON runs (product, serial, first_seq) WHERE serial IS NOT NULL;
CREATE INDEX runs_batch ON runs (batch, product, serial, verdict, sealed_seq) WHERE batch IS NOT NULL;

-- What became of a run's label and slip.
--   owed      nothing was sent yet, or a person said: print it again
--   intended  sent perhaps; its end was never seen
--   pending, failed, printed, none   as the printing ended
CREATE TABLE labels (
    run      BLOB NOT NULL CHECK (length(run) = 16),
    kind     TEXT NOT NULL CHECK (kind IN ('unit', 'slip')),
    station  TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('owed', 'intended', 'pending', 'failed', 'printed', 'none')),
    owed_seq INTEGER NOT NULL,
    PRIMARY KEY (run, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_unsettled ON labels (station, owed_seq) WHERE state NOT IN ('printed', 'none');

-- Identity ↔ unit. Fingerprint, key and UID stay burned when a binding closes; a unit has one open
-- binding at most.
CREATE TABLE bindings (
    claimed_seq INTEGER PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BLOB NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    spki        BLOB NOT NULL UNIQUE CHECK (length(spki) = 32),
    uid         TEXT UNIQUE,
    run         BLOB NOT NULL CHECK (length(run) = 16),
    open        INTEGER NOT NULL CHECK (open IN (0, 1))
) STRICT;

CREATE UNIQUE INDEX bindings_unit ON bindings (product, serial) WHERE open = 1;

-- Work orders. A batch that is opened again keeps its first opening time.
CREATE TABLE batches (
    name       TEXT NOT NULL PRIMARY KEY,
    profile    TEXT NOT NULL,
    product    TEXT NOT NULL,
    planned    INTEGER NOT NULL,
    opened_ns  INTEGER NOT NULL,
    opened_seq INTEGER NOT NULL,
    closed_ns  INTEGER
) STRICT;

CREATE UNIQUE INDEX batches_newest ON batches (opened_seq);

-- Which stations work on a batch that is open.
CREATE TABLE batch_stations (
    opened_seq INTEGER PRIMARY KEY,
    station    TEXT NOT NULL,
    batch      TEXT NOT NULL
) STRICT;

CREATE INDEX batch_stations_latest ON batch_stations (station, opened_seq);
CREATE INDEX batch_stations_batch ON batch_stations (batch);
