//! Which function is served: the flags say it, or the only candidate is it, or the user is asked.

use cargo_metadata::Package;

use crate::{
    binary,
    console::Console,
    failure::{Failure, refuse},
    flags::InitFlags,
    functions::{self, Function},
    project::{Project, library},
    sources::Module,
};

/// A function, and the package that it is in.
pub(crate) type Candidate<'a> = (&'a Package, Function);

/// The functions that could be meant.
pub(crate) fn candidates<'a>(
    project: &'a Project,
    flags: &InitFlags,
) -> Result<Vec<Candidate<'a>>, Failure> {
    let mut found = Vec::new();
    for package in packages(project, flags)? {
        let Some(library) = library(package) else {
            continue;
        };
        let root = Module::read(library.src_path.as_std_path())?;
        let functions = functions::find(&root).into_iter();
        found.extend(functions.map(|function| (package, function)));
    }
    if let (Some(path), false) = (&flags.function, found.is_empty()) {
        let all = listed(project, &found);
        found.retain(|(package, function)| {
            called(package, function) == *path || function.path == *path
        });
        if found.is_empty() {
            return refuse(format!(
                "no public function `{path}` returns a Router; these do:{all}"
            ));
        }
    }
    Ok(found)
}

/// The packages that the flags leave.
fn packages<'a>(project: &'a Project, flags: &InitFlags) -> Result<Vec<&'a Package>, Failure> {
    let all = project.packages();
    let Some(name) = &flags.package else {
        return Ok(all.iter().collect());
    };
    match all.iter().find(|package| *package.name == *name) {
        Some(package) => Ok(vec![package]),
        None => {
            let all: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
            refuse(format!(
                "there is no package `{name}` in this workspace: it has {}",
                all.join(", ")
            ))
        }
    }
}

/// The one that is meant.
pub(crate) fn choose<'a>(
    candidates: &'a [Candidate<'a>],
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

/// Why there is no candidate, and what to do.
pub(crate) fn found_nothing(project: &Project, flags: &InitFlags) -> Result<String, Failure> {
    let packages = packages(project, flags)?;
    for package in &packages {
        if library(package).is_none()
            && let Some(steps) = binary::instructions(project, package)?
        {
            return Ok(steps);
        }
    }
    for package in &packages {
        let Some(library) = library(package) else {
            continue;
        };
        let root = Module::read(library.src_path.as_std_path())?;
        if let Some(near) = functions::nearly(&root) {
            return Ok(format!(
                "no public function of a library here returns a whole `axum::Router`. `{}` ({}:{}) comes closest: {}",
                near.name,
                project.shown(&near.file),
                near.line,
                near.lacks
            ));
        }
    }
    Ok("no library here has a public function that returns an `axum::Router`: write one, for example `pub fn router() -> axum::Router`".to_owned())
}

fn listed(project: &Project, candidates: &[Candidate<'_>]) -> String {
    let line = |(package, function): &Candidate<'_>| {
        format!(
            "\n  {} ({})",
            called(package, function),
            place(project, function)
        )
    };
    candidates.iter().map(line).collect()
}

/// The function as another crate names it.
pub(crate) fn called(package: &Package, function: &Function) -> String {
    let krate = library(package).map_or("", |library| &library.name);
    format!("{krate}::{}", function.path)
}

/// `src/lib.rs:3`
pub(crate) fn place(project: &Project, function: &Function) -> String {
    format!("{}:{}", project.shown(&function.file), function.line)
}
