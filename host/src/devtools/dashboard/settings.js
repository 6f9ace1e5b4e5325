// The tab of settings.

// What a change of one takes.
const CHANGES = {
  pool: "replaces the pool",
  generation: "next generation",
  restart: "next start",
};

shows("environment", ({ environment }) =>
  rows("environment", environment, {
    key: ({ name }) => name,
    cells: ({ name, value, source, change }) => [name, value, source, CHANGES[change]],
  }));
