-- The log: append-only, numbered without gaps, one Merkle tree over all of it.

-- seq is the leaf's index, from 0. bytes is the JSON as it was written, never re-encoded.
CREATE TABLE events (
    seq       INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    bytes     BLOB NOT NULL,
    leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32)
) STRICT;

-- One row, locked by every appending transaction: the log's size, the roots of the perfect subtrees
-- along the tree's right edge (32 bytes each, largest first), and the root over all (RFC 6962 §2.1).
CREATE TABLE tree_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    edge BLOB NOT NULL CHECK (length(edge) % 32 = 0),
    root BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

-- The root of the empty tree is SHA-256 of nothing.
INSERT INTO tree_head (one, size, edge, root)
VALUES (1, 0, x'', x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

-- Guards against accidents. What they can't stop, the tree shows.
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: no UPDATE');
END;

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: no DELETE');
END;

-- INSERT OR REPLACE deletes without firing a DELETE trigger, so a row that is there is refused here.
CREATE TRIGGER events_are_only_appended BEFORE INSERT ON events
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM events)
    OR EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'events are append-only: the next number and a new id');
END;

CREATE TRIGGER tree_head_is_never_deleted BEFORE DELETE ON tree_head
BEGIN
    SELECT RAISE(ABORT, 'the tree head is never deleted');
END;

CREATE TRIGGER tree_head_never_shrinks BEFORE UPDATE ON tree_head
WHEN NEW.size <= OLD.size
BEGIN
    SELECT RAISE(ABORT, 'the tree only grows');
END;

-- Who is behind the ids in the log. No projection, and mutable: forgetting a person empties name and
-- salt, and the log goes on verifying. name_sha256 is SHA-256(salt ‖ name) in hexadecimal.
CREATE TABLE people (
    id          BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT UNIQUE,
    salt        BLOB CHECK (length(salt) = 32),
    name_sha256 TEXT NOT NULL CHECK (length(name_sha256) = 64),
    CHECK ((name IS NULL) = (salt IS NULL))
) STRICT;
