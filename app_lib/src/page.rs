//! `/`: the counters as a page, rendered here and escaped by maud. The forms work without JavaScript.

use axum::{
    Form,
    extract::{State, rejection::FormRejection},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use shared::{
    AppState,
    routing::{Router, get, post},
};

use crate::{counters, error::AppError, extract::Path, increments};

pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(show))
        .route("/counters", post(create))
        .route("/counters/{id}/increments", post(increment))
}

async fn show(State(app): State<AppState>) -> Result<Html<String>, PageError> {
    let counters = counters::all(&app.db).await?;
    Ok(layout(html! {
        h1 { "Counters" }
        @if counters.is_empty() { p { "None yet." } }
        @for counter in &counters {
            form method="post" action={ "/counters/" (counter.id) "/increments" } {
                strong { (counter.count) } " " (counter.name) " "
                button name="amount" value="1" aria-label={ "Add one to " (counter.name) } { "+1" }
                button name="amount" value="-1" aria-label={ "Take one from " (counter.name) } { "−1" }
            }
        }
        form method="post" action="/counters" {
            label { "New counter " input name="name" required maxlength="100"; }
            button { "Create" }
        }
        p { small { "generation " (app.generation) } }
    }))
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

fn layout(content: Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Counters" }
                link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M3 8h10M8 3v10' stroke='%233b82c4' stroke-width='3'/%3E%3C/svg%3E";
                style { "body { font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; overflow-wrap: anywhere } input { max-width: 100%; box-sizing: border-box } form { margin: .5rem 0 } button { margin-left: .25rem }" }
            }
            body { main { (content) } }
        }
    };
    Html(page.into_string())
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
        // In development the host replaces it with a page that explains what failed, where, and why.
        if cfg!(feature = "hot") && status.is_server_error() {
            return (status, message).into_response();
        }
        let page = layout(html! {
            h1 { "That did not work" }
            p { (message) }
            p { a href="/" { "Back to the counters" } }
        });
        (status, page).into_response()
    }
}
