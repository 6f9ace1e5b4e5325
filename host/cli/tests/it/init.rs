//! What `hot init` writes.

use crate::repository::{LIBRARY, Repository, checkout, manifest};

#[test]
fn a_single_package_gets_a_workspace_of_its_own() {
    let shop = Repository::of_one_package("shop");
    let text = shop.init(&[]);
    assert!(text.contains("`shop::router` (src/lib.rs:3)"), "{text}");
    assert!(text.contains("new     dev/app/src/lib.rs"), "{text}");
    assert!(text.contains("+/.dev/"), "{text}");

    let workspace = shop.toml("dev/Cargo.toml");
    let described = &workspace["workspace"]["metadata"]["host"];
    assert_eq!(described["app"].as_str(), Some("dev_app"));
    assert_eq!(described["root"].as_str(), Some(".."));
    let host = &workspace["workspace"]["dependencies"]["host"];
    assert_eq!(host["path"].as_str(), checkout().join("host").to_str());
    let profile = &workspace["profile"]["hot"]["package"]["shop"];
    assert_eq!(profile["debug"].as_str(), Some("line-tables-only"));

    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(app["dependencies"]["shop"]["path"].as_str(), Some("../.."));
    let wrapper = shop.read("dev/app/src/lib.rs");
    assert!(wrapper.contains("shared::export_app!(app);"), "{wrapper}");
    assert!(wrapper.contains("    Ok(shop::router())\n"), "{wrapper}");

    let config = shop.toml(".cargo/config.toml");
    let dev = config["alias"]["dev"].as_array().unwrap();
    let words: Vec<&str> = dev.iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(
        words.join(" "),
        "run --manifest-path dev/Cargo.toml --profile hot --bin dev -- dev"
    );
    assert_eq!(shop.read(".gitignore"), "/target\n/.dev/\n/dev/target/\n");
    shop.resolves("dev");
    shop.write(".dev/host.json", "{}");
    shop.resolves("");
}

#[test]
fn nothing_is_written_unless_somebody_agrees() {
    let shop = Repository::of_one_package("shop");
    let ran = shop.hot(&["init"]);
    assert!(!ran.ok && ran.text.contains("add --yes"), "{}", ran.text);
    assert_eq!(shop.status(), "");
}

#[test]
fn a_second_init_says_how_to_start_or_remove_it() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    let ran = shop.hot_in("dev/app", &["init", "--yes"]);
    assert!(
        !ran.ok && ran.text.contains("is set up already"),
        "{}",
        ran.text
    );
}

#[test]
fn a_dev_folder_of_the_users_is_left_alone() {
    let shop = Repository::new(&[
        ("Cargo.toml", &manifest("shop")),
        ("src/lib.rs", LIBRARY),
        ("dev/notes.txt", "mine\n"),
    ]);
    let ran = shop.hot(&["init", "--yes"]);
    assert!(
        !ran.ok && ran.text.contains("is not the dev server's"),
        "{}",
        ran.text
    );
    assert_eq!(shop.status(), "");
}

#[test]
fn a_workspace_whose_members_are_globs_leaves_dev_out() {
    let package = |name: &str, more: &str| manifest(name) + more;
    let shop = Repository::new(&[
        (
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"*\"] # all of it\nexclude = [\".git\", \"target\"]\n",
        ),
        ("domain/Cargo.toml", &package("domain", "")),
        ("domain/src/lib.rs", ""),
        (
            "api/Cargo.toml",
            &package("api", "domain = { path = \"../domain\" }\n"),
        ),
        (
            "api/src/lib.rs",
            &LIBRARY
                .replace("router() ->", "router(pool: PgPool) -> ")
                .replace("use axum", "use sqlx::PgPool;\nuse axum"),
        ),
        (
            "server/Cargo.toml",
            &package("server", "api = { path = \"../api\" }\n"),
        ),
        ("server/src/main.rs", "fn main() {}\n"),
    ]);
    let ran = shop.hot_in("server", &["init", "--yes"]);
    assert!(ran.ok, "{}", ran.text);
    assert!(
        shop.read("Cargo.toml")
            .contains("members = [\"*\"] # all of it\nexclude = [\".git\", \"target\", \"dev\", \".dev\", \".cargo\"]\n")
    );
    let workspace = shop.toml("dev/Cargo.toml");
    let profile = workspace["profile"]["hot"]["package"].as_table().unwrap();
    assert!(profile.contains_key("api") && profile.contains_key("domain"));
    assert!(!profile.contains_key("server"), "it is not part of the app");
    let app = shop.toml("dev/app/Cargo.toml");
    assert_eq!(
        app["dependencies"]["api"]["path"].as_str(),
        Some("../../api")
    );
    shop.resolves("dev");
    shop.write(".dev/host.json", "{}");
    shop.resolves("");
}
