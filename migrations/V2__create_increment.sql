-- One row for each change of a counter: the relation that `?with=increments` follows.
CREATE TABLE increment (
    id         BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    counter_id BIGINT      NOT NULL REFERENCES counter (id) ON DELETE CASCADE,
    amount     INTEGER     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX increment_counter_id ON increment (counter_id);
