//! `/`: the counters as a page, from `templates/`, where each value is escaped. The forms work without JavaScript.

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use minijinja::{HtmlEscape, context, value::Serde};
use serde::Deserialize;
use shared::{
    AppState,
    routing::{Router, get, post},
};

use crate::{counters, error::AppError, extract::Path, files::render, increments, schema::Counter};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(show))
        .route("/counters", post(create))
        .route("/counters/{id}/increments", post(increment))
}

async fn show(State(app): State<AppState>) -> Result<Html<String>, PageError> {
    let counters = counters::all(&app.db).await?;
    Ok(index(counters, app.generation)?)
}

fn index(counters: Vec<Counter>, generation: u64) -> Result<Html<String>, minijinja::Error> {
    let counters = Serde(counters);
    render(
        "index.html",
        context! { heading => "Counters", counters, generation },
    )
}

#[derive(Deserialize)]
struct CreateForm {
    name: String,
}

async fn create(
    State(app): State<AppState>,
    form: Result<Form<CreateForm>, FormRejection>,
) -> Result<Redirect, PageError> {
    let Form(new) = form?;
    counters::insert(&app.db, counters::NewCounter::named(new.name)).await?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct IncrementForm {
    amount: i32,
}

async fn increment(
    State(app): State<AppState>,
    Path(id): Path<i64>,
    form: Result<Form<IncrementForm>, FormRejection>,
) -> Result<Redirect, PageError> {
    let Form(new) = form?;
    increments::add(&app.db, id, new.amount).await?;
    Ok(Redirect::to("/"))
}

/// An [`AppError`] as a page, for a user who sent a form.
struct PageError(AppError);

impl<E: Into<AppError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl From<FormRejection> for AppError {
    fn from(rejection: FormRejection) -> Self {
        Self::Refused {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid",
            message: rejection.body_text(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (status, _, message) = self.0.answer();
        if let AppError::Template(_) = self.0 {
            // Without a template, and a page all the same: in development it reloads once the template is right.
            let message = HtmlEscape(&message);
            let head = "<link rel=\"icon\" href=\"data:,\">\n<title>That did not work</title>";
            let page = format!("<!doctype html>\n{head}\n<pre>{message}</pre>\n");
            return (status, Html(page)).into_response();
        }
        // In development the host replaces it with a page that explains what failed, where, and why.
        if cfg!(feature = "hot") && status.is_server_error() {
            return (status, message).into_response();
        }
        let values = context! { heading => "That did not work", message };
        match render("failed.html", values) {
            Ok(page) => (status, page).into_response(),
            Err(error) => Self::from(error).into_response(),
        }
    }
}
