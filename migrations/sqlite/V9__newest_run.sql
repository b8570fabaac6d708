-- Was a run started or resumed since a ruling?
CREATE INDEX runs_begun ON runs (begun_seq);
