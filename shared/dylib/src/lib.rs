//! One dynamic library with `shared` and everything below it: tokio, axum, tokio-postgres, std.
//!
//! Host and app both link it (`use shared_dylib as _;`), so the process holds ONE copy of every static, thread-local
//! and type id. With a copy each, the app's timers would find no reactor and its panics would abort the host.

pub use shared;
