//! What `hot new` makes.

use std::{fs, path::Path};

use crate::repository::{Repository, checkout};

#[test]
fn a_project_is_complete_and_has_its_dev_server() {
    let parent = Repository::new(&[("README.md", "A folder of projects.\n")]);
    let ran = parent.hot(&["new", "note-book"]);
    assert!(ran.ok, "{}", ran.text);
    assert!(
        ran.text.ends_with("\n\n  cd note-book\n  cargo dev\n"),
        "{}",
        ran.text
    );

    let package = parent.toml("note-book/Cargo.toml");
    let host = &package["dependencies"]["host"];
    assert_eq!(host["path"].as_str(), checkout().join("host").to_str());
    assert_eq!(host["default-features"].as_bool(), Some(false));
    let test = &package["dev-dependencies"]["shared_test"];
    let crate_of_tests = checkout().join("shared/test");
    assert_eq!(test["path"].as_str(), crate_of_tests.to_str());
    assert!(
        parent
            .read("note-book/src/main.rs")
            .contains("host::serve(note_book::app)")
    );
    assert!(
        parent
            .read("note-book/README.md")
            .starts_with("# note-book\n")
    );
    assert_eq!(
        parent.read("note-book/.gitignore"),
        "/target\n/.env\n/.dev/\n/dev/target/\n"
    );

    let app = parent.toml("note-book/dev/app/Cargo.toml");
    let theirs = &app["dependencies"]["note-book"];
    assert_eq!(theirs["path"].as_str(), Some("../.."));
    assert_eq!(
        theirs["default-features"].as_bool(),
        Some(false),
        "production's server is not in it"
    );
    let wrapper = parent.read("note-book/dev/app/src/lib.rs");
    assert!(
        wrapper.contains("    Ok(note_book::app(state).await?)\n"),
        "{wrapper}"
    );
    let workspace = parent.toml("note-book/dev/Cargo.toml");
    let profile = workspace["profile"]["hot"]["package"].as_table().unwrap();
    assert!(profile.contains_key("note-book") && !profile.contains_key("shared"));
    assert!(parent.path("note-book/.cargo/config.toml").exists());

    // No placeholder is left, and nothing of it is as if in another project.
    for file in files(&parent.path("note-book")) {
        let text = fs::read_to_string(&file).unwrap();
        for placeholder in ["@NAME@", "@CRATE@", "@CONTEXT@", "@CRATES@"] {
            assert!(!text.contains(placeholder), "{}", file.display());
        }
    }
    let again = parent.hot(&["new", "note-book"]);
    assert!(
        !again.ok && again.text.contains("is not empty"),
        "{}",
        again.text
    );
    assert!(parent.hot_in("note-book", &["init", "--check"]).ok);
    let undone = parent.hot_in("note-book", &["init", "--undo", "--yes"]);
    assert!(undone.ok, "{}", undone.text);
    assert!(!parent.path("note-book/dev").exists() && !parent.path("note-book/.cargo").exists());
}

#[test]
fn an_image_is_made_of_what_is_there() {
    let parent = Repository::new(&[("README.md", "")]);
    assert!(parent.hot(&["new", "shop"]).ok);
    let dockerfile = parent.read("shop/Dockerfile");
    let mut copied = 0;
    for line in dockerfile.lines() {
        let Some(("COPY", parts)) = line.split_once(' ') else {
            continue;
        };
        copied += 1;
        let parts: Vec<&str> = parts.split(' ').collect();
        match parts[..] {
            ["--from=hot", from, to] => {
                // As cargo finds it beside what else there is.
                let place = checkout().join(if from == "Cargo.toml" { "" } else { from });
                assert_eq!(Path::new(to), place);
                assert!(checkout().join(from).exists(), "{line}");
            }
            ["--from=build", from, _] => assert!(
                from.starts_with("/etc/ssl/") || from == "/usr/local/bin/shop",
                "{line}"
            ),
            [from, _] => assert!(parent.path("shop").join(from).exists(), "{line}"),
            _ => panic!("{line}"),
        }
    }
    assert_eq!(copied, 7);
    let context = format!("--build-context hot={} ", checkout().display());
    assert!(dockerfile.contains(&context), "{dockerfile}");
    assert!(dockerfile.contains("target/release/shop") && dockerfile.contains("USER 65534"));

    // What it is built from is handed in, and what is nobody's business is not.
    let ignored = parent.read("shop/.dockerignore");
    let is_ignored = |name: &str| ignored.lines().any(|line| line == format!("/{name}"));
    for needed in ["Cargo.toml", "src", "static", "templates", "migrations"] {
        assert!(!is_ignored(needed), "{needed}");
        assert!(parent.path("shop").join(needed).exists(), "{needed}");
    }
    for private in [".env", ".git", "target", "dev"] {
        assert!(is_ignored(private), "{private}");
    }
    // The image's toolchain is the one that the file names, which would be fetched once more.
    let toolchain = parent.toml("shop/rust-toolchain.toml");
    assert_eq!(toolchain["toolchain"]["channel"].as_str(), Some("stable"));
    assert!(dockerfile.contains("FROM rust:1-") && is_ignored("rust-toolchain.toml"));

    assert!(
        parent
            .hot(&["new", "git", "--git", "https://example.org/hot"])
            .ok
    );
    let dockerfile = parent.read("git/Dockerfile");
    assert!(!dockerfile.contains("hot="), "{dockerfile}");
    assert!(!dockerfile.contains("--from=hot"), "{dockerfile}");
}

#[test]
fn a_name_that_cargo_would_refuse_makes_nothing() {
    let parent = Repository::new(&[("README.md", "")]);
    for name in ["1st", "fn", "a b", "shared", "test", "sub/né"] {
        let ran = parent.hot(&["new", name]);
        assert!(!ran.ok, "{name}: {}", ran.text);
        assert_eq!(parent.status(), "", "{name}");
    }
    fs::create_dir(parent.path("empty")).unwrap();
    assert!(
        parent
            .hot(&["new", "empty", "--git", "https://example.org/hot"])
            .ok
    );
    let host = &parent.toml("empty/Cargo.toml")["dependencies"]["host"];
    assert_eq!(host["git"].as_str(), Some("https://example.org/hot"));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let inside = |path: std::path::PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    };
    entries.flat_map(inside).collect()
}
