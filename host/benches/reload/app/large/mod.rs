//! An application as people have them: 20 resources, each with a table and three handlers, in files of their own.
//!
//! One resource is written out beside this file; the others are the same under other names. `resource.rs` is all of it
//! in one file, `resource/` has a file for each handler.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use clap::ValueEnum;

use super::{App, Change, Kind};

/// What the resources are called; the first one is edited.
pub(crate) const RESOURCES: [&str; 20] = [
    "invoice", "customer", "product", "shipment", "payment", "supplier", "ticket", "project",
    "employee", "contract", "venue", "booking", "review", "message", "folder", "device", "account",
    "coupon", "parcel", "vehicle",
];

/// Whose router the app is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Routing {
    /// axum's own.
    Axum,
    /// `shared::routing`, which has axum's names.
    Shared,
}

/// The line of a file that brings the router; it stands so in the files beside this one.
const AXUM: &str = "use axum::{Router, routing::get};";
const SHARED: &str = "use shared::routing::{Router, get};";

/// Generates it.
pub(crate) fn app(routing: Routing, handler_files: bool) -> App {
    let mut files = BTreeMap::new();
    let mut add = |file: String, text: &str| {
        let text = match routing {
            Routing::Axum => text.to_owned(),
            Routing::Shared => text.replace(AXUM, SHARED),
        };
        files.insert(PathBuf::from(file), text);
    };
    add("app_lib/src/lib.rs".into(), &lib());
    add("app_lib/src/error.rs".into(), include_str!("error.rs"));
    for name in RESOURCES {
        if handler_files {
            for (file, text) in [
                ("mod", include_str!("resource/mod.rs")),
                ("list", include_str!("resource/list.rs")),
                ("read", include_str!("resource/read.rs")),
                ("create", include_str!("resource/create.rs")),
            ] {
                add(
                    format!("app_lib/src/{name}/{file}.rs"),
                    &renamed(text, name),
                );
            }
        } else {
            add(
                format!("app_lib/src/{name}.rs"),
                &renamed(include_str!("resource.rs"), name),
            );
        }
    }
    add("migrations/V3__large.sql".into(), &tables());
    App {
        name: "large",
        query: "/api/invoices/1",
        files,
        change,
        rounds: [0; 3],
    }
}

/// `text` about another resource.
pub(crate) fn renamed(text: &str, name: &str) -> String {
    let (first, rest) = name.split_at(1);
    let capital = first.to_uppercase() + rest;
    text.replace("invoice", name).replace("Invoice", &capital)
}

fn lib() -> String {
    let mut text = format!(
        "//! Twenty resources.\n\n#![forbid(unsafe_code)]\n\nmod error;\n\n{}\n{AXUM}\n\
         use shared::{{AppState, BoxError}};\n#[cfg(feature = \"hot\")]\nuse shared_dylib as _;\n\nshared::export_app!(app);\n\n\
         async fn app(state: AppState) -> Result<Router, BoxError> {{\n    Ok(Router::new()\n",
        RESOURCES.map(|name| format!("mod {name};\n")).concat()
    );
    for name in RESOURCES {
        writeln!(text, "        .nest(\"/api/{name}s\", {name}::routes())")
            .expect("a String takes everything");
    }
    text + "        .route(\"/api/empty\", get(async || ()))\n        .with_state(state))\n}\n"
}

fn tables() -> String {
    RESOURCES
        .map(|name| {
            format!(
                "CREATE TABLE {name} (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
                 title text NOT NULL,\n    amount integer NOT NULL,\n    \
                 created_at timestamptz NOT NULL DEFAULT now()\n);\n\
                 INSERT INTO {name} (title, amount) VALUES ('first', 1), ('second', 2);\n"
            )
        })
        .concat()
}

/// The edits of `resource.rs`; also of what hot-lib-reloader reloads, which has the same lines.
pub(crate) fn change(kind: Kind, round: usize) -> Change {
    match kind {
        Kind::Literal => Change {
            path: "/api/invoices".into(),
            marker: format!("All invoices, round {round}"),
            replacements: vec![(
                r#""All invoices""#,
                format!(r#""All invoices, round {round}""#),
            )],
        },
        Kind::Signature => {
            let (parameter, argument) = match round % 2 {
                0 => ("String", format!(r#""round {round}".to_owned()"#)),
                _ => ("&str", format!(r#""round {round}""#)),
            };
            Change {
                path: "/api/invoices/1".into(),
                marker: format!("round {round}"),
                replacements: vec![
                    (
                        "fn label(invoice: &Invoice)",
                        format!("fn label(invoice: &Invoice, round: {parameter})"),
                    ),
                    (
                        r#"format!("{} ({})","#,
                        r#"format!("{} ({}) {round}","#.into(),
                    ),
                    (
                        "= label(&invoice);",
                        format!("= label(&invoice, {argument});"),
                    ),
                ],
            }
        }
        Kind::Route => Change {
            path: format!("/api/invoices/added-{round}"),
            marker: format!("round {round}:"),
            replacements: vec![
                (
                    "//! `/api/invoices`: list, read, create.", // there are routes in other files too
                    format!("//! `/api/invoices`: list, read, create, added-{round}."),
                ),
                (
                    ".route(\"/\", ",
                    format!(
                        ".route(\"/added-{round}\", get(added_{round}))\n        .route(\"/\", "
                    ),
                ),
                (
                    "pub(crate) fn routes()",
                    format!(
                        "async fn added_{round}(\n    \
                             axum::extract::State(app): axum::extract::State<AppState>,\n\
                         ) -> Result<String, crate::error::AppError> {{\n    \
                             let row = app\n        .db\n        .query_one(\"SELECT count(*) FROM invoice\", &[])\n        .await?;\n    \
                             let count: i64 = shared::db::column(&row, \"count\")?;\n    \
                             Ok(format!(\"round {round}: {{count}}\"))\n\
                         }}\n\npub(crate) fn routes()"
                    ),
                ),
            ],
        },
    }
}
