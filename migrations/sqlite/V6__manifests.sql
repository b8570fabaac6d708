-- Shipment manifests: the chips that a vendor says were sent for a batch.

-- What was read from the chip: its key, too.
ALTER TABLE runs ADD COLUMN spki BLOB;

-- Lists that were taken in whole. seq is the event that says so; consumed counts their used entries.
CREATE TABLE manifests (
    seq      INTEGER PRIMARY KEY,
    list     BLOB NOT NULL UNIQUE CHECK (length(list) = 32),
    batch    TEXT NOT NULL,
    file     BLOB NOT NULL CHECK (length(file) = 32),
    entries  INTEGER NOT NULL,
    consumed INTEGER NOT NULL,
    UNIQUE (batch, file)
) STRICT;

-- Entries of all lists, those that are still being taken in among them. seq is the event that lists
-- the entry; consumed_seq the claim that used it, of what run, unit and certificate.
CREATE TABLE manifest_entries (
    seq          INTEGER NOT NULL,
    line         INTEGER NOT NULL,
    list         BLOB NOT NULL CHECK (length(list) = 32),
    uid          TEXT,
    fingerprint  BLOB CHECK (length(fingerprint) = 32),
    spki         BLOB CHECK (length(spki) = 32),
    consumed_seq INTEGER,
    run          BLOB CHECK (length(run) = 16),
    certificate  BLOB CHECK (length(certificate) = 32),
    product      TEXT,
    serial       TEXT,
    PRIMARY KEY (seq, line),
    CHECK (uid IS NOT NULL OR fingerprint IS NOT NULL OR spki IS NOT NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX manifest_entries_list ON manifest_entries (list);
CREATE INDEX manifest_entries_uid ON manifest_entries (uid) WHERE uid IS NOT NULL;
CREATE INDEX manifest_entries_fingerprint ON manifest_entries (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX manifest_entries_spki ON manifest_entries (spki) WHERE spki IS NOT NULL;
