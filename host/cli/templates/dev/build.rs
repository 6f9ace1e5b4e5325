//! Sets the rpath of the dev server, so that it finds `libshared_dylib.so` and the toolchain's `libstd` without cargo.

use std::{env, path::PathBuf, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC for build scripts");
    let printed = Command::new(rustc)
        .args(["--print", "target-libdir"])
        .output()
        .expect("cargo has just run this rustc");
    let libraries = PathBuf::from(String::from_utf8_lossy(&printed.stdout).trim());
    let beside = ["$ORIGIN", "$ORIGIN/deps"].map(PathBuf::from);
    for place in beside.into_iter().chain([libraries]) {
        println!("cargo::rustc-link-arg-bins=-Wl,-rpath,{}", place.display());
    }
}
