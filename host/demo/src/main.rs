//! Plays the demo in the current workspace. Exits with 1 if an act does not do what it claims.

use std::{env, process::ExitCode};

use clap::Parser;
use host_demo::{BoxError, Options};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<bool, BoxError> {
    let here = env::current_dir()?;
    let root = here
        .ancestors()
        .find(|folder| folder.join("host/demo/Cargo.toml").is_file())
        .ok_or("not inside the dev server's workspace: run `just demo` there")?;
    host_demo::run(root, options)
}
