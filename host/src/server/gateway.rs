//! Decides who answers a request: the host under `/__dev`, the app otherwise, or the host if the app cannot.
//!
//! `/__dev` answers to local names only. Otherwise a site whose name resolves to this machine could let its scripts
//! read these pages (DNS rebinding).

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use host_accept::Tether;
use hyper::body::Incoming;
use tower::ServiceExt;

#[cfg(feature = "otlp")]
use super::exported::Exported;
use super::{
    dispatch::{NoAnswer, Served, dispatch},
    fallback::{Instead, Pages, cookies_of, may_replace},
    hold::{hold, hold_for_a_migration},
    inject::{PageOrigin, UnreloadablePages, add_script, forbid_guessing},
    request_info::{RequestInfo, is_local_name, name_of},
    requests::{Answered, Bodies, Requests},
    timing::Timing,
};
use crate::{events::Trouble, generation::Absence, health::slow_migration, services::Services};

/// Marks a response by code that is older than the last save.
const STALE: HeaderName = HeaderName::from_static("x-dev-stale");

/// Answers every request to the dev server.
pub(crate) struct Gateway {
    pub(crate) services: Services,
    pub(crate) requests: Arc<Requests>,
    pub(crate) unreloadable: Arc<UnreloadablePages>,
    /// What the host answers itself.
    pub(crate) pages: Arc<dyn Pages>,
    /// Its routes.
    pub(crate) own: Router,
    /// Whether pages show what it took to render them.
    pub(crate) bar: bool,
    /// How long a page waits for a build.
    pub(crate) hold: Duration,
    /// Makes spans of requests, if they are sent to a collector.
    #[cfg(feature = "otlp")]
    pub(crate) tracer: Option<crate::otlp::Tracer>,
    /// Names that the user has allowed, besides local ones.
    pub(crate) names: Vec<String>,
}

/// A request, as far as the host's own answers depend on it.
#[derive(Clone)]
struct Asking {
    info: RequestInfo,
    /// It may use the actions of the host.
    trusted: bool,
}

