-- Everything here is derived from events and can be dropped and rebuilt without a loss.
-- Times are nanoseconds since 1970 UTC; *_seq are events' numbers.

-- Which events tell of a run.
CREATE TABLE run_events (
    run BYTEA NOT NULL CHECK (length(run) = 16),
    seq BIGINT NOT NULL,
    PRIMARY KEY (run, seq)
);

-- One attempt at one unit. verdict, reason, slip, finished_ns and sealed_seq are those of the
-- latest sealing: a HELD run is sealed again when it is resumed.
CREATE TABLE runs (
    first_seq   BIGINT PRIMARY KEY,
    run         BYTEA NOT NULL UNIQUE CHECK (length(run) = 16),
    station     TEXT NOT NULL,
    lane        BIGINT NOT NULL,
    port        TEXT NOT NULL,
    profile     TEXT NOT NULL,
    product     TEXT NOT NULL,
    serial      TEXT,
    batch       TEXT,
    operator_id BYTEA,
    thing       TEXT,
    started_ns  BIGINT NOT NULL,
    finished_ns BIGINT,
    verdict     TEXT CHECK (verdict IN ('PASS', 'FAIL', 'ERROR', 'ABORTED', 'HELD')),
    reason      TEXT,
    slip        BIGINT,
    sealed_seq  BIGINT
);

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
    run      BYTEA NOT NULL CHECK (length(run) = 16),
    kind     TEXT NOT NULL CHECK (kind IN ('unit', 'slip')),
    station  TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('owed', 'intended', 'pending', 'failed', 'printed', 'none')),
    owed_seq BIGINT NOT NULL,
    PRIMARY KEY (run, kind)
);

CREATE INDEX labels_unsettled ON labels (station, owed_seq) WHERE state NOT IN ('printed', 'none');

-- Identity ↔ unit. Fingerprint, key and UID stay burned when a binding closes; a unit has one open
-- binding at most.
CREATE TABLE bindings (
    claimed_seq BIGINT PRIMARY KEY,
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    fingerprint BYTEA NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    spki        BYTEA NOT NULL UNIQUE CHECK (length(spki) = 32),
    uid         TEXT UNIQUE,
    run         BYTEA NOT NULL CHECK (length(run) = 16),
    open        BIGINT NOT NULL CHECK (open IN (0, 1))
);

CREATE UNIQUE INDEX bindings_unit ON bindings (product, serial) WHERE open = 1;

-- Work orders. A batch that is opened again keeps its first opening time.
CREATE TABLE batches (
    name       TEXT NOT NULL PRIMARY KEY,
    profile    TEXT NOT NULL,
    product    TEXT NOT NULL,
    planned    BIGINT NOT NULL,
    opened_ns  BIGINT NOT NULL,
    opened_seq BIGINT NOT NULL,
    closed_ns  BIGINT
);

CREATE UNIQUE INDEX batches_newest ON batches (opened_seq);

-- Which stations work on a batch that is open.
CREATE TABLE batch_stations (
    opened_seq BIGINT PRIMARY KEY,
    station    TEXT NOT NULL,
    batch      TEXT NOT NULL
);

CREATE INDEX batch_stations_latest ON batch_stations (station, opened_seq);
CREATE INDEX batch_stations_batch ON batch_stations (batch);
