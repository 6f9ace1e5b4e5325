//! What the app has answered.

use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde::de::DeserializeOwned;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Its status. Compares with a number: `assert_eq!(answer.status(), 201)`.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header as text. Empty: there is none, or it is no text.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    /// It is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body)
            .unwrap_or_else(|error| panic!("the body is not text: {error}"))
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none, or not of this type. The message has the answer.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let body = String::from_utf8_lossy(&self.body);
            panic!(
                "the body is not the JSON that the test expects: {error}\n{} {body}",
                self.status
            )
        })
    }
}