impl Gateway {
    /// Answers one request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        tether: Tether,
    ) -> Response<Body> {
        let path = request.uri().path();
        if path == "/__dev" || path.starts_with("/__dev/") {
            return self.answer_itself(request, &tether).await;
        }
        let since = Instant::now();
        let info = RequestInfo::of(&request);
        // Before the first generation there is no old code to fall back to, and the lease waits anyway.
        let is_held = self.services.generations.active().is_some();
        let stale = is_held && hold(&info, &self.services.report, self.hold).await;
        hold_for_a_migration(&info, &self.services.schema).await;
        let asking = Asking {
            trusted: self.trusts(&info, &tether),
            info,
        };
        // Before the app is asked: a newer revision must reload what it renders now.
        let revision = self.services.report.borrow().files.revision;
        let (generation, schema, answered, response) = match self.blocked() {
            Some((schema, instead)) => {
                let page = self.page(instead, &asking).await;
                let active = self.services.generations.active_id();
                (active, Some(schema), None, page)
            }
            None => {
                asking.info.as_page_load(request.headers_mut());
                let held = since.elapsed();
                let (answered, response) = self.ask_the_app(request, tether, &asking, held).await;
                (answered.generation, None, Some(answered), response)
            }
        };
        let origin = PageOrigin {
            generation,
            revision,
            schema,
            outage: self.services.health.borrow().outage,
            request: answered.as_ref().map(|answered| answered.id),
            rendering: answered
                .filter(|_| self.bar)
                .map(|answered| answered.rendering()),
        };
        let mut response = add_script(
            &asking.info,
            origin,
            response,
            &self.unreloadable,
            &self.services.events,
        );
        forbid_guessing(response.headers_mut());
        if stale {
            let yes = HeaderValue::from_static("1");
            response.headers_mut().insert(STALE, yes);
        }
        response
    }

    /// The app's answer, or the page in its place. Records the request.
    async fn ask_the_app(
        &self,
        #[cfg_attr(not(feature = "otlp"), expect(unused_mut, reason = "a collector's"))]
        mut request: Request<Incoming>,
        tether: Tether,
        asking: &Asking,
        held: Duration,
    ) -> (Arc<Answered>, Response<Body>) {
        #[cfg(feature = "otlp")]
        let exported = (self.tracer.as_ref()).map(|tracer| Exported::begin(tracer, &mut request));
        let since = Instant::now();
        let id = self.requests.next_id();
        let bodies = Bodies::default();
        let excerpt = self.requests.are_traced().then_some(&bodies.request);
        let Served {
            generation,
            waited,
            request,
            answer,
        } = dispatch(&self.services.generations, id, request, tether, excerpt).await;
        let took = since.elapsed() - waited;
        let failure = request.as_ref().and_then(|request| request.failure());
        let (mut response, panic) = match answer {
            Ok(response) => (response, None),
            Err(none) => {
                let (instead, panic) = self.instead_of(none, generation);
                (self.page(instead, asking).await, panic)
            }
        };
        // If the response is not an error, the app has handled the failure itself.
        let failure = failure.filter(|_| response.status().is_server_error() && panic.is_none());
        let database = failure.as_ref().map(ToString::to_string);
        if let Some(failure) = failure.filter(|_| may_replace(&asking.info, &response)) {
            let instead = match slow_migration(&self.services.schema.borrow()) {
                // The request came before the migration was known to be slow, and its wait has timed out.
                Some(slow) => Instead::Trouble(slow),
                None => Instead::Failed {
                    failure,
                    status: response.status(),
                    generation,
                },
            };
            let cookies = cookies_of(&response);
            response = self.page(instead, asking).await;
            response.headers_mut().extend(cookies);
        }
        let mut answered = Answered {
            id,
            info: asking.info.clone(),
            status: response.status(),
            at: SystemTime::now(),
            generation,
            timing: Timing {
                held: held + waited,
                app: took,
                ..Timing::default()
            },
            took,
            request,
            is_n_plus_1: false,
            panic,
            database,
            headers: HeaderMap::new(),
            bodies,
        };
        if self.requests.are_traced() {
            response = answered.note(response);
        }
        let answered = self.requests.add(answered);
        #[cfg(feature = "otlp")]
        if let Some(exported) = exported {
            response = exported.answered(answered.clone(), response);
        }
        (answered, response)
    }

    async fn answer_itself(&self, request: Request<Incoming>, tether: &Tether) -> Response<Body> {
        if !self.trusts(&RequestInfo::of(&request), tether) {
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

    /// What to answer without asking the app, and the schema revision that blocks it.
    fn blocked(&self) -> Option<(u64, Instead)> {
        let schema = self.services.schema.borrow();
        let revision = schema.revision()?;
        let unreached = || schema.failure.as_ref().filter(|_| schema.unreached);
        let trouble = (self.outage())
            .or_else(|| slow_migration(&schema))
            .or_else(|| unreached().map(Trouble::from));
        let instead = match trouble {
            Some(trouble) => Instead::Trouble(trouble),
            None => Instead::Schema(schema.clone()),
        };
        Some((revision, instead))
    }

    /// The current outage, if there is one.
    fn outage(&self) -> Option<Trouble> {
        let trouble = self.services.health.borrow().trouble.clone();
        trouble.filter(|trouble| trouble.cause.is_outage())
    }

    /// What to answer when the app gave no answer, and the panic if that is the reason.
    fn instead_of(&self, none: NoAnswer, generation: u64) -> (Instead, Option<String>) {
        match none {
            NoAnswer::Absent(absence) => match (&absence, self.outage()) {
                (Absence::Blocked(_), Some(trouble)) => (Instead::Trouble(trouble), None),
                _ => (Instead::Absent(absence), None),
            },
            NoAnswer::CutOff(why) => (Instead::CutOff(why), None),
            NoAnswer::Panicked(report) => {
                let panic = report.to_string();
                (Instead::Panicked { report, generation }, Some(panic))
            }
        }
    }

    async fn page(&self, instead: Instead, asking: &Asking) -> Response<Body> {
        let mut response = if instead.reads_files() {
            let (pages, asking) = (self.pages.clone(), asking.clone());
            let made = tokio::task::spawn_blocking(move || {
                pages.page(&instead, &asking.info, asking.trusted)
            });
            made.await.expect("it neither panics nor is aborted")
        } else {
            self.pages.page(&instead, &asking.info, asking.trusted)
        };
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        response
    }

    /// Whether the request comes from this machine and uses a local name, or uses a name that the user has allowed. A
    /// name alone proves nothing if other machines can connect, and a local connection proves nothing since a foreign
    /// page can open one.
    fn trusts(&self, info: &RequestInfo, tether: &Tether) -> bool {
        let name = name_of(info.host());
        let local = is_local_name(info.host());
        let is_allowed = |allowed: &String| allowed.eq_ignore_ascii_case(name);
        local && tether.is_of_this_machine() || self.names.iter().any(is_allowed)
    }
}
