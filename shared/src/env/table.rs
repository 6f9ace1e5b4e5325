//! The settings of the app and of production. The dev server adds its own.

use super::{Change, Setting};

/// All of them, in the order in which they are shown.
pub static SETTINGS: [&Setting; 19] = [
    &DATABASE_URL,
    &APP_ENV,
    &HOST,
    &PORT,
    &DATABASE_MAX_CONNECTIONS,
    &DATABASE_CONNECT_TIMEOUT_MS,
    &DATABASE_WAIT_TIMEOUT_MS,
    &DATABASE_STATEMENT_TIMEOUT_MS,
    &DATABASE_PIPELINE,
    &DRAIN_TIMEOUT_MS,
    &DRAIN_DELAY_MS,
    &APP_START_TIMEOUT_MS,
    &HTTP_MAX_CONNECTIONS,
    &HTTP_HEADER_TIMEOUT_MS,
    &HTTP_HEALTH,
    &HTTP_ACCESS_LOG,
    &HTTP_METRICS_ADDRESS,
    &HTTP_LOG_FORMAT,
    &OTEL_EXPORTER_OTLP_ENDPOINT,
];

pub(super) static DATABASE_URL: Setting = Setting {
    variable: "DATABASE_URL",
    default: "",
    example: "'postgres://me:secret@localhost:5432/app'",
    help: "The server. Without it `cargo dev` starts a private PostgreSQL in .dev/postgres",
    note: "`host serve` requires it, in the environment: it does not read this file. In single quotes, since `$` and `#`\n\
           mean something in this file; in the password @ : / ? # % are written %40 %3A %2F %3F %23 %25. PGHOST, PGSERVICE\n\
           and libpq's other variables are not read. TLS: ?sslmode=verify-full checks the server with the system's root\n\
           certificates, or with &sslrootcert=/path/root.pem",
    change: Change::Pool,
};

pub(super) static APP_ENV: Setting = Setting {
    variable: "APP_ENV",
    default: "development",
    example: "development",
    help: "development, test or production; `host serve` has production as its default",
    note: "",
    change: Change::Generation,
};

/// Where to listen: other machines should not reach a dev server.
pub static HOST: Setting = Setting {
    variable: "HOST",
    default: "127.0.0.1",
    example: "127.0.0.1",
    help: "Address to listen on",
    note: "",
    change: Change::Restart,
};

/// The port.
pub static PORT: Setting = Setting {
    variable: "PORT",
    default: "3000",
    example: "3000",
    help: "Port to listen on, 0 for a free one",
    note: "",
    change: Change::Restart,
};

pub(super) static DATABASE_MAX_CONNECTIONS: Setting = Setting {
    variable: "DATABASE_MAX_CONNECTIONS",
    default: "1",
    example: "1",
    help: "Connections at most; one is enough, since statements share it by pipelining",
    note: "",
    change: Change::Pool,
};

pub(super) static DATABASE_CONNECT_TIMEOUT_MS: Setting = Setting {
    variable: "DATABASE_CONNECT_TIMEOUT_MS",
    default: "5000",
    example: "5000",
    help: "How long opening a connection may take, at each address of the URL",
    note: "",
    change: Change::Pool,
};

pub(super) static DATABASE_WAIT_TIMEOUT_MS: Setting = Setting {
    variable: "DATABASE_WAIT_TIMEOUT_MS",
    default: "10000",
    example: "10000",
    help: "How long to wait for the connection while others use it",
    note: "",
    change: Change::Pool,
};

pub(super) static DATABASE_STATEMENT_TIMEOUT_MS: Setting = Setting {
    variable: "DATABASE_STATEMENT_TIMEOUT_MS",
    default: "30000",
    example: "30000",
    help: "How long one statement may run; 0 is no limit",
    note: "",
    change: Change::Pool,
};

pub(super) static DATABASE_PIPELINE: Setting = Setting {
    variable: "DATABASE_PIPELINE",
    default: "on",
    example: "off",
    help: "off behind PgBouncer in transaction mode: each statement is then a transaction of its own",
    note: "",
    change: Change::Pool,
};

pub(super) static DRAIN_TIMEOUT_MS: Setting = Setting {
    variable: "DRAIN_TIMEOUT_MS",
    default: "10000",
    example: "10000",
    help: "How long requests may continue in a generation or a host that is ending",
    note: "",
    change: Change::Generation,
};

pub(super) static DRAIN_DELAY_MS: Setting = Setting {
    variable: "DRAIN_DELAY_MS",
    default: "0",
    example: "5000",
    help: "How long production serves on after SIGTERM while /readyz says 503, so that a load balancer can take it out",
    note: "",
    change: Change::Restart,
};

pub(super) static APP_START_TIMEOUT_MS: Setting = Setting {
    variable: "APP_START_TIMEOUT_MS",
    default: "10000",
    example: "10000",
    help: "How long app() may take to start",
    note: "",
    change: Change::Generation,
};

pub(super) static HTTP_MAX_CONNECTIONS: Setting = Setting {
    variable: "HTTP_MAX_CONNECTIONS",
    default: "512",
    example: "512",
    help: "How many clients may be connected at once; more wait, and each takes a file descriptor",
    note: "",
    change: Change::Restart,
};

pub(super) static HTTP_HEADER_TIMEOUT_MS: Setting = Setting {
    variable: "HTTP_HEADER_TIMEOUT_MS",
    default: "30000",
    example: "30000",
    help: "How long a connection may take to send the head of its next request before it is closed",
    note: "",
    change: Change::Restart,
};

pub(super) static HTTP_HEALTH: Setting = Setting {
    variable: "HTTP_HEALTH",
    default: "on",
    example: "off",
    help: "Whether production answers /healthz and /readyz itself; off leaves both paths to the app",
    note: "",
    change: Change::Restart,
};

pub(super) static HTTP_ACCESS_LOG: Setting = Setting {
    variable: "HTTP_ACCESS_LOG",
    default: "off",
    example: "on",
    help: "Whether production logs a line for each request, with the target access",
    note: "",
    change: Change::Restart,
};

pub(super) static HTTP_METRICS_ADDRESS: Setting = Setting {
    variable: "HTTP_METRICS_ADDRESS",
    default: "",
    example: "127.0.0.1:9100",
    help: "Where production serves /metrics for Prometheus, apart from the app; without it there are none",
    note: "",
    change: Change::Restart,
};

pub(super) static HTTP_LOG_FORMAT: Setting = Setting {
    variable: "HTTP_LOG_FORMAT",
    default: "text",
    example: "json",
    help: "How production writes its log: text, or json with an object on each line",
    note: "",
    change: Change::Restart,
};

pub(super) static OTEL_EXPORTER_OTLP_ENDPOINT: Setting = Setting {
    variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
    default: "",
    example: "http://127.0.0.1:4318",
    help: "The collector that gets traces and production's metrics by OTLP over HTTP, if the host has the feature otlp",
    note: "",
    change: Change::Restart,
};
