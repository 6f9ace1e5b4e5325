//! Sets the rpath of the dev binary, so that it finds `libshared_dylib.so` and the toolchain's `libstd` without cargo.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Production links everything statically.
    if env::var_os("CARGO_FEATURE_DEV").is_none() {
        return;
    }
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let printed = Command::new(rustc)
        .args(["--print", "target-libdir"])
        .output()
        .expect("cargo has just run this rustc");
    let libraries = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    for place in ["$ORIGIN", "$ORIGIN/deps"]
        .map(PathBuf::from)
        .into_iter()
        .chain([libraries])
    {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{}", place.display());
    }
}
