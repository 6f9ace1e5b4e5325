//! `hot init --check`: what keeps an app from reloading, each with its place and what to do.
//!
//! Reads sources as text: it knows neither types nor macros. What it says must change would fail under the dev server;
//! the rest behaves differently there.

mod calls;
mod facts;

use std::{path::Path, process::ExitCode};

use cargo_metadata::Package;

use crate::{
    choice::{candidates, choose, found_nothing},
    console::Console,
    failure::Failure,
    flags::InitFlags,
    functions::Function,
    project::{Project, axum_of, binaries, is_axum_current, library, needed},
    sources::Module,
};

/// Something that a user should know.
#[derive(Debug)]
pub(crate) struct Finding {
    /// `src/lib.rs:12`, as far as known.
    pub(crate) place: String,
    pub(crate) what: String,
    pub(crate) advice: &'static str,
    /// Whether the app would not run.
    pub(crate) must_change: bool,
}

/// Runs the command in the project that `folder` is in.
pub(crate) fn run(
    folder: &Path,
    flags: &InitFlags,
    console: &mut Console<'_>,
) -> Result<ExitCode, Failure> {
    let project = Project::find(folder)?;
    let candidates = candidates(&project, flags)?;
    if candidates.is_empty() {
        console.say(found_nothing(&project, flags)?)?;
        return Ok(ExitCode::FAILURE);
    }
    let (package, function) = choose(&candidates, console)?;
    let findings = findings(&project, package, function)?;
    for finding in &findings {
        console.say(finding.to_text())?;
    }
    let must = findings.iter().filter(|one| one.must_change).count();
    let may = findings.len() - must;
    console.say(match (must, may) {
        (0, 0) => "Nothing keeps this app from reloading.".to_owned(),
        (0, _) => format!("Nothing keeps this app from reloading; {may} to know."),
        _ => format!("{must} must change first; {may} to know."),
    })?;
    Ok(match must {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// What stands in the way of serving `function`, most important first.
pub(crate) fn findings(
    project: &Project,
    package: &Package,
    function: &Function,
) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    if let Some(axum) = axum_of(package).filter(|axum| !is_axum_current(axum)) {
        found.push(Finding {
            place: project.shown(package.manifest_path.as_std_path()),
            what: format!("axum {}", axum.req),
            advice: "The dev server serves routers of axum 0.8: update axum.",
            must_change: true,
        });
    }
    if let Some(library) = library(package) {
        let root = Module::read(library.src_path.as_std_path())?;
        for module in calls::reached(&root, function) {
            found.extend(facts::in_library(project, &module));
        }
        found.extend(
            root.all()
                .into_iter()
                .flat_map(|module| facts::statics(project, module)),
        );
    }
    let users = project.packages().iter().filter(|user| {
        user.name == package.name || needed(user).any(|needed| needed.name == *package.name)
    });
    for binary in users.flat_map(binaries) {
        let root = Module::read(binary.src_path.as_std_path())?;
        found.extend(facts::in_binary(project, &root));
    }
    found.sort_by_key(|finding| !finding.must_change);
    Ok(found)
}

impl Finding {
    fn to_text(&self) -> String {
        let kind = if self.must_change {
            "must change"
        } else {
            "to know"
        };
        let Self {
            place,
            what,
            advice,
            ..
        } = self;
        format!("{place}: {what} ({kind})\n  {advice}\n")
    }
}
