//! Sends what a request has done to a collector, once its answer has ended: a span for the request, and below it one for
//! each statement and each wait for the connection. What it has logged are events of the first.
//!
//! Made from what `/__dev/requests` shows, and like that without the query and without parameters.

use std::{sync::Arc, time::SystemTime};

use axum::{
    body::Body,
    http::{Request, Response},
};
use opentelemetry::{
    KeyValue,
    trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt},
};
use shared::db::trace::{Event, Outcome, Statement, What};

use super::requests::Answered;
use crate::{
    body_end,
    otlp::{self, Tracer},
    routes::Route,
};

/// A request that is to be sent.
pub(super) struct Exported {
    tracer: Tracer,
    route: Route,
}

impl Exported {
    /// Has the app's router note the route.
    pub(super) fn begin<B>(tracer: &Tracer, request: &mut Request<B>) -> Self {
        let route = Route::default();
        request.extensions_mut().insert(route.clone());
        Self {
            tracer: tracer.clone(),
            route,
        }
    }

    /// Sends it when the body of its answer has ended, or when the client is gone.
    pub(super) fn answered(
        self,
        answered: Arc<Answered>,
        response: Response<Body>,
    ) -> Response<Body> {
        let ended = Ended {
            exported: self,
            answered,
        };
        body_end::hold(response, ended)
    }

    fn send(&self, answered: &Answered) {
        let now = SystemTime::now();
        let age = answered.request.as_ref().map(|request| request.age());
        let began = age
            .and_then(|age| now.checked_sub(age))
            .unwrap_or(answered.at);
        let mut attributes = vec![
            KeyValue::new("http.request.method", answered.info.method.to_string()),
            KeyValue::new(
                "http.response.status_code",
                i64::from(answered.status.as_u16()),
            ),
            KeyValue::new("url.path", answered.info.uri.path().to_owned()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("dev.generation", signed(answered.generation)),
            KeyValue::new("dev.request", signed(answered.id)),
        ];
        let mut name = answered.info.method.to_string();
        if let Some(route) = self.route.pattern() {
            name = format!("{name} {route}");
            attributes.push(KeyValue::new("http.route", route.to_owned()));
        }
        let failed = answered.status.is_server_error();
        if failed {
            let status = answered.status.as_str().to_owned();
            attributes.push(KeyValue::new("error.type", status));
        }
        let mut span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_start_time(began)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &otlp::parent(answered.info.unmasked()));
        if failed {
            let why = answered.panic.clone().or_else(|| answered.database.clone());
            span.set_status(Status::error(why.unwrap_or_default()));
        }
        let request = opentelemetry::Context::new().with_span(span);
        for event in answered.recorded().events {
            self.send_event(event, began, &request);
        }
        request.span().end_with_timestamp(now);
    }

    fn send_event(&self, event: Event, began: SystemTime, request: &opentelemetry::Context) {
        let (from, until) = (began + event.from, began + event.from + event.took);
        let builder = match &event.what {
            What::Log(line) => {
                let attributes = vec![
                    KeyValue::new("level", line.level),
                    KeyValue::new("target", line.target.clone()),
                ];
                let message = line.message.clone();
                request
                    .span()
                    .add_event_with_timestamp(message, from, attributes);
                return;
            }
            What::Wait(behind) => {
                let behind = behind.clone().map(|it| KeyValue::new("dev.holder", it));
                SpanBuilder::from_name("wait for the connection").with_attributes(behind)
            }
            What::Connect => SpanBuilder::from_name("connect"),
            What::Statement(statement) => of_statement(statement),
        };
        let mut span = builder
            .with_start_time(from)
            .start_with_context(&self.tracer, request);
        if let What::Statement(statement) = event.what
            && let Outcome::Failed(_, message) = statement.outcome
        {
            span.set_status(Status::error(message));
        }
        span.end_with_timestamp(until);
    }
}

fn of_statement(statement: &Statement) -> SpanBuilder {
    let mut attributes = vec![
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.query.text", statement.text.clone()),
    ];
    if let Some(at) = &statement.at {
        attributes.push(KeyValue::new("code.file.path", at.file().to_owned()));
        attributes.push(KeyValue::new("code.line.number", i64::from(at.line())));
    }
    match &statement.outcome {
        Outcome::Rows(rows) => {
            let rows = rows.map(|rows| KeyValue::new("db.response.returned_rows", signed(rows)));
            attributes.extend(rows);
        }
        Outcome::Failed(code, _) => {
            let code = code.clone().unwrap_or_else(|| "_OTHER".to_owned());
            attributes.push(KeyValue::new("error.type", code));
        }
        Outcome::Abandoned => attributes.push(KeyValue::new("error.type", "cancelled")),
    }
    let word = statement.text.split_whitespace().next().unwrap_or_default();
    SpanBuilder::from_name(word.to_uppercase())
        .with_kind(SpanKind::Client)
        .with_attributes(attributes)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Sends the request when it is dropped.
struct Ended {
    exported: Exported,
    answered: Arc<Answered>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.exported.send(&self.answered);
    }
}
