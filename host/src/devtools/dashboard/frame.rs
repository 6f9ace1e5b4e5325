//! The frame of every page of the dashboard: the tabs, the buttons, and the line that says what happens.
//!
//! A page may be drawn by the script or come with its content from the server. The frame does not know which tab shows
//! what.

use axum::{
    body::Body,
    http::{Response, StatusCode, header},
    response::{Html, IntoResponse},
};
use maud::{DOCTYPE, Markup, html};

use crate::{
    actions::ActionKind,
    devtools::{buttons::Token, pages::head},
};

/// Only our own files, and no inline script: unescaped text could not run even if it slipped through.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What the icon shows: its path, and how that is drawn.
const ICON: &str = "d='M1 13h5V8h4V3h5' fill='none' stroke='%233b82c4' stroke-width='2.5'";

/// Each is a page of its own, so that it can be reloaded and shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::devtools) enum Tab {
    Overview,
    Requests,
    Logs,
    Database,
    Reloads,
    Leak,
    Settings,
}

impl Tab {
    /// In their order.
    const ALL: [Self; 7] = [
        Self::Overview,
        Self::Requests,
        Self::Logs,
        Self::Database,
        Self::Reloads,
        Self::Leak,
        Self::Settings,
    ];

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Overview => "/__dev",
            Self::Requests => "/__dev/requests",
            Self::Logs => "/__dev/logs",
            Self::Database => "/__dev/database",
            Self::Reloads => "/__dev/reloads",
            Self::Leak => "/__dev/leak",
            Self::Settings => "/__dev/settings",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Requests => "Requests",
            Self::Logs => "Logs",
            Self::Database => "Database",
            Self::Reloads => "Reloads",
            Self::Leak => "Leak laboratory",
            Self::Settings => "Settings",
        }
    }
}

/// The pages of the tab of the database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::devtools) enum Section {
    Connections,
    Tables,
    Sql,
}

/// The way from one to another.
pub(in crate::devtools) fn sections(current: Section) -> Markup {
    let all = [
        (Section::Connections, "/__dev/database", "Connections"),
        (Section::Tables, "/__dev/database/tables", "Tables"),
        (Section::Sql, "/__dev/database/sql", "SQL"),
    ];
    html! {
        nav.sections aria-label="Database" {
            @for (each, path, title) in all {
                a href=(path) aria-current=[(each == current).then_some("page")] { (title) }
            }
        }
    }
}

/// How a page gets its content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::devtools) enum Content {
    /// From the script.
    Drawn,
    /// From the server.
    Rendered,
    /// From the server, which could not give it again: the script must not reload the page.
    Once,
}

/// A page of this tab.
pub(in crate::devtools) fn page(
    tab: Tab,
    (status, title): (StatusCode, &str),
    token: &Token,
    (how, content): (Content, &Markup),
) -> Response<Body> {
    let files = html! {
        meta name="dev-token" content=(token.as_str());
        link rel="stylesheet" href="/__dev/dashboard.css";
        script src="/__dev/dashboard.js" defer {}
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{title} · /__dev"), ICON, &files))
            body {
                header {
                    b { "/__dev" }
                    span #link.chip {}
                    span #host.quiet {}
                    span.actions {
                        @for (action, of_database) in [(ActionKind::Rebuild, false), (ActionKind::NewPool, true)] {
                            @let action = action.entry();
                            button type="button" data-action=(action.name) data-database[of_database] { (action.title) }
                        }
                    }
                    nav aria-label="Tabs" {
                        @for each in Tab::ALL {
                            @let of_database = matches!(each, Tab::Database | Tab::Leak);
                            a href=(each.path()) aria-current=[(each == tab).then_some("page")] data-database[of_database] { (each.title()) }
                        }
                    }
                }
                @if how == Content::Drawn {
                    noscript { p.noscript { "This page is drawn by a script. The same numbers: " a href="/__dev/status.json" { "/__dev/status.json" } } }
                    main.drawn hidden { h1.unseen { (title) } (content) }
                } @else {
                    main data-once[how == Content::Once] { (content) }
                }
                footer {
                    span #news-at aria-hidden="true" {}
                    span #news role="status" {}
                }
            }
        }
    };
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, Html(page.into_string())).into_response()
}
