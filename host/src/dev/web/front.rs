//! Decides who answers a request: the host under `/__dev`, the app otherwise, or the host if the app cannot.
//!
//! `/__dev` answers to local names only. Otherwise a site whose name resolves to this machine could let its scripts
//! read these pages (DNS rebinding).

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderName, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use host_accept::Tether;
use hyper::body::Incoming;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{
    blocked,
    buttons::Token,
    failed,
    hold::{hold, hold_for_a_migration},
    pages::{Editor, Page},
    panicked,
    policy::UnreloadablePages,
    request_info::RequestInfo,
    script::{Origin, add_script},
};
use crate::{
    dev::{
        health::{Health, Trouble, slow_migration},
        requests::{Answered, Requests},
        schema::SchemaState,
    },
    generation::{Absence, Generations},
    reload::Report,
    serve::dispatch::{NoAnswer, Served, dispatch},
};

/// Marks a response by code that is older than the last save.
const STALE: HeaderName = HeaderName::from_static("x-dev-stale");

/// Answers every request to the dev server.
pub(in crate::dev) struct Front {
    /// The host's own routes.
    pub(super) own: Router,
    pub(super) generations: Arc<Generations>,
    pub(super) report: watch::Receiver<Report>,
    pub(super) health: watch::Receiver<Health>,
    pub(super) schema: watch::Receiver<SchemaState>,
    pub(super) requests: Arc<Requests>,
    pub(super) unreloadable: Arc<UnreloadablePages>,
    pub(super) editor: Editor,
    pub(super) token: Token,
    /// How long a page waits for a build.
    pub(super) hold: Duration,
    /// Names that the user has allowed, besides local ones.
    pub(super) names: Vec<String>,
}

