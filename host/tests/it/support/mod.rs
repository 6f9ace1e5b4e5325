//! What the tests stand on: a checkout to edit, a host to watch, a browser to look through.

mod checkout;
mod chromium;
mod host;

pub(crate) use checkout::Checkout;
pub(crate) use chromium::Chromium;
pub(crate) use host::{Host, client, eventually};
