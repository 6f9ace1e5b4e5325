//! The production binary: `@NAME@ serve`, with DATABASE_URL in its environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    host::serve(@CRATE@::app)
}
