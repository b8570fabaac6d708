-- The number of the last transaction that each writing connection committed: whoever lost the answer to a
-- COMMIT looks here whether it happened. Rows of connections that are long gone are deleted.
CREATE TABLE commits (
    writer BYTEA NOT NULL PRIMARY KEY CHECK (length(writer) = 16),
    number BIGINT NOT NULL,
    at     TIMESTAMPTZ NOT NULL
);
