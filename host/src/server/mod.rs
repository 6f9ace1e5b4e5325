//! The path of a request, from the socket to the app and back. Read the modules from top to bottom.
//!
//! Between `listen` and `gateway` is the crate `host_accept`: connections, HTTP/1.1, HTTP/2, upgrades and graceful
//! shutdown. Nothing here depends on how generations come about: a request takes a lease from
//! [`generation`](crate::generation) and runs there. What the host answers itself comes from [`Pages`].

// The listening socket.
pub(crate) mod listen;

// Who answers: the host or the app.
#[cfg(feature = "dev")]
mod gateway;

// Waits for a build or a migration.
#[cfg(feature = "dev")]
mod hold;

// Runs the request in a generation.
#[cfg(feature = "dev")]
mod dispatch;

// Brings the response body back.
#[cfg(feature = "dev")]
mod body;

// What the host answers in the app's place.
#[cfg(feature = "dev")]
mod fallback;

// Puts the script into the app's pages.
#[cfg(feature = "dev")]
mod inject;

// Sends them to a collector.
#[cfg(all(feature = "dev", feature = "otlp"))]
mod exported;

// Remembers the last requests.
#[cfg(feature = "dev")]
mod requests;

// The beginning of their bodies, what stands out in what they did, and where their time went.
#[cfg(feature = "dev")]
mod excerpt;
#[cfg(feature = "dev")]
mod findings;
#[cfg(feature = "dev")]
mod timing;

// What the client asks for.
#[cfg(feature = "dev")]
mod request_info;

// What is shown of it.
#[cfg(feature = "dev")]
mod masks;

#[cfg(feature = "dev")]
pub(crate) use self::{
    excerpt::Excerpt,
    fallback::{Instead, Pages},
    findings::{Parameters, SLOW_STATEMENT, is_planned, repeated},
    gateway::Gateway,
    inject::{Unreloadable, UnreloadablePages},
    masks::{masked, masked_body, masked_query},
    request_info::{RequestInfo, Wants, is_local_name},
    requests::{Answered, Requests, ServedRequest},
    timing::{counted, ms, request_number},
};
