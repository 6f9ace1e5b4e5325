//! `/`: the notes as a page, from `templates/index.html`. Works without JavaScript.

use std::sync::LazyLock;

use axum::{
    Form, Router,
    extract::State,
    response::{Html, Redirect},
    routing::{get, post},
};
use minijinja::{Environment, Value, context, value::Serde};
use shared::Db;

use crate::{
    error::AppError,
    files::Templates,
    notes::{self, NewNote},
};

pub(crate) fn routes() -> Router<Db> {
    Router::new()
        .route("/", get(show))
        .route("/notes", post(create))
}

async fn show(State(db): State<Db>) -> Result<Html<String>, AppError> {
    let notes = notes::all(&db).await?;
    render("index.html", context! { notes => Serde(notes) })
}

async fn create(State(db): State<Db>, Form(new): Form<NewNote>) -> Result<Redirect, AppError> {
    notes::add(&db, new).await?;
    Ok(Redirect::to("/"))
}

/// Values are escaped, since the name ends in `.html`.
fn render(name: &str, values: Value) -> Result<Html<String>, AppError> {
    /// Parsed once in production. In development a template is read for each request, and so its edits are seen.
    static PARSED: LazyLock<Environment<'static>> = LazyLock::new(templates);
    let page = match cfg!(debug_assertions) {
        true => templates().get_template(name)?.render(values),
        false => PARSED.get_template(name)?.render(values),
    };
    Ok(Html(page?))
}

fn templates() -> Environment<'static> {
    let mut templates = Environment::new();
    templates.set_loader(|name| {
        let file = Templates::get(name);
        Ok(file.map(|file| String::from_utf8_lossy(&file.data).into_owned()))
    });
    templates
}
