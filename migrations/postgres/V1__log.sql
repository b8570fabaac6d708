-- The log: append-only, numbered without gaps, one Merkle tree over all of it.

-- seq is the leaf's index, from 0. bytes is the JSON as it was written, never re-encoded.
CREATE TABLE events (
    seq       BIGINT PRIMARY KEY,
    id        BYTEA NOT NULL UNIQUE CHECK (length(id) = 16),
    bytes     BYTEA NOT NULL,
    leaf_hash BYTEA NOT NULL CHECK (length(leaf_hash) = 32)
);

-- One row, locked by every appending transaction: the log's size, the roots of the perfect subtrees
-- along the tree's right edge (32 bytes each, largest first), and the root over all (RFC 6962 §2.1).
CREATE TABLE tree_head (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    size BIGINT NOT NULL CHECK (size >= 0),
    edge BYTEA NOT NULL CHECK (length(edge) % 32 = 0),
    root BYTEA NOT NULL CHECK (length(root) = 32)
);

-- The root of the empty tree is SHA-256 of nothing.
INSERT INTO tree_head (one, size, edge, root)
VALUES (1, 0, '', '\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

-- Guards against accidents. What they can't stop, the tree shows.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
FOR EACH ROW EXECUTE FUNCTION refuse('events are append-only: no UPDATE');

CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
FOR EACH ROW EXECUTE FUNCTION refuse('events are append-only: no DELETE');

CREATE TRIGGER events_are_never_emptied BEFORE TRUNCATE ON events
EXECUTE FUNCTION refuse('events are append-only: no TRUNCATE');

CREATE TRIGGER tree_head_is_never_deleted BEFORE DELETE ON tree_head
FOR EACH ROW EXECUTE FUNCTION refuse('the tree head is never deleted');

CREATE TRIGGER tree_head_is_never_emptied BEFORE TRUNCATE ON tree_head
EXECUTE FUNCTION refuse('the tree head is never deleted');

CREATE TRIGGER tree_head_never_shrinks BEFORE UPDATE ON tree_head
FOR EACH ROW WHEN (NEW.size <= OLD.size) EXECUTE FUNCTION refuse('the tree only grows');

-- What the derived tables mean; SQLite keeps it in `user_version`.
CREATE TABLE projection (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    number BIGINT NOT NULL
);

INSERT INTO projection (one, number) VALUES (1, 0);

-- Who is behind the ids in the log. No projection, and mutable: forgetting a person empties name and
-- salt, and the log goes on verifying. name_sha256 is SHA-256(salt ‖ name) in hexadecimal.
CREATE TABLE people (
    id          BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name        TEXT UNIQUE,
    salt        BYTEA CHECK (length(salt) = 32),
    name_sha256 TEXT NOT NULL CHECK (length(name_sha256) = 64),
    CHECK ((name IS NULL) = (salt IS NULL))
);
