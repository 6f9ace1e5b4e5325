//! `hot init`: chooses what to serve, shows what it will write, and writes it.

use std::path::Path;

use cargo_metadata::Package;

use crate::{
    cli::InitFlags,
    console::Console,
    dev::Dev,
    failure::{Failure, refuse},
    functions::{self, Function},
    ledger,
    plan::Plan,
    project::{Project, axum_of, is_axum_current, library},
    source::Source,
    sources::Module,
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
    let (package, function) = choose(&candidates, console)?;
    if let Some(axum) = axum_of(package).filter(|axum| !is_axum_current(axum)) {
        return refuse(format!(
            "`{}` uses axum {}: the dev server serves routers of axum 0.8, so update axum first",
            package.name, axum.req
        ));
    }
    let source = Source::read(&flags.source, folder)?;
    let dev = Dev::new(&project, package, function, source)?;

    let mut edits = vec![theirs::aliases(root)?];
    edits.extend(theirs::ignored(root)?);
    edits.extend(theirs::excluded(root)?);
    let plan = Plan::new(root, dev.files()?, edits);

    console.say(format!(
        "The dev server will serve `{}` ({}).\n",
        called(package, function),
        place(&project, function)
    ))?;
    plan.show(console)?;
    for note in notes(&dev) {
        console.say(format!("note: {note}\n"))?;
    }
    if !console.confirm("Write?", flags.yes)? {
        return console.say("Nothing was written.");
    }
    plan.write()?;
    console.say("Written. Start it with `cargo dev`; `hot init --undo` removes it.")
}

/// What to do before the first start.
fn notes(dev: &Dev<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let missing = dev.missing();
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
    notes
}

/// The functions that could be meant, with their packages.
fn candidates<'a>(
    project: &'a Project,
    flags: &InitFlags,
) -> Result<Vec<(&'a Package, Function)>, Failure> {
    let packages = project.packages().iter();
    let named: Vec<&Package> = packages
        .filter(|package| {
            flags
                .package
                .as_ref()
                .is_none_or(|name| *package.name == *name)
        })
        .collect();
    if let (Some(name), true) = (&flags.package, named.is_empty()) {
        let all: Vec<&str> = project
            .packages()
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        return refuse(format!(
            "there is no package `{name}` in this workspace: it has {}",
            all.join(", ")
        ));
    }
    let mut found = Vec::new();
    for package in &named {
        let Some(library) = library(package) else {
            continue;
        };
        let root = Module::read(library.src_path.as_std_path())?;
        let functions = functions::find(&root).into_iter();
        found.extend(functions.map(|function| (*package, function)));
    }
    if found.is_empty() {
        return refuse("no library here has a public function that returns an axum Router");
    }
    if let Some(path) = &flags.function {
        let wanted = |(package, function): &(&Package, Function)| {
            called(package, function) == *path || function.path == *path
        };
        let all = listed(project, &found);
        found.retain(wanted);
        if found.is_empty() {
            return refuse(format!(
                "no public function `{path}` returns a Router; these do:{all}"
            ));
        }
    }
    Ok(found)
}

fn choose<'a>(
    candidates: &'a [(&'a Package, Function)],
    console: &mut Console<'_>,
) -> Result<(&'a Package, &'a Function), Failure> {
    let index = match candidates {
        [_] => 0,
        _ if console.can_ask() => {
            let names: Vec<String> = candidates
                .iter()
                .map(|(package, function)| called(package, function))
                .collect();
            console.say("These functions return a Router:\n")?;
            console.choose("Which one is the whole app?", &names)?
        }
        _ => {
            let all: String = candidates
                .iter()
                .map(|(package, function)| {
                    format!(
                        "\n  --package {} --function {}",
                        package.name,
                        called(package, function)
                    )
                })
                .collect();
            return refuse(format!(
                "several functions return a Router; say which one is the whole app:{all}"
            ));
        }
    };
    let (package, function) = &candidates[index];
    Ok((package, function))
}

fn listed(project: &Project, candidates: &[(&Package, Function)]) -> String {
    let line = |(package, function): &(&Package, Function)| {
        format!(
            "\n  {} ({})",
            called(package, function),
            place(project, function)
        )
    };
    candidates.iter().map(line).collect()
}

/// The function as another crate names it.
fn called(package: &Package, function: &Function) -> String {
    let krate = library(package).map_or("", |library| &library.name);
    format!("{krate}::{}", function.path)
}

fn place(project: &Project, function: &Function) -> String {
    format!("{}:{}", project.shown(&function.file), function.line)
}
