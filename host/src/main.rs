//! The binary. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "bundled-app")]
    return host::serve(app_lib::app_entry);
    #[cfg(not(feature = "bundled-app"))]
    host::main()
}
