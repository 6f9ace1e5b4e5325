//! The settings of the dev server alone. [`HostSettings`](super::HostSettings) reads them.

use shared::env::{Change, Setting};

pub(super) static HOST_DATABASE: Setting = Setting {
    variable: "HOST_DATABASE",
    default: "postgres",
    example: "none",
    help: "none for a project without a database: nothing is started, connected or migrated",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_DOWNLOAD: Setting = Setting {
    variable: "HOST_DOWNLOAD",
    default: "ask",
    example: "on",
    help: "Whether PostgreSQL may be fetched by pip or npm where there is none; ask: only after a yes in the terminal",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_MIGRATIONS: Setting = Setting {
    variable: "HOST_MIGRATIONS",
    default: "migrations",
    example: "db/migrations",
    help: "The folder of migrations (refinery, sqlx or diesel), relative to the project's root; none if something else applies them",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_WATCH: Setting = Setting {
    variable: "HOST_WATCH",
    default: "",
    example: "content,locales",
    help: "Further folders that the app reads at run time, relative to the project's root: a save reloads open pages",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_POOL: Setting = Setting {
    variable: "HOST_POOL",
    default: "host",
    example: "host",
    help: "Who owns the pool: host is the cure; app keeps it in a static of the app, as the leak does",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_ISOLATION: Setting = Setting {
    variable: "HOST_ISOLATION",
    default: "on",
    example: "on",
    help: "Whether app code runs on a runtime of its generation, which ends with it, or on the host's",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_MAX_CONNECTIONS: Setting = Setting {
    variable: "HOST_MAX_CONNECTIONS",
    default: "",
    example: "100",
    help: "max_connections of the private PostgreSQL: 20 if the app owns the pool, else its own default",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_MIGRATE: Setting = Setting {
    variable: "HOST_MIGRATE",
    default: "auto",
    example: "ask",
    help: "Apply pending migrations at once, or only when you ask for it",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_BRANCH_DATABASES: Setting = Setting {
    variable: "HOST_BRANCH_DATABASES",
    default: "off",
    example: "on",
    help: "Whether each git branch has a database of its own, in the private PostgreSQL",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_SEEDS: Setting = Setting {
    variable: "HOST_SEEDS",
    default: "seeds",
    example: "db/seeds",
    help: "The folder of SQL files that fill an empty database, relative to the project's root; none runs none",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_HOLD_MS: Setting = Setting {
    variable: "HOST_HOLD_MS",
    default: "2000",
    example: "2000",
    help: "How long a page waits for a running build before the old code answers",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_REPLAY: Setting = Setting {
    variable: "HOST_REPLAY",
    default: "on",
    example: "off",
    help: "Run rustc directly when only the app has changed; off: always cargo",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_TEST: Setting = Setting {
    variable: "HOST_TEST",
    default: "off",
    example: "on",
    help: "Whether the app's tests run after each save, in the background",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_KEEP_MEMORY_MB: Setting = Setting {
    variable: "HOST_KEEP_MEMORY_MB",
    default: "512",
    example: "512",
    help: "How much memory old code may keep before the host restarts when idle; 0 is no limit",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_TRACES: Setting = Setting {
    variable: "HOST_TRACES",
    default: "500",
    example: "500",
    help: "How many requests are kept with all that they did, for /__dev/requests; 0 records nothing",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_BAR: Setting = Setting {
    variable: "HOST_BAR",
    default: "on",
    example: "off",
    help: "Whether pages show at their edge what it took to render them",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_MORPH: Setting = Setting {
    variable: "HOST_MORPH",
    default: "on",
    example: "off",
    help: "Whether an open page changes in place after a save where it can, or always loads again",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_MCP: Setting = Setting {
    variable: "HOST_MCP",
    default: "on",
    example: "off",
    help: "Whether coding agents may ask at /__dev/mcp, by the Model Context Protocol",
    note: "",
    change: Change::Restart,
};

pub(super) static EDITOR_URL: Setting = Setting {
    variable: "EDITOR_URL",
    default: "",
    example: "vscode://file/{file}:{line}:{column}",
    help: "How pages and terminal link to a place in a file",
    note: "",
    change: Change::Restart,
};

pub(super) static HOST_ALLOW: Setting = Setting {
    variable: "HOST_ALLOW",
    default: "",
    example: "my-laptop.local",
    help: "Other host names that /__dev answers to, besides localhost and loopback addresses; commas between them",
    note: "",
    change: Change::Restart,
};
