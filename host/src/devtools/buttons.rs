//! The actions behind the buttons of the host's pages.
//!
//! Only those pages may trigger actions: an action is a POST from the same origin, with the token in the page. A
//! foreign site can send a POST to a local port, but cannot read our pages and so does not know the token.

use std::{fs::File, io::Read, sync::Arc};

use axum::{
    Form, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use serde::Deserialize;
use shared::{PoolOwner, keep::Kept};
use tokio::sync::mpsc;

use crate::{
    actions::{ACTIONS, Action, ActionKind},
    config::Isolation,
    database::{Schema, SchemaState, terminate},
};

/// A secret of this process, contained in its pages.
#[derive(Clone)]
pub(super) struct Token(Arc<str>);

impl Token {
    pub(crate) fn new() -> std::io::Result<Self> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        Ok(Self(format!("{:032x}", u128::from_ne_bytes(random)).into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks who has sent a form. `token` is the one in it; a script sends it as a header.
    ///
    /// # Errors
    ///
    /// The sender is no page of this host; the answer says so.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<(), (StatusCode, &'static str)> {
        let why = if !is_same_origin(headers) {
            "refused: this request comes from another site\n"
        } else if text(headers, "x-dev-token").or(token) != Some(self.as_str()) {
            "stale token: reload the page and try again\n"
        } else {
            return Ok(());
        };
        Err((StatusCode::FORBIDDEN, why))
    }
}

/// What the actions work on.
#[derive(Clone)]
pub(super) struct Buttons {
    pub(super) token: Token,
    pub(super) schema: Arc<Schema>,
    pub(super) kept: Kept,
    pub(super) actions: mpsc::UnboundedSender<Action>,
}

/// The form data of all actions; each uses some of the fields.
#[derive(Deserialize)]
struct Sent {
    token: Option<String>,
    /// Where to redirect a page without scripts afterwards.
    back: Option<String>,
    pid: Option<i32>,
    /// The name of a snapshot.
    name: Option<String>,
    /// The name of a kept value.
    kept: Option<String>,
    pool: Option<PoolOwner>,
    isolation: Option<Isolation>,
}

pub(super) fn routes(buttons: Buttons) -> Router {
    Router::new()
        .route("/__dev/actions/{name}", post(act))
        .with_state(buttons)
}

async fn act(
    State(buttons): State<Buttons>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(sent): Form<Sent>,
) -> Response {
    if let Err(refused) = buttons.token.check(&headers, sent.token.as_deref()) {
        return refused.into_response();
    }
    let back = sent.back.clone().filter(|back| is_path(back));
    match (buttons.carry_out(&name, sent).await, back) {
        // The page there shows the outcome.
        (_, Some(back)) => Redirect::to(&back).into_response(),
        (Ok(done), None) => done.into_response(),
        (Err((status, why)), None) => (status, why).into_response(),
    }
}

impl Buttons {
    async fn carry_out(&self, name: &str, sent: Sent) -> Result<String, (StatusCode, String)> {
        let incomplete = |what: &str| {
            let why = format!("{name} needs {what}");
            Err((StatusCode::UNPROCESSABLE_ENTITY, why))
        };
        let Some(entry) = ACTIONS.iter().find(|entry| entry.name == name) else {
            let why = format!("unknown action {name}");
            return Err((StatusCode::NOT_FOUND, why));
        };
        match entry.kind {
            ActionKind::Migrate => {
                let (schema, mut state) = (self.schema.clone(), self.schema.state());
                // In its own task: if it were dropped with a client that disconnects, it could leave an invalid index
                // behind.
                let running = tokio::spawn(async move { schema.migrate().await });
                let slow =
                    |state: &SchemaState| state.applying.as_ref().is_some_and(|now| now.slow);
                let ran = tokio::select! {
                    ran = running => ran,
                    _ = state.wait_for(slow) => return Ok("the migration takes long; `health` says what it waits for".to_owned()),
                };
                ran.map_err(|error| error.to_string())
                    .and_then(|ran| ran.map_err(|error| error.to_string()))
                    .map_err(|why| (StatusCode::BAD_GATEWAY, why))?;
                let state = self.schema.state().borrow().clone();
                match state.failure {
                    Some(failure) => Err((StatusCode::CONFLICT, failure.to_string())),
                    None => Ok("the database is up to date".to_owned()),
                }
            }
            ActionKind::CancelMigration => {
                self.schema.cancel();
                Ok("the server was asked to cancel the migration".to_owned())
            }
            ActionKind::Snapshot | ActionKind::Restore => {
                let Some(snapshot) = sent.name else {
                    return incomplete("name");
                };
                let schema = self.schema.clone();
                let is_new = entry.kind == ActionKind::Snapshot;
                // In its own task: a client that disconnects must not leave it half-way.
                let copied = tokio::spawn(async move {
                    match is_new {
                        true => schema.snapshot(&snapshot).await,
                        false => schema.restore(&snapshot).await,
                    }
                    .map_err(|error| error.to_string())
                });
                copied
                    .await
                    .map_err(|error| error.to_string())
                    .flatten()
                    .map(|()| "done".to_owned())
                    .map_err(|why| (StatusCode::CONFLICT, why))
            }
            ActionKind::Terminate => {
                let Some(pid) = sent.pid else {
                    return incomplete("pid");
                };
                let (url, env) = self.schema.place();
                let ended = terminate(&url, &env, pid).await;
                match ended.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))? {
                    true => Ok(format!("terminated backend {pid}")),
                    false => Err((
                        StatusCode::NOT_FOUND,
                        format!("{pid} is not a backend of this database"),
                    )),
                }
            }
            ActionKind::Drop => {
                let Some(name) = sent.kept else {
                    return incomplete("kept");
                };
                match self.kept.forget(&name) {
                    true => Ok(format!("dropped {name}; the next call makes it again")),
                    false => Err((StatusCode::NOT_FOUND, format!("no value is kept as {name}"))),
                }
            }
            ActionKind::Rebuild => self.ask(Action::Rebuild, "rebuilding"),
            ActionKind::Tests => self.ask(Action::Tests, "switching the tests after each save"),
            ActionKind::NewPool => self.ask(
                Action::NewPool,
                "replacing the connection pool; the next query opens a connection",
            ),
            ActionKind::Mode => match (sent.pool, sent.isolation) {
                (Some(pool), Some(isolation)) => self.ask(
                    Action::Mode { pool, isolation },
                    "restarting in this mode, on the same socket",
                ),
                _ => incomplete("pool and isolation"),
            },
        }
    }

    /// Queues an action for the main loop, which prints the outcome.
    fn ask(&self, action: Action, saying: &str) -> Result<String, (StatusCode, String)> {
        match self.actions.send(action) {
            Ok(()) => Ok(saying.to_owned()),
            Err(_) => Err((
                StatusCode::SERVICE_UNAVAILABLE,
                "the host is shutting down".to_owned(),
            )),
        }
    }
}

/// Whether it is a path on this host. Browsers read `//`, `/\\`, or these with a tab in between, as the start of
/// another host.
fn is_path(back: &str) -> bool {
    let rest = back.strip_prefix('/');
    rest.is_some_and(|rest| !rest.starts_with(['/', '\\'])) && !back.contains(char::is_control)
}

/// Relies on headers that a page cannot forge. Clients other than browsers send neither of them.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(headers, header::ORIGIN.as_str()) else {
        return true;
    };
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    origin.split_once("://").is_some_and(|(_, of)| of == host)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
