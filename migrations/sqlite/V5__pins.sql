-- What the log has committed to of an operator's PIN: SHA-256 of `credentials.pin_hash`. NULL: the event
-- that gave the PIN says nothing of it.
ALTER TABLE operators ADD COLUMN pin_sha256 BLOB CHECK (length(pin_sha256) = 32);
