//! `hot init --undo` leaves the project as it was.

use crate::repository::Repository;

#[test]
fn all_is_as_before() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    // What a start makes.
    shop.write("dev/Cargo.lock", "version = 4\n");
    shop.write("dev/target/hot/dev", "a binary");
    shop.write(
        ".dev/host.json",
        "{\"pid\":0,\"address\":\"127.0.0.1:3000\"}",
    );
    let ran = shop.hot_in("src", &["init", "--undo", "--yes"]);
    assert!(ran.ok, "{}", ran.text);
    assert_eq!(shop.git(&["status", "--porcelain", "--ignored"]), "");
    assert!(!shop.path(".cargo").exists());
    shop.hot(&["init", "--undo", "--yes"])
        .refused("nothing to undo");
}

#[test]
fn edits_of_the_users_stay() {
    let shop = Repository::of_one_package("shop");
    shop.write(
        ".cargo/config.toml",
        "[alias]\nt = \"test\"\n\n[net]\nretry = 3\n",
    );
    shop.write(".gitignore", "/target");
    shop.git(&["add", "--all"]);
    shop.git(&["commit", "--quiet", "--message", "Settings"]);
    shop.init(&[]);
    let ours = shop.read(".cargo/config.toml");
    assert!(
        ours.starts_with("[alias]\nt = \"test\"\n") && ours.contains("\ndev = ["),
        "{ours}"
    );
    shop.write(
        ".cargo/config.toml",
        &format!("# settings\n{ours}offline = false\n"),
    );
    shop.write(".gitignore", &(shop.read(".gitignore") + "\n*.log\n"));
    let ran = shop.hot(&["init", "--undo", "--yes"]);
    assert!(ran.ok, "{}", ran.text);
    assert_eq!(
        shop.read(".cargo/config.toml"),
        "# settings\n[alias]\nt = \"test\"\n\n[net]\nretry = 3\noffline = false\n"
    );
    assert_eq!(shop.read(".gitignore"), "/target\n*.log\n");
}

#[test]
fn files_that_it_does_not_know_are_named_and_kept() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    shop.write("dev/app/src/seed.rs", "// mine\n");
    let before = shop.status();
    shop.hot(&["init", "--undo", "--yes"])
        .refused("\n  dev/app/src/seed.rs\n");
    assert_eq!(shop.status(), before);
    assert!(shop.path("dev/Cargo.toml").exists());
}

#[test]
fn a_running_dev_server_is_not_pulled_away() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    let pid = std::process::id();
    shop.write(
        ".dev/host.json",
        &format!("{{\"pid\":{pid},\"address\":\"127.0.0.1:3000\"}}"),
    );
    shop.hot(&["init", "--undo", "--yes"])
        .refused("the dev server is running");
    assert!(shop.path("dev/Cargo.toml").exists());
}

#[test]
fn lines_that_the_user_has_changed_are_named() {
    let shop = Repository::of_one_package("shop");
    shop.init(&[]);
    let ours = shop.read(".cargo/config.toml");
    let changed = ours.replace("\"--\", \"dev\"", "\"--\", \"dev\", \"--open\"");
    assert_ne!(changed, ours);
    shop.write(".cargo/config.toml", &changed);
    let ran = shop.hot(&["init", "--undo", "--yes"]);
    assert!(ran.ok, "{}", ran.text);
    assert!(
        ran.text.contains(
            ".cargo/config.toml: `hot init` wrote these lines, which have changed since:\n[alias]\n"
        ),
        "{}",
        ran.text
    );
    assert_eq!(shop.read(".cargo/config.toml"), changed);
    assert!(!shop.path("dev").exists());
    assert_eq!(shop.read(".gitignore"), "/target\n");
}
