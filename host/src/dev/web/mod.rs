//! What a browser gets from the host: the script in the app's pages, pages when the app has no answer, the dashboard.
//!
//! A request enters at `front`. The host's own routes answer to local names only, and actions only work from pages that
//! the host has served.

// Entry point: who answers.
mod front;

// What the client requested, and whether it waits for a build.
mod hold;
mod request_info;

// Pages for when the app does not answer.
mod blocked;
mod failed;
mod pages;
mod panicked;

// The script added to the app's own pages.
mod append;
mod policy;
mod script;

// The dashboard and its actions.
mod buttons;
mod dashboard;

use std::{io, sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    actions::Action,
    schema::Schema,
    status::{self, Sources},
};
use buttons::{Buttons, Token};
use dashboard::Dashboard;
use front::Front;
pub(super) use pages::Editor;
pub(super) use policy::{Unreloadable, UnreloadablePages};
use script::Script;

/// What [`front()`] needs.
pub(super) struct Parts {
    pub(super) sources: Sources,
    pub(super) schema: Arc<Schema>,
    pub(super) actions: mpsc::UnboundedSender<Action>,
    /// Ends the streams with the host; pages then wait for the next one.
    pub(super) stop: CancellationToken,
    /// How long a page waits for a build.
    pub(super) hold: Duration,
    /// Names that `/__dev` answers to, besides local ones.
    pub(super) names: Vec<String>,
}

/// Builds the entry point for all requests.
pub(super) fn front(parts: Parts) -> io::Result<Arc<Front>> {
    let Parts {
        sources,
        schema,
        actions,
        stop,
        hold,
        names,
    } = parts;
    let token = Token::new()?;
    let script = script::routes(Script {
        report: sources.report.clone(),
        generations: sources.generations.clone(),
        schema: schema.state(),
        health: sources.health.clone(),
        editor: sources.editor.clone(),
        stop: stop.clone(),
    });
    let buttons = buttons::routes(Buttons {
        token: token.clone(),
        schema: schema.clone(),
        actions,
    });
    let dashboard = dashboard::routes(Dashboard {
        sources: sources.clone(),
        token: token.clone(),
        stop,
    });
    Ok(Arc::new(Front {
        own: status::routes(sources.clone())
            .merge(script)
            .merge(buttons)
            .merge(dashboard),
        generations: sources.generations,
        report: sources.report,
        health: sources.health,
        schema: schema.state(),
        requests: sources.requests,
        unreloadable: sources.unreloadable,
        editor: sources.editor,
        token,
        hold,
        names,
    }))
}
