-- How far the calls that all stations make to an account are given out: until when its bucket has to fill. No event,
-- and nothing is derived from it.
CREATE TABLE rations (
    place   TEXT NOT NULL,
    action  TEXT NOT NULL,
    full_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (place, action)
);
