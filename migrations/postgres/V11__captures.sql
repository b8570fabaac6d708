-- Runs that an air-gapped station made and that were taken in here, by the slip that their units have.
CREATE TABLE captures (
    run     BYTEA NOT NULL PRIMARY KEY CHECK (length(run) = 16),
    station TEXT NOT NULL,
    slip    BIGINT NOT NULL,
    seq     BIGINT NOT NULL
);

CREATE INDEX captures_slip ON captures (station, slip, seq);

-- HELD runs that left in a file; seq is the event that says so.
CREATE TABLE exported_runs (
    run BYTEA NOT NULL PRIMARY KEY CHECK (length(run) = 16),
    seq BIGINT NOT NULL
);
