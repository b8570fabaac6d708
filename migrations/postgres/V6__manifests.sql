-- Shipment manifests: the chips that a vendor says were sent for a batch.

-- What was read from the chip: its key, too.
ALTER TABLE runs ADD COLUMN spki BYTEA;

-- Lists that were taken in whole. seq is the event that says so; consumed counts their used entries.
CREATE TABLE manifests (
    seq      BIGINT PRIMARY KEY,
    list     BYTEA NOT NULL UNIQUE CHECK (length(list) = 32),
    batch    TEXT NOT NULL,
    file     BYTEA NOT NULL CHECK (length(file) = 32),
    entries  BIGINT NOT NULL,
    consumed BIGINT NOT NULL,
    UNIQUE (batch, file)
);

-- Entries of all lists, those that are still being taken in among them. seq is the event that lists
-- the entry; consumed_seq the claim that used it, of what run, unit and certificate.
CREATE TABLE manifest_entries (
    seq          BIGINT NOT NULL,
    line         BIGINT NOT NULL,
    list         BYTEA NOT NULL CHECK (length(list) = 32),
    uid          TEXT,
    fingerprint  BYTEA CHECK (length(fingerprint) = 32),
    spki         BYTEA CHECK (length(spki) = 32),
    consumed_seq BIGINT,
    run          BYTEA CHECK (length(run) = 16),
    certificate  BYTEA CHECK (length(certificate) = 32),
    product      TEXT,
    serial       TEXT,
    PRIMARY KEY (seq, line),
    CHECK (uid IS NOT NULL OR fingerprint IS NOT NULL OR spki IS NOT NULL)
);

CREATE INDEX manifest_entries_list ON manifest_entries (list);
CREATE INDEX manifest_entries_uid ON manifest_entries (uid) WHERE uid IS NOT NULL;
CREATE INDEX manifest_entries_fingerprint ON manifest_entries (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX manifest_entries_spki ON manifest_entries (spki) WHERE spki IS NOT NULL;
