-- Certificates that were made for units' own keys, and the requests for them: a fingerprint is one unit's for ever.
-- bound: the certificate of the chip's own that the unit was bound by.
CREATE TABLE issued_certificates (
    fingerprint BLOB NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 32),
    product     TEXT NOT NULL,
    serial      TEXT NOT NULL,
    target      TEXT NOT NULL,
    bound       BLOB NOT NULL CHECK (length(bound) = 32),
    certificate BLOB NOT NULL,
    run         BLOB NOT NULL CHECK (length(run) = 16),
    seq         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX issued_certificates_unit ON issued_certificates (product, serial, seq);
CREATE INDEX issued_certificates_bound ON issued_certificates (bound, seq);

-- answered: 1 once what came of it, and of all before it, was recorded.
CREATE TABLE certificate_requests (
    seq      INTEGER PRIMARY KEY,
    run      BLOB NOT NULL CHECK (length(run) = 16),
    product  TEXT NOT NULL,
    serial   TEXT NOT NULL,
    target   TEXT NOT NULL,
    asked_ns INTEGER NOT NULL,
    answered INTEGER NOT NULL CHECK (answered IN (0, 1))
) STRICT;

CREATE INDEX certificate_requests_unit ON certificate_requests (product, serial) WHERE answered = 0;
