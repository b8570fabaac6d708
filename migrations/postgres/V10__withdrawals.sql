-- What units had registered may be taken back: they are locked by that, too.
DROP TABLE locks;
CREATE TABLE locks (
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('failed', 'scrapped', 'conflict', 'withdrawn')),
    fingerprint BYTEA NOT NULL,
    run         BYTEA CHECK (length(run) = 16),
    reason      TEXT,
    seq         BIGINT NOT NULL,
    PRIMARY KEY (product, serial, kind, fingerprint)
);

CREATE INDEX locks_newest ON locks (seq);

-- What became of a withdrawal in one target. reason: why something is left; NULL: nothing is.
CREATE TABLE withdrawals (
    seq        BIGINT PRIMARY KEY,
    ruling_seq BIGINT NOT NULL,
    product    TEXT NOT NULL,
    serial     TEXT NOT NULL,
    target     TEXT NOT NULL,
    reason     TEXT
);

CREATE INDEX withdrawals_unit ON withdrawals (product, serial, seq);
