-- What the log is for: the practice line's never becomes a plant's, nor the other way round. A station
-- with a folder of its own has a file there instead. Said by the first station that comes.
CREATE TABLE purpose (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    practice BIGINT NOT NULL CHECK (practice IN (0, 1))
);

-- A log that has events already is a plant's.
INSERT INTO purpose (one, practice) SELECT 1, 0 FROM tree_head WHERE size > 0;
