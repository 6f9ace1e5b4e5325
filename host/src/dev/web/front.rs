//! Who answers a request: the host itself under `/__dev`, the app for everything else, the host in its stead.
//!
//! `/__dev` answers to local names only. Another site's name that resolves to this machine would otherwise let that
//! site's scripts read what is here (DNS rebinding).

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
    asked::Asked,
    blocked,
    buttons::Token,
    failed,
    hold::{hold, hold_for_a_migration},
    pages::{Editor, Page},
    panicked,
    policy::UnreloadablePages,
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

/// Says that older code answered than the one that was saved.
const STALE: HeaderName = HeaderName::from_static("x-dev-stale");

/// The front of the dev server.
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
    /// Names that a person has allowed, beside local ones.
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
        let asked = Asked::of(&request);
        // Before the first generation there is no old code: whoever leases waits.
        let is_held = self.generations.active().is_some();
        let stale = is_held && hold(&asked, &self.report, self.hold).await;
        hold_for_a_migration(&asked, &self.schema).await;
        let revision = self.report.borrow().revision;
        let since = Instant::now();
        let token = self.trusts(&request, &tether).then_some(&self.token);
        if let Some((blocked, page)) = self.blocked(&asked, token) {
            let generation = self.generations.active().map_or(0, |active| active.id());
            let origin = self.origin((generation, revision), Some(blocked));
            return self.finish(&asked, origin, page.answer(asked.wants()), stale);
        }
        asked.ask_plainly(request.headers_mut());
        let Served {
            generation,
            statements,
            failure,
            answer,
        } = dispatch(&self.generations, request, tether).await;
        let took = since.elapsed();
        let (mut response, panic) = match answer {
            Ok(response) => (response, None),
            Err(none) => {
                self.fallback_response(none, &asked, token, generation)
                    .await
            }
        };
        // Of a request that was answered as it should be, the app has made something of the failure itself.
        let failure = failure.filter(|_| response.status().is_server_error() && panic.is_none());
        let database = failure.as_ref().map(ToString::to_string);
        let failure = failure.filter(|_| failed::explains(&asked, &response));
        let slow = of_a_slow_migration(&self.schema.borrow());
        if let (Some(_), Some(slow)) = (&failure, slow) {
            // It came before anybody knew that the migration takes long, and has waited for it in vain.
            response = blocked::by_trouble(&slow, asked.target(), token).answer(asked.wants());
        } else if let Some(failure) = failure {
            let (asked, editor, status) = (asked.clone(), self.editor.clone(), response.status());
            // The lines around the call are read from its file.
            let page = tokio::task::spawn_blocking(move || {
                failed::page(&failure, status, &asked, generation, &editor)
            });
            let page = page.await.expect("it neither panics nor is aborted");
            response = failed::in_place_of(&response, page);
        }
        self.requests.add(Answered {
            method: asked.method.clone(),
            uri: asked.uri.clone(),
            status: response.status(),
            at: SystemTime::now(),
            took,
            generation,
            statements,
            panic,
            database,
        });
        let origin = self.origin((generation, revision), None);
        self.finish(&asked, origin, response, stale)
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

    /// Why the app is not even asked, and the revision of the schema that is in the way.
    fn blocked(&self, asked: &Asked, token: Option<&Token>) -> Option<(u64, Page)> {
        let schema = self.schema.borrow();
        let revision = schema.revision()?;
        let unreached = || schema.failure.as_ref().filter(|_| schema.unreached);
        let trouble = (self.outage())
            .or_else(|| slow_migration(&schema))
            .or_else(|| unreached().map(Trouble::from));
        let page = match trouble {
            Some(trouble) => blocked::by_trouble(&trouble, asked.target(), token),
            None => blocked::by_schema(&schema, asked.target(), token),
        };
        Some((revision, page))
    }

    /// What keeps the app from answering, and is not in its code.
    fn outage(&self) -> Option<Trouble> {
        let trouble = self.health.borrow().trouble.clone();
        trouble.filter(|trouble| trouble.cause.is_outage())
    }

    /// An answer for a request that got none, and the message of the panic if that is why.
    async fn fallback_response(
        &self,
        none: NoAnswer,
        asked: &Asked,
        token: Option<&Token>,
        generation: u64,
    ) -> (Response<Body>, Option<String>) {
        let (page, panic) = match none {
            NoAnswer::Absent(absence) => match (&absence, self.outage()) {
                (Absence::Blocked(_), Some(trouble)) => {
                    (blocked::by_trouble(&trouble, asked.target(), token), None)
                }
                _ => (blocked::by_absence(&absence), None),
            },
            NoAnswer::CutOff(why) => (blocked::by_cut_off(&why), None),
            NoAnswer::Panicked(report) => {
                let (asked, editor) = (asked.clone(), self.editor.clone());
                // Finding the names of a backtrace reads files.
                let page = tokio::task::spawn_blocking(move || {
                    let page = panicked::page(&report, &asked, generation, &editor);
                    (page, Some(report.to_string()))
                });
                page.await.expect("it neither panics nor is aborted")
            }
        };
        let mut response = page.answer(asked.wants());
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        (response, panic)
    }

    /// Whether this may be a person at this machine, or whom they have allowed by name. A name alone proves nothing
    /// where others can connect, and a connection nothing where a foreign page can make it.
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
        asked: &Asked,
        origin: Origin,
        response: Response<Body>,
        stale: bool,
    ) -> Response<Body> {
        let mut response = add_script(asked, origin, response, &self.unreloadable);
        if stale {
            let yes = HeaderValue::from_static("1");
            response.headers_mut().insert(STALE, yes);
        }
        response
    }
}

/// The name under which the client has looked for this host.
fn name_of(request: &Request<Incoming>) -> Option<&str> {
    // HTTP/2 has it in the URI.
    let host = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    }
}
