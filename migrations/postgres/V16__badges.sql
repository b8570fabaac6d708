-- A badge is one person's. badge_hash: keyed, with a key that is not in the database.
ALTER TABLE credentials ADD COLUMN badge_hash TEXT;
CREATE UNIQUE INDEX credentials_badge ON credentials (badge_hash) WHERE badge_hash IS NOT NULL;

-- What the log has committed to of it: SHA-256 of `credentials.badge_hash`. NULL: the person has no badge.
ALTER TABLE operators ADD COLUMN badge_sha256 BYTEA CHECK (length(badge_sha256) = 32);
