//! The pages of the database tab that the server makes: tables, their rows, and a console for SQL.
//!
//! They work without a script. All that they ask goes through the one connection, with limits, and leaves nothing in its session.

mod console;
mod rows;
mod tables;

use axum::{
    Form, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, Response, StatusCode},
    response::IntoResponse,
    routing::get,
};
use maud::{Markup, html};
use shared::Db;

use super::{
    buttons::{Token, is_same_origin},
    dashboard::frame::{self, Content, Section, Tab},
    sql,
};

/// To a form of a page that an earlier host has made, which has another token: what was typed is in the answer.
const STALE: &str = "Not run: the dev server was restarted since the page was loaded. Run it now.";

/// What the pages are made of.
#[derive(Clone)]
pub(super) struct Database {
    pub(super) db: Db,
    pub(super) token: Token,
}

pub(super) fn routes(database: Database) -> Router {
    Router::new()
        .route("/__dev/database/tables", get(all))
        .route("/__dev/database/tables/{name}", get(one))
        .route("/__dev/database/sql", get(form).post(run))
        .with_state(database)
}

async fn all(State(database): State<Database>) -> Response<Body> {
    let content = match sql::found_tables(&database.db, "").await {
        Ok(tables) => {
            let counts = sql::counts(&database.db, &tables).await;
            tables::list(&tables, &counts)
        }
        Err(why) => failed(&why),
    };
    database.page(Section::Tables, "Tables", (Content::Rendered, &content))
}

async fn one(
    State(database): State<Database>,
    Path(name): Path<String>,
    Query(view): Query<rows::View>,
) -> Response<Body> {
    // Either name may have a dot in it.
    let part = name.rsplit('.').next().unwrap_or_default();
    let tables = match sql::found_tables(&database.db, part).await {
        Ok(tables) => tables,
        Err(why) => {
            let content = failed(&why);
            return database.page(Section::Tables, "Tables", (Content::Rendered, &content));
        }
    };
    let Some(table) = tables.iter().find(|table| table.full_name() == name) else {
        let why = format!("the database has no table {name}\n");
        return (StatusCode::NOT_FOUND, why).into_response();
    };
    let count = sql::counts(&database.db, std::slice::from_ref(table)).await;
    let found = rows::rows(&database.db, table, &view).await;
    let content = html! {
        (tables::one(table))
        (rows::shown(table, &view, count.first().copied().flatten(), &found))
    };
    database.page(Section::Tables, &name, (Content::Rendered, &content))
}

async fn form(State(database): State<Database>) -> Response<Body> {
    let content = console::page(&database.token, None);
    database.page(Section::Sql, "SQL", (Content::Once, &content))
}

async fn run(
    State(database): State<Database>,
    headers: HeaderMap,
    Form(mut asked): Form<console::Asked>,
) -> Response<Body> {
    // Forms send lines as DOS has them, and a literal may have several.
    asked.sql = asked.sql.replace("\r\n", "\n");
    if let Err(refused) = database.token.check(&headers, asked.token.as_deref()) {
        if !is_same_origin(&headers) {
            return refused.into_response();
        }
        let content = console::page(&database.token, Some((&asked, Err(STALE))));
        let page = database.page(Section::Sql, "SQL", (Content::Once, &content));
        return (refused.0, page).into_response();
    }
    let ran = sql::run(&database.db, &asked.sql, asked.writes).await;
    let content = console::page(&database.token, Some((&asked, Ok(&ran))));
    database.page(Section::Sql, "SQL", (Content::Once, &content))
}

fn failed(why: &str) -> Markup {
    html! { h1 { "Tables" } p.bad { (why) } }
}

impl Database {
    fn page(
        &self,
        section: Section,
        title: &str,
        (how, content): (Content, &Markup),
    ) -> Response<Body> {
        let whole = html! { (frame::sections(section)) (content) };
        frame::page(
            Tab::Database,
            (StatusCode::OK, title),
            &self.token,
            (how, &whole),
        )
    }
}
