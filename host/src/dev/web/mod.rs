//! What a browser gets from the host: the script in the app's pages, pages when the app has no answer, the dashboard.
//!
//! A request comes in at `front`. Everything here answers to local names only, and changes something only for a page
//! that the host itself has served.

// Who answers.
mod front;

// What the client wants, and whether it waits for a build.
mod asked;
mod hold;

// What is said when the app does not answer.
mod blocked;
mod failed;
mod pages;
mod panicked;

// What is added to the app's own pages.
mod append;
mod policy;
mod script;

// The dashboard, and what its buttons do.
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

/// What the browser's side is made of.
pub(super) struct Parts {
    pub(super) sources: Sources,
    pub(super) schema: Arc<Schema>,
    pub(super) actions: mpsc::UnboundedSender<Action>,
    /// Ends the streams with the host; pages then wait for the next one.
    pub(super) stop: CancellationToken,
    /// How long a page waits for a build.
    pub(super) hold: Duration,
    /// Names under which `/__dev` answers, beside local ones.
    pub(super) names: Vec<String>,
}

/// The front of the dev server.
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
