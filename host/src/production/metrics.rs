//! What Prometheus reads, and what a collector is sent: requests, connections, the database.
//!
//! Owns the figures, their names and their labels, of which each has few values: a method, a route of the app, a status.
//! The figures of connections and of the database are looked up when they are read.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use host_accept::Places;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::Collector, proto::MetricFamily,
};
use shared::Db;

/// In seconds: from a page out of memory to a slow statement.
const BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub(super) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    looked_up: Mutex<LookedUp>,
}

/// What is set when it is read.
struct LookedUp {
    db: Db,
    places: Places,
    connections: IntGauge,
    database_open: IntGauge,
    database_waiting: IntGauge,
    database_opened: IntCounter,
    database_lost: IntCounter,
    database_uses: IntCounter,
}

impl Metrics {
    /// Of this process, which serves at these places.
    pub(super) fn new(db: Db, places: Places) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let build = Opts::new(
            "host_build_info",
            "The version of the host package; always 1.",
        )
        .const_label("version", env!("CARGO_PKG_VERSION"));
        registered(&registry, IntGauge::with_opts(build)?)?.set(1);
        let gauge = |name: &str, help: &str| registered(&registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| registered(&registry, IntCounter::new(name, help)?);
        gauge("http_connections_max", "HTTP_MAX_CONNECTIONS.")?.set(signed(places.limit()));
        gauge("database_connections_max", "DATABASE_MAX_CONNECTIONS.")?
            .set(signed(db.status().max));
        let looked_up = LookedUp {
            connections: gauge("http_connections_open", "Clients that are connected.")?,
            database_open: gauge(
                "database_connections_open",
                "Connections of the app to PostgreSQL.",
            )?,
            database_waiting: gauge(
                "database_waiting",
                "Callers waiting for the database connection.",
            )?,
            database_opened: counter(
                "database_connections_opened_total",
                "Connections to PostgreSQL that were opened.",
            )?,
            database_lost: counter(
                "database_connections_lost_total",
                "Connections to PostgreSQL that were lost unexpectedly.",
            )?,
            database_uses: counter(
                "database_uses_total",
                "Statements outside of transactions, and transactions and checkouts.",
            )?,
            db,
            places,
        };
        let labels = ["method", "route", "status"];
        let requests = Opts::new(
            "http_requests_total",
            "Requests that have ended; status 499: the client left, or was cut off, before there was an answer.",
        );
        let durations = HistogramOpts::new(
            "http_request_duration_seconds",
            "From the head of a request to the last byte of its answer.",
        )
        .buckets(BUCKETS.to_vec());
        Ok(Self {
            requests: registered(&registry, IntCounterVec::new(requests, &labels)?)?,
            durations: registered(&registry, HistogramVec::new(durations, &labels)?)?,
            in_flight: gauge(
                "http_requests_in_flight",
                "Requests whose answer has not ended.",
            )?,
            looked_up: Mutex::new(looked_up),
            registry,
        })
    }

    pub(super) fn begun(&self) {
        self.in_flight.inc();
    }

    pub(super) fn ended(&self, method: &str, route: &str, status: u16, took: Duration) {
        let status = status.to_string();
        let labels = [method, route, &status];
        self.requests.with_label_values(&labels).inc();
        self.durations
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
        // Last, so that nobody reads of a request that is neither under way nor counted.
        self.in_flight.dec();
    }

    /// All of it, in Prometheus' text format.
    pub(super) fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.read())
    }

    /// All of it.
    pub(super) fn read(&self) -> Vec<MetricFamily> {
        // Until it is read: a second reader sets the counters too.
        let looked_up = self
            .looked_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        looked_up.look_up();
        self.registry.gather()
    }
}

impl LookedUp {
    fn look_up(&self) {
        self.connections.set(signed(self.places.open()));
        let status = self.db.status();
        self.database_open.set(signed(status.size));
        self.database_waiting.set(signed(status.waiting));
        let lost = status.reconnects.iter().map(|loss| loss.times).sum();
        for (counter, total) in [
            (&self.database_opened, status.opened_total),
            (&self.database_lost, lost),
            (&self.database_uses, status.uses_total),
        ] {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
