//! `hot init`: chooses what to serve, shows what it will write, and writes it.

use std::path::Path;

use cargo_metadata::Package;
use toml_edit::DocumentMut;

use crate::{
    check,
    choice::{called, candidates, choose, found_nothing, place},
    console::Console,
    dev::Dev,
    failure::{Failure, refuse},
    files::read,
    flags::InitFlags,
    functions::Function,
    ledger,
    plan::Plan,
    project::{Project, axum_of, is_axum_current},
    source::Source,
    theirs,
};

/// Runs the command in the project that `folder` is in.
pub(crate) fn run(
    folder: &Path,
    flags: &InitFlags,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let project = Project::find(folder)?;
    let root = project.root();
    if root.join(ledger::FILE).exists() {
        return refuse(format!(
            "{} is set up already: start it with `cargo dev`, or remove it with `hot init --undo`",
            root.display()
        ));
    }
    if root.join("dev").exists() {
        return refuse(format!(
            "{} exists, and is not the dev server's: it needs this name, so give yours another",
            root.join("dev").display()
        ));
    }
    let candidates = candidates(&project, flags)?;
    if candidates.is_empty() {
        return refuse(found_nothing(&project, flags)?);
    }
    let (package, function) = choose(&candidates, console)?;
    if let Some(axum) = axum_of(package).filter(|axum| !is_axum_current(axum)) {
        return refuse(format!(
            "`{}` uses axum {}: the dev server serves routers of axum 0.8, so update axum first",
            package.name, axum.req
        ));
    }
    let source = Source::read(&flags.source, folder)?;
    let (dev, plan) = plan(&project, package, function, source)?;

    let applies = match &dev.migrations {
        Some(folder) => format!(", and apply the migrations in {folder}/"),
        None => String::new(),
    };
    console.say(format!(
        "The dev server will serve `{}` ({}){applies}.\n",
        called(package, function),
        place(&project, function)
    ))?;
    plan.show(console)?;
    for note in notes(&dev)? {
        console.say(format!("note: {note}\n"))?;
    }
    if !console.confirm("Write?", flags.yes)? {
        return console.say("Nothing was written.");
    }
    plan.write()?;
    console.say("Written. Start it with `cargo dev`; `hot init --undo` removes it.")
}

/// What is written for this function.
pub(crate) fn plan<'a>(
    project: &'a Project,
    package: &'a Package,
    function: &'a Function,
    source: Source,
) -> Result<(Dev<'a>, Plan), Failure> {
    let root = project.root();
    let dev = Dev::new(project, package, function, source)?;
    let flags: &[&str] = match dev.has_database() {
        true => &[],
        false => &["--database", "none"],
    };
    let mut edits = vec![theirs::aliases(root, flags)?];
    edits.extend(theirs::ignored(root)?);
    edits.extend(theirs::excluded(root)?);
    let plan = Plan::new(root, dev.files()?, edits);
    Ok((dev, plan))
}

/// What to do before the first start.
fn notes(dev: &Dev<'_>) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    let findings = check::findings(dev.project, dev.package, dev.function)?;
    let must = findings.iter().filter(|finding| finding.must_change);
    let count = must.count();
    if count > 0 {
        let what = if count == 1 { "a thing" } else { "things" };
        notes.push(format!(
            "`hot init --check` names {what} in your code that must change before the dev server can run it"
        ));
    }
    if let Some(channel) = old_toolchain(dev.project.root())? {
        notes.push(format!(
            "rust-toolchain.toml asks for Rust {channel}, and the dev server needs {RUST}: raise it"
        ));
    }
    if !dev.has_database() {
        notes.push(
            "this project talks to no database, so `cargo dev` starts none: if that changes, remove `--database none` from .cargo/config.toml".to_owned(),
        );
    }
    if let Some(place) = &dev.wrapper.copied {
        notes.push(format!(
            "dev/app/src/lib.rs makes what the function takes as {place} does: read it once, and change it there if development needs something else"
        ));
    }
    let missing = &dev.wrapper.missing;
    if !missing.is_empty() {
        notes.push(format!(
            "write the value of {} in dev/app/src/lib.rs, as your production binary makes it",
            missing.join(", ")
        ));
    }
    if let Source::Path(checkout) = &dev.source {
        notes.push(format!(
            "dev/Cargo.toml names {}, which other machines do not have: give --git URL if you share it",
            checkout.display()
        ));
    }
    Ok(notes)
}

/// The oldest Rust that compiles the dev server.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

/// The channel that the project asks for, if it is an older version.
fn old_toolchain(root: &Path) -> Result<Option<String>, Failure> {
    let toml = read(&root.join("rust-toolchain.toml"))?;
    let Some(text) = toml.or(read(&root.join("rust-toolchain"))?) else {
        return Ok(None);
    };
    let channel = match text.parse::<DocumentMut>() {
        Ok(toml) => toml["toolchain"]["channel"].as_str().map(str::to_owned),
        // The old file is nothing but the channel.
        Err(_) => Some(text.trim().to_owned()),
    };
    let numbers = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    let is_old =
        |channel: &String| numbers(channel).is_some_and(|found| Some(found) < numbers(RUST));
    Ok(channel.filter(is_old))
}
