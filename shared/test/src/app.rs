//! An app under test, and the requests to it.

use std::{env, ffi::OsString, future::IntoFuture, pin::Pin, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderName, Method, Request, header::CONTENT_TYPE, request::Builder},
};
use serde::Serialize;
use shared::{
    AppState, BoxError, Db, PoolOwner,
    env::{Env, Variables},
    keep::Kept,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{database::TestDatabase, response::Response};

/// An app, ready to be asked. Its streams and tasks are told to end when it is dropped.
pub struct TestApp {
    router: Router,
    state: Option<AppState>,
    shutdown: CancellationToken,
    database: Option<TestDatabase>,
}

impl TestApp {
    /// The app that this function makes, on a database of its own, with the variables of this process, without those of
    /// `.env`, and with `APP_ENV=test`.
    ///
    /// # Panics
    /// The database cannot be made, a setting is wrong, or the app fails.
    pub async fn new<F, Fut, R>(app: F) -> Self
    where
        F: FnOnce(AppState) -> Fut,
        Fut: Future<Output = Result<R, BoxError>>,
        R: Into<Router>,
    {
        let database = TestDatabase::new().await;
        let shutdown = CancellationToken::new();
        let state = state(&database, shutdown.clone());
        let router = app(state.clone()).await;
        let router = router.unwrap_or_else(|error| panic!("app() failed: {error}"));
        Self {
            router: router.into(),
            state: Some(state),
            shutdown,
            database: Some(database),
        }
    }

    /// A router that the test has made itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use axum::{Router, routing::get};
    /// use shared_test::TestApp;
    ///
    /// let app = TestApp::of(Router::new().route("/", get(async || "hello")));
    /// assert_eq!(app.get("/").await.text(), "hello");
    /// # }
    /// ```
    pub fn of(router: impl Into<Router>) -> Self {
        Self {
            router: router.into(),
            state: None,
            shutdown: CancellationToken::new(),
            database: None,
        }
    }

    /// The app's own connection, to arrange and to look up.
    ///
    /// # Panics
    /// The app was made by [`of`](Self::of), and has none.
    #[must_use]
    #[track_caller]
    pub fn db(&self) -> &Db {
        let state = self.state.as_ref();
        &state
            .expect("TestApp::new gives an app a database, and TestApp::of does not")
            .db
    }

    /// Asks for a page.
    pub fn get(&self, path: &str) -> Call {
        self.request(Method::GET, path)
    }

    /// Sends something: [`Call::json`] and [`Call::form`] say what.
    pub fn post(&self, path: &str) -> Call {
        self.request(Method::POST, path)
    }

    /// Replaces something.
    pub fn put(&self, path: &str) -> Call {
        self.request(Method::PUT, path)
    }

    /// Changes something.
    pub fn patch(&self, path: &str) -> Call {
        self.request(Method::PATCH, path)
    }

    /// Removes something.
    pub fn delete(&self, path: &str) -> Call {
        self.request(Method::DELETE, path)
    }

    /// A request of any kind. `path` may have a query.
    pub fn request(&self, method: Method, path: &str) -> Call {
        Call {
            router: self.router.clone(),
            head: Request::builder().method(method).uri(path),
            body: Body::empty(),
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.cancel();
        // Its connections first: they are the app's, and the database cannot be dropped while it has some.
        (self.router, self.state) = (Router::new(), None);
        self.database = None;
    }
}

/// A request that is sent when it is awaited.
#[must_use = "a request is sent when it is awaited"]
pub struct Call {
    router: Router,
    head: Builder,
    body: Body,
}

impl Call {
    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.head = self.head.header(name, value);
        self
    }

    /// Sends a value as JSON.
    ///
    /// # Panics
    /// The value has no form in JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_json::to_vec(value);
        let body = body.unwrap_or_else(|error| panic!("the body cannot be sent as JSON: {error}"));
        self.header(CONTENT_TYPE, "application/json").body(body)
    }

    /// Sends fields as a form does: `&[("name", "milk")]`, or a struct.
    ///
    /// # Panics
    /// The value is no list of fields.
    pub fn form(self, fields: &(impl Serialize + ?Sized)) -> Self {
        let body = serde_urlencoded::to_string(fields);
        let body =
            body.unwrap_or_else(|error| panic!("the body cannot be sent as a form: {error}"));
        self.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Sends these bytes.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
}

impl IntoFuture for Call {
    type Output = Response;
    type IntoFuture = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let request = self.head.body(self.body);
            let request =
                request.unwrap_or_else(|error| panic!("this is not a valid request: {error}"));
            let answer = match self.router.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let (head, body) = answer.into_parts();
            let body = to_bytes(body, usize::MAX).await;
            let body = body.unwrap_or_else(|error| panic!("the body has failed: {error}"));
            Response {
                status: head.status,
                headers: head.headers,
                body: body.to_vec(),
            }
        })
    }
}

/// What the host would hand to the app.
fn state(database: &TestDatabase, shutdown: CancellationToken) -> AppState {
    let url = database.parsed();
    let text = |value: OsString| value.into_string().ok();
    let environment = env::vars_os().filter_map(|(name, value)| text(name).zip(text(value)));
    let of_the_test = [("APP_ENV", "test"), ("DATABASE_URL", database.url())];
    let variables = Variables::default()
        .with("the environment", environment)
        .with(
            "the test",
            of_the_test.map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
    let env = Env::read(&variables).unwrap_or_else(|faults| panic!("{faults}"));
    let db_config = env.db_config(url, format!("test:{}", std::process::id()));
    AppState {
        db: Db::new(&db_config),
        generation: 1,
        shutdown,
        env: Arc::new(env),
        kept: Kept::default(),
        pool_owner: PoolOwner::Host,
        db_config,
    }
}
