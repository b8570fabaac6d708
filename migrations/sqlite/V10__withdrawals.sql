-- What units had registered may be taken back: they are locked by that, too.
DROP TABLE locks;
CREATE TABLE locks (
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('failed', 'scrapped', 'conflict', 'withdrawn')),
    fingerprint BLOB NOT NULL,
    run         BLOB CHECK (length(run) = 16),
    reason      TEXT,
    seq         INTEGER NOT NULL,
    PRIMARY KEY (product, serial, kind, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE INDEX locks_newest ON locks (seq);

-- What became of a withdrawal in one target. reason: why something is left; NULL: nothing is.
CREATE TABLE withdrawals (
    seq        INTEGER PRIMARY KEY,
    ruling_seq INTEGER NOT NULL,
    product    TEXT NOT NULL,
    serial     TEXT NOT NULL,
    target     TEXT NOT NULL,
    reason     TEXT
) STRICT;

CREATE INDEX withdrawals_unit ON withdrawals (product, serial, seq);
