//! Who answers a request: the host itself under `/__dev`, the app for everything else.
//!
//! `/__dev` answers to local names only. Another site's name that resolves to this machine would otherwise let that
//! site's scripts read what is here (DNS rebinding).

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, header},
    response::IntoResponse,
};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::browser::add_script;
use crate::{
    generation::Generations,
    serve::{accept::Tether, dispatch::dispatch},
};

/// The front of the dev server.
pub(super) struct Front {
    /// The host's own routes.
    pub(super) own: Router,
    pub(super) generations: Arc<Generations>,
    /// Names that a person has allowed, beside local ones.
    pub(super) names: Vec<String>,
}

impl Front {
    /// Answers one request.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        tether: Tether,
    ) -> Response<Body> {
        let path = request.uri().path();
        if path == "/__dev" || path.starts_with("/__dev/") {
            if !self.is_local(&request) {
                return (
                    StatusCode::FORBIDDEN,
                    "/__dev answers to localhost only; allow a name with --allow-host NAME\n",
                )
                    .into_response();
            }
            return match self.own.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        }
        let (method, part) = (request.method().clone(), asks_for_part(&request));
        add_script(
            &method,
            part,
            dispatch(&self.generations, request, tether).await,
        )
        .await
    }

    fn is_local(&self, request: &Request<Incoming>) -> bool {
        // HTTP/2 has it in the URI.
        let host = request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let Some(host) = request
            .uri()
            .authority()
            .map(|authority| authority.as_str())
            .or(host)
        else {
            return false;
        };
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let local = name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        local
            || self
                .names
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

/// Asked by a script that puts the answer into a page, and not for a page.
fn asks_for_part(request: &Request<Incoming>) -> bool {
    let destination = request
        .headers()
        .get("sec-fetch-dest")
        .and_then(|value| value.to_str().ok());
    request.headers().contains_key("hx-request")
        || !matches!(destination, None | Some("document" | "iframe" | "frame"))
}