impl Front {
    /// Answers one request.
    pub(in crate::dev) async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        tether: Tether,
    ) -> Response<Body> {
        let path = request.uri().path();
        if path == "/__dev" || path.starts_with("/__dev/") {
            return self.answer_itself(request, &tether).await;
        }
        let info = RequestInfo::of(&request);
        // Before the first generation there is no old code to fall back to, and the lease waits anyway.
        let is_held = self.generations.active().is_some();
        let stale = is_held && hold(&info, &self.report, self.hold).await;
        hold_for_a_migration(&info, &self.schema).await;
        let revision = self.report.borrow().revision;
        let since = Instant::now();
        let token = self.trusts(&request, &tether).then_some(&self.token);
        if let Some((blocked, page)) = self.blocked(&info, token) {
            return self.answer_instead(&info, page, (revision, Some(blocked)), stale);
        }
        info.strip_conditional_headers(request.headers_mut());
        let Served {
            generation,
            statements,
            failure,
            answer,
        } = dispatch(&self.generations, request, tether).await;
        let took = since.elapsed();
        let (mut response, panic) = match answer {
            Ok(response) => (response, None),
            Err(none) => self.fallback_response(none, &info, token, generation).await,
        };
        // If the response is not an error, the app has handled the failure itself.
        let failure = failure.filter(|_| response.status().is_server_error() && panic.is_none());
        let database = failure.as_ref().map(ToString::to_string);
        let failure = failure.filter(|_| failed::should_replace(&info, &response));
        let slow = slow_migration(&self.schema.borrow());
        if let (Some(_), Some(slow)) = (&failure, slow) {
            // The request came before the migration was known to be slow, and its wait has timed out.
            response = blocked::by_trouble(&slow, info.target(), token).answer(info.wants());
        } else if let Some(failure) = failure {
            let (info, editor, status) = (info.clone(), self.editor.clone(), response.status());
            // Blocking: it reads the lines around the call from a file.
            let page = tokio::task::spawn_blocking(move || {
                failed::page(&failure, status, &info, generation, &editor)
            });
            let page = page.await.expect("it neither panics nor is aborted");
            response = failed::in_place_of(&response, page);
        }
        self.requests.add(Answered {
            method: info.method.clone(),
            uri: info.uri.clone(),
            status: response.status(),
            at: SystemTime::now(),
            took,
            generation,
            statements,
            panic,
            database,
        });
        let origin = self.origin((generation, revision), None);
        self.finish(&info, origin, response, stale)
    }

    /// Answers with a page of the host, without waiting for the app.
    fn answer_instead(
        &self,
        info: &RequestInfo,
        page: Page,
        (revision, schema): (u64, Option<u64>),
        stale: bool,
    ) -> Response<Body> {
        let origin = self.origin((self.generations.active_id(), revision), schema);
        self.finish(info, origin, page.answer(info.wants()), stale)
    }

    fn origin(&self, (generation, revision): (u64, u64), schema: Option<u64>) -> Origin {
        Origin {
            generation,
            revision,
            schema,
            outage: self.health.borrow().outage,
        }
    }

    async fn answer_itself(&self, request: Request<Incoming>, tether: &Tether) -> Response<Body> {
        if !self.trusts(&request, tether) {
            return (
                StatusCode::FORBIDDEN,
                "/__dev answers to localhost only; allow a name with --allow-host NAME\n",
            )
                .into_response();
        }
        match self.own.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// The page to show without asking the app, and the schema revision that blocks it.
    fn blocked(&self, info: &RequestInfo, token: Option<&Token>) -> Option<(u64, Page)> {
        let schema = self.schema.borrow();
        let revision = schema.revision()?;
        let unreached = || schema.failure.as_ref().filter(|_| schema.unreached);
        let trouble = (self.outage())
            .or_else(|| slow_migration(&schema))
            .or_else(|| unreached().map(Trouble::from));
        let page = match trouble {
            Some(trouble) => blocked::by_trouble(&trouble, info.target(), token),
            None => blocked::by_schema(&schema, info.target(), token),
        };
        Some((revision, page))
    }

    /// The current outage, if there is one.
    fn outage(&self) -> Option<Trouble> {
        let trouble = self.health.borrow().trouble.clone();
        trouble.filter(|trouble| trouble.cause.is_outage())
    }

    /// The response to a request that the app did not answer, and the panic message if that is the reason.
    async fn fallback_response(
        &self,
        none: NoAnswer,
        info: &RequestInfo,
        token: Option<&Token>,
        generation: u64,
    ) -> (Response<Body>, Option<String>) {
        let (page, panic) = match none {
            NoAnswer::Absent(absence) => match (&absence, self.outage()) {
                (Absence::Blocked(_), Some(trouble)) => {
                    (blocked::by_trouble(&trouble, info.target(), token), None)
                }
                _ => (blocked::by_absence(&absence), None),
            },
            NoAnswer::CutOff(why) => (blocked::by_cut_off(&why), None),
            NoAnswer::Panicked(report) => {
                let (info, editor) = (info.clone(), self.editor.clone());
                // Blocking: it reads files to resolve the backtrace.
                let page = tokio::task::spawn_blocking(move || {
                    let page = panicked::page(&report, &info, generation, &editor);
                    (page, Some(report.to_string()))
                });
                page.await.expect("it neither panics nor is aborted")
            }
        };
        let mut response = page.answer(info.wants());
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        (response, panic)
    }

    /// Whether the request comes from this machine and uses a local name, or uses a name that the user has allowed. A
    /// name alone proves nothing if other machines can connect, and a local connection proves nothing since a foreign
    /// page can open one.
    fn trusts(&self, request: &Request<Incoming>, tether: &Tether) -> bool {
        let Some(name) = name_of(request) else {
            return false;
        };
        let local = name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback() || address.is_unspecified());
        let is_allowed = |allowed: &String| allowed.eq_ignore_ascii_case(name);
        local && tether.is_of_this_machine() || self.names.iter().any(is_allowed)
    }

    fn finish(
        &self,
        info: &RequestInfo,
        origin: Origin,
        response: Response<Body>,
        stale: bool,
    ) -> Response<Body> {
        let mut response = add_script(info, origin, response, &self.unreloadable);
        if stale {
            let yes = HeaderValue::from_static("1");
            response.headers_mut().insert(STALE, yes);
        }
        response
    }
}

/// The host name that the client used, without the port.
fn name_of(request: &Request<Incoming>) -> Option<&str> {
    // In HTTP/2 it is in the URI.
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    }
}
