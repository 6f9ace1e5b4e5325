//! The dev server, started by `cargo dev`. It stays while `dev/app` is rebuilt and swapped under it.

use std::process::ExitCode;

// Links the dylib that the app links too. Without this line the binary would have its own copy of everything in it.
use shared_dylib as _;

fn main() -> ExitCode {
    host::main()
}
