//! The pages shown instead of the app: while the database is down or not migrated, and while no app is running.

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::json;
use shared_migrate::{self as migrate, MigrationFailure};

use super::{buttons::Token, pages::Page};
use crate::{
    actions::ActionKind,
    database::SchemaState,
    events::{Cause, Trouble},
    generation::Absence,
};

/// The 503 page while database and migrations differ. A trusted client gets the button.
pub(super) fn by_schema(state: &SchemaState, back_to: &str, token: Option<&Token>) -> Page {
    let SchemaState {
        status:
            migrate::MigrationStatus {
                pending,
                pending_files,
                ..
            },
        failure,
        ..
    } = state;
    let title = if failure.is_some() {
        "A migration failed"
    } else {
        "Migrations are pending"
    };
    let html = html! {
        p.kind { "Database and migrations differ" }
        h1 { (title) }
        @if let Some(failure) = failure { (failed(failure)) }
        @if !pending.is_empty() {
            h2 { "Pending" }
            ul { @for file in pending_files { li { code { (file) } } } }
        }
        @if let Some(token) = token {
            form method="post" action="/__dev/actions/migrate" {
                input type="hidden" name="token" value=(token.as_str());
                input type="hidden" name="back" value=(back_to);
                button { @if failure.is_some() { "Try again" } @else { "Run migrations" } }
            }
        }
        p { "This page reloads once they are applied; " code { "cargo host migrate" } " works too." }
    };
    let why = failure
        .as_ref()
        .map_or_else(|| pending.join(", "), ToString::to_string);
    let code = if failure.is_some() {
        "migration_failed"
    } else {
        "pending_migrations"
    };
    Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: title.to_owned(),
        html,
        json: json!({ "error": {
            "code": code,
            "message": why,
            "files": pending,
            "failure": failure,
            "run": "cargo host migrate, or the button on the page",
        }}),
        text: format!("{title}: {why}\nrun `cargo host migrate`\n"),
    }
}

/// The 503 page while the database is down, starting or busy with a slow migration. A trusted client gets a button to
/// cancel the migration.
pub(super) fn by_trouble(trouble: &Trouble, back_to: &str, token: Option<&Token>) -> Page {
    let Trouble {
        cause,
        what,
        remedy,
        since,
        ..
    } = trouble;
    let (title, code) = match cause {
        Cause::Migration => ("A migration takes long", "migrating"),
        Cause::Starting => ("The database is starting", "database_starting"),
        _ => ("The database does not answer", "database_down"),
    };
    let since = since.format("%H:%M:%S");
    let html = html! {
        p.kind { "The app waits" }
        h1 { (title) }
        pre.source.said data-dev-trouble tabindex="0" role="region" aria-label="What is wrong" { (what) }
        p { (remedy) }
        @if let (Cause::Migration, Some(token)) = (cause, token) {
            form method="post" action="/__dev/actions/cancel-migration" {
                input type="hidden" name="token" value=(token.as_str());
                input type="hidden" name="back" value=(back_to);
                button { (ActionKind::CancelMigration.entry().title) }
            }
        }
        p { "Since " (since) ". This page reloads by itself once it is over." }
    };
    Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: title.to_owned(),
        html,
        json: json!({ "error": { "code": code, "message": what, "run": remedy } }),
        text: format!("{what}\n{remedy}\n"),
    }
}

fn failed(failure: &MigrationFailure) -> Markup {
    html! {
        @if let Some(file) = &failure.file {
            p { code { (file) @if let Some(line) = failure.line { ":" (line) } } }
        }
        pre.source.said tabindex="0" role="region" aria-label="What PostgreSQL said" { (failure.message) }
    }
}

/// The 503 page while no generation has started.
pub(super) fn by_absence(absence: &Absence) -> Page {
    let why = absence.to_string();
    Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "No app yet".to_owned(),
        html: html! {
            p.kind { "Nothing to serve yet" }
            h1 { "The app is not running" }
            pre.source.said tabindex="0" role="region" aria-label="Why" { (why) }
            p { "This page reloads when the app starts." }
        },
        json: json!({ "error": { "code": "no_app", "message": why } }),
        text: format!("{why}\n"),
    }
}

/// The 503 page for a request that the host has cut off.
pub(super) fn by_cut_off(why: &str) -> Page {
    Page {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Cut off".to_owned(),
        html: html! {
            p.kind { "Request cut off" }
            h1 { (why) }
            p { "Reload the page to ask again." }
        },
        json: json!({ "error": { "code": "cut_off", "message": why } }),
        text: format!("{why}\n"),
    }
}
