//! `hot new`: writes a project that reloads, with a page, a JSON API, a table, tests, and the dev server as `hot init`
//! sets it up.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use toml_edit::{Array, DocumentMut, value};

use crate::{
    choice::{candidates, choose},
    console::Console,
    dev::{OURS, TEST},
    failure::{Failure, refuse},
    files::write,
    flags::InitFlags,
    init,
    project::Project,
    source::{Source, SourceFlags},
};

/// The flags of `hot new`.
#[derive(Args)]
pub(crate) struct NewFlags {
    /// The folder to make; its last part names the package
    name: PathBuf,
    #[command(flatten)]
    source: SourceFlags,
}

macro_rules! templates {
    ($($file:literal: $template:literal),* $(,)?) => {
        [$(($file, include_str!(concat!("../templates/new/", $template)))),*]
    };
}

/// The files but the manifest, with the templates that they are made of.
const FILES: [(&str, &str); 18] = templates![
    "src/lib.rs": "src/lib.rs",
    "src/main.rs": "src/main.rs",
    "src/notes.rs": "src/notes.rs",
    "src/page.rs": "src/page.rs",
    "src/files.rs": "src/files.rs",
    "src/error.rs": "src/error.rs",
    "src/tests.rs": "src/tests.rs",
    "templates/index.html": "templates/index.html",
    "static/style.css": "static/style.css",
    "migrations/V1__create_note.sql": "migrations/V1__create_note.sql",
    ".env.example": "env.example",
    ".gitignore": "gitignore",
    ".github/workflows/ci.yml": "ci.yml",
    "rust-toolchain.toml": "rust-toolchain.toml",
    "justfile": "justfile",
    "README.md": "README.md",
    "Dockerfile": "Dockerfile",
    ".dockerignore": "dockerignore",
];

/// What cargo reads of our checkout to build `host` and `shared`.
const IN_AN_IMAGE: [&str; 4] = ["Cargo.toml", "app_lib", "host", "shared"];

/// Runs the command in `folder`.
pub(crate) fn run(
    folder: &Path,
    flags: &NewFlags,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let root = folder.join(&flags.name);
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    check_name(&name)?;
    let is_new = !root.exists();
    if !is_new {
        check_empty(&root)?;
    }
    let source = Source::read(&flags.source, folder)?;
    let written = write_project(&root, &name, &source)
        .and_then(|()| set_up(&root, &flags.source, folder, console));
    if written.is_err() && is_new {
        // The failure that led here is the one to report.
        drop(fs::remove_dir_all(&root));
    }
    written?;
    console.say(format!(
        "Made {}. Start it:\n\n  cd {}\n  cargo dev",
        root.display(),
        flags.name.display()
    ))
}

fn write_project(root: &Path, name: &str, source: &Source) -> Result<(), Failure> {
    let krate = name.replace('-', "_");
    let (context, crates) = in_an_image(source);
    let filled = |template: &str| {
        template
            .replace("@NAME@", name)
            .replace("@CRATE@", &krate)
            .replace("@CONTEXT@", &context)
            .replace("@CRATES@", &crates)
    };
    write(
        &root.join("Cargo.toml"),
        &manifest(
            &filled(include_str!("../templates/new/package.toml")),
            source,
        ),
    )?;
    for (file, template) in FILES {
        write(&root.join(file), &filled(template))?;
    }
    Ok(())
}

/// What a Dockerfile says of our crates: the flag that hands a checkout in, and the lines that put it where the manifest
/// has it. Nothing for a repository, from which cargo takes them itself.
fn in_an_image(source: &Source) -> (String, String) {
    let Source::Path(checkout) = source else {
        return Default::default();
    };
    let checkout = checkout.display();
    let copied = IN_AN_IMAGE.map(|part| match part {
        "Cargo.toml" => format!("COPY --from=hot {part} {checkout}/\n"),
        folder => format!("COPY --from=hot {folder} {checkout}/{folder}\n"),
    });
    (
        format!("--build-context hot={checkout} "),
        format!(
            "# The checkout in which Cargo.toml has `host` and `shared`.\n{}",
            copied.concat()
        ),
    )
}

/// The package's manifest with our crates in it.
fn manifest(template: &str, source: &Source) -> String {
    let mut manifest: DocumentMut = template.parse().expect("the template is TOML");
    for (name, folder) in OURS {
        let mut dependency = source.dependency(folder);
        match name {
            "host" => {
                dependency.insert("default-features", false.into());
                dependency.insert("features", Array::from_iter(["production"]).into());
                dependency.insert("optional", true.into());
            }
            "shared" => {}
            _ => continue,
        }
        manifest["dependencies"][name] = value(dependency);
    }
    manifest["dev-dependencies"][TEST.0] = value(source.dependency(TEST.1));
    for table in ["dependencies", "dev-dependencies"] {
        if let Some(dependencies) = manifest[table].as_table_mut() {
            dependencies.sort_values();
        }
    }
    manifest.to_string()
}

/// What `hot init` does in it.
fn set_up(
    root: &Path,
    source: &SourceFlags,
    folder: &Path,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let project = Project::find(root)?;
    let flags = InitFlags::default();
    let candidates = candidates(&project, &flags)?;
    let (package, function) = choose(&candidates, console)?;
    let source = Source::read(source, folder)?;
    init::plan(&project, package, function, source)?.1.write()
}

fn check_empty(root: &Path) -> Result<(), Failure> {
    let mut entries = fs::read_dir(root).map_err(Failure::file(root))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => refuse(format!(
            "{} is not empty: name a new folder, or use `hot init` in a project that exists",
            root.display()
        )),
    }
}

/// What cargo takes as the name of a package, and Rust as that of a crate.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let is_name = plain && syn::parse_str::<syn::Ident>(&name.replace('-', "_")).is_ok();
    let is_taken =
        ["test", "core", "std", "alloc", "proc_macro"].contains(&name) || crate::dev::is_ours(name);
    match (is_name, is_taken) {
        (true, false) => Ok(()),
        (true, true) => refuse(format!(
            "`{name}` is the name of another crate that the project needs: choose one of its own"
        )),
        (false, _) => refuse(format!(
            "`{name}` cannot name a package: use letters, digits, - and _, and begin with a letter"
        )),
    }
}
