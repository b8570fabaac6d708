-- A projection. Where the run's latest attempt began: its start, or when it was last taken up again.
ALTER TABLE runs ADD COLUMN begun_seq BIGINT;
