//! What a browser gets from the host: pages when the app has no answer, the dashboard, the script's file and events,
//! `status.json`.
//!
//! Shows events and state, and sends actions; decides nothing. Who gets to see it is decided by the
//! [gateway](crate::server::Gateway). Actions only work from pages that the host has served.

// Pages for when the app does not answer.
mod blocked;
mod failed;
mod pages;
mod panicked;

// The script in the app's own pages.
mod script;

// The dashboard: the tabs and its actions.
mod buttons;
mod dashboard;

// How their scripts and styles are sent, and what their streams have in common.
mod asset;
mod stream;

// The last requests and what they did.
mod requests;

// The last lines of the log, with what pages report.
mod browser_errors;
mod logs;

// Tables, rows, and a console for SQL.
mod database;

// Everything, for programs; and the history in it.
mod journal;
mod status;

// The same for coding agents.
mod mcp;

// What the dashboard and agents need: queries, plans, tables and what a user types, and requests to the app.
mod client;
mod sql;

pub(crate) use self::{
    journal::Journal,
    pages::Editor,
    status::{Host, Sources},
};

use std::io;

use axum::{Router, body::Body, http::Response};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    actions::Action,
    reload::Cookies,
    server::{Instead, Pages, RequestInfo},
};
use buttons::{Buttons, Token};
use dashboard::Dashboard;
use database::Database;
use logs::Logs;
use mcp::Mcp;
use requests::Traces;
use script::Script;

/// Everything under `/__dev`, and the pages in the app's place.
pub(crate) struct Devtools {
    editor: Editor,
    token: Token,
}

impl Devtools {
    /// What commands of this project show to be let in.
    pub(crate) fn token(&self) -> &str {
        self.token.as_str()
    }

    /// Also returns the routes. `stop` ends their streams with the host; pages then wait for the next one. `mcp`: with
    /// those for coding agents.
    pub(crate) fn new(
        sources: Sources,
        actions: mpsc::UnboundedSender<Action>,
        stop: CancellationToken,
        mcp: Option<Cookies>,
    ) -> io::Result<(Self, Router)> {
        let token = Token::new()?;
        let script = script::routes(Script {
            testing: sources.services.testing.clone(),
            report: sources.services.report.clone(),
            generations: sources.services.generations.clone(),
            schema: sources.services.schema.clone(),
            health: sources.services.health.clone(),
            editor: sources.editor.clone(),
            morph: sources.morph,
            stop: stop.clone(),
        });
        let buttons = buttons::routes(Buttons {
            token: token.clone(),
            schema: sources.services.database.schema.clone(),
            kept: sources.services.kept.clone(),
            actions,
        });
        let dashboard = dashboard::routes(Dashboard {
            sources: sources.clone(),
            token: token.clone(),
            stop: stop.clone(),
        });
        let database = database::routes(Database {
            db: sources.services.database.db.clone(),
            token: token.clone(),
        });
        let traces = requests::routes(Traces {
            requests: sources.requests.clone(),
            editor: sources.editor.clone(),
            token: token.clone(),
            db: sources.services.database.db.clone(),
            address: sources.host.address,
        });
        let logs = logs::routes(Logs {
            editor: sources.editor.clone(),
            token: token.clone(),
        });
        let errors = browser_errors::routes(sources.services.events.clone());
        let mcp = mcp.map(|cookies| {
            mcp::routes(Mcp {
                sources: sources.clone(),
                cookies,
                stop,
            })
        });
        let devtools = Self {
            editor: sources.editor.clone(),
            token,
        };
        let routes = status::routes(sources).merge(script).merge(buttons);
        let routes = routes.merge(dashboard).merge(database).merge(traces);
        let routes = routes.merge(logs).merge(errors);
        Ok((devtools, routes.merge(mcp.unwrap_or_default())))
    }
}

impl Pages for Devtools {
    fn page(&self, instead: &Instead, request: &RequestInfo, trusted: bool) -> Response<Body> {
        let token = trusted.then_some(&self.token);
        let page = match instead {
            Instead::Trouble(trouble) => blocked::by_trouble(trouble, request.target(), token),
            Instead::Schema(schema) => blocked::by_schema(schema, request.target(), token),
            Instead::Absent(absence) => blocked::by_absence(absence),
            Instead::CutOff(why) => blocked::by_cut_off(why),
            Instead::Panicked { report, generation } => {
                panicked::page(report, request, *generation, &self.editor)
            }
            Instead::Failed {
                failure,
                status,
                generation,
            } => return failed::page(failure, *status, request, *generation, &self.editor),
        };
        page.answer(request.wants())
    }
}
