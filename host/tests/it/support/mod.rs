//! What the tests stand on: a checkout to edit, a host to watch.

mod checkout;
mod host;

pub(crate) use checkout::Checkout;
pub(crate) use host::{Host, client, eventually};
