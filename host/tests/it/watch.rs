//! Saves in places that are not plain files of the app.

use std::{fs, os::unix::fs::symlink, path::Path};

use nix::sys::signal::Signal;

use crate::support::{Checkout, Host, REPLAYS, eventually};

fn says(text: &str) -> String {
    format!("pub(crate) const SAYS: &str = {text:?};")
}

impl Host {
    async fn until_it_says(&self, text: &str) {
        eventually(text, async || {
            (self.text("/say").await == text).then_some(())
        })
        .await;
    }

    async fn until_phase(&self, phase: &str) {
        self.until(phase, |status| status.phase() == phase).await;
    }
}

#[tokio::test]
async fn a_crate_that_the_app_depends_on_is_watched_from_the_moment_it_is_named() {
    let checkout = Checkout::new();
    checkout.add_lab(r#"Router::new().route("/say", get(async || "none"))"#);
    let host = Host::start_in(checkout, &[REPLAYS]).await;
    let checkout = &host.checkout;
    // Named, and not there yet; then there, and faulty.
    checkout.edit(
        "app_lib/Cargo.toml",
        "[dependencies]",
        "[dependencies]\nwords = { path = \"../crates/words\" }",
    );
    host.until_phase("build_failed").await;
    let write = |file: &str, text: &str| {
        let path = checkout.path("crates/words").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("src/lib.rs", "pub fn word() -> &'static str { one }");
    write(
        "Cargo.toml",
        "[package]\nname = \"words\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [dependencies]\nlog = \"0.4\"\nrustls = { version = \"0.23\", default-features = false, features = [\"ring\"] }\n\
         tracing-subscriber = \"0.3\"\n",
    );
    let word = |before: &str| {
        let routes = format!(
            r#"words::set_up(); Router::new().route("/say", get(async || [{before:?}, words::word()].concat()))"#
        );
        checkout.write_lab(&routes);
    };
    word("");
    host.until("rustc to look into it", |status| {
        let told = status.0["build"]["diagnostics"].to_string();
        status.phase() == "build_failed" && told.contains("crates/words/src/lib.rs")
    })
    .await;
    // What is set once per process, it sets in each generation.
    let sets_up = r#"
        struct Silent;
        impl log::Log for Silent {
            fn enabled(&self, _: &log::Metadata) -> bool { false }
            fn log(&self, _: &log::Record) {}
            fn flush(&self) {}
        }
        pub fn set_up() {
            tracing_subscriber::fmt().init();
            log::set_logger(&Silent).unwrap();
            log::set_boxed_logger(Box::new(Silent)).unwrap();
            rustls::crypto::ring::default_provider().install_default().unwrap();
        }"#;
    let words = |word: &str| format!("pub fn word() -> &'static str {{ {word:?} }}{sets_up}");
    write("src/lib.rs", &words("one"));
    host.until_it_says("one").await;
    // The lock file has changed, but nothing that the host is built from.
    word("a ");
    host.until_it_says("a one").await;
    let first = host
        .until("rustc alone", |status| status.0["replays"] == true)
        .await;
    assert_eq!(first.number("/restarts"), 0);

    word("number ");
    host.until_it_says("number one").await;
    assert_eq!(host.status().await.0["last_reload"]["compiler"], "rustc");
    write("src/lib.rs", &words("two"));
    host.until_it_says("number two").await;
    let last = host.status().await;
    assert_eq!(last.0["last_reload"]["compiler"], "rustc");
    assert_eq!(
        last.0["last_reload"]["files"],
        serde_json::json!(["crates/words/src/lib.rs"])
    );
    // A save of the app alone reads the crate as it is now.
    word("word ");
    host.until_it_says("word two").await;
    let last = host.status().await;
    assert_eq!(last.number("/restarts"), 0, "reloads, and no restart");
}

#[tokio::test]
async fn what_a_link_leads_to_is_watched() {
    let elsewhere = tempfile::tempdir().unwrap();
    let there = |name: &str| elsewhere.path().join(name);
    let checkout = Checkout::new();
    checkout.add_lab(
        r##"#[path = "linked.rs"] mod linked; #[path = "folder/inner.rs"] mod inner;
        Router::new().route("/say", get(async || [linked::SAYS, inner::SAYS].concat()))"##,
    );
    fs::create_dir(there("folder")).unwrap();
    fs::write(there("linked.rs"), says("a")).unwrap();
    fs::write(there("folder/inner.rs"), says("b")).unwrap();
    symlink(there("linked.rs"), checkout.path("app_lib/src/linked.rs")).unwrap();
    symlink(there("folder"), checkout.path("app_lib/src/folder")).unwrap();
    let host = Host::start_in(checkout, &[REPLAYS]).await;
    host.until_it_says("ab").await;
    host.until("rustc alone", |status| status.0["replays"] == true)
        .await;

    fs::write(there("linked.rs"), says("A")).unwrap();
    host.until_it_says("Ab").await;
    let last = &host.status().await.0["last_reload"];
    assert_eq!(
        (&last["compiler"], &last["files"]),
        (
            &"rustc".into(),
            &serde_json::json!(["app_lib/src/linked.rs"])
        )
    );
    // As editors save: another file takes its name.
    fs::write(there("folder/new"), says("B")).unwrap();
    fs::rename(there("folder/new"), there("folder/inner.rs")).unwrap();
    host.until_it_says("AB").await;

    // A link that is made later, in the place of another.
    fs::write(there("other.rs"), says("c")).unwrap();
    symlink(there("other.rs"), host.checkout.path("next")).unwrap();
    fs::rename(
        host.checkout.path("next"),
        host.checkout.path("app_lib/src/linked.rs"),
    )
    .unwrap();
    host.until_it_says("cB").await;
    fs::write(there("other.rs"), says("d")).unwrap();
    host.until_it_says("dB").await;
}

#[tokio::test]
async fn saves_are_noticed_after_folders_were_replaced_and_after_events_were_lost() {
    let checkout = Checkout::new();
    let routes = r#"Router::new().route("/say", get(async || deep::SAYS))"#;
    checkout.add_lab(&format!("#[path = \"lab/deep.rs\"] mod deep; {routes}"));
    let deep = "app_lib/src/lab/deep.rs";
    fs::create_dir(checkout.path("app_lib/src/lab")).unwrap();
    checkout.write(deep, &says("one"));
    let host = Host::start_in(checkout, &[]).await;
    let (app, away) = (host.checkout.path("app_lib"), host.checkout.path("away"));
    host.until_it_says("one").await;

    // As `git checkout` of another branch, and back.
    fs::rename(&app, &away).unwrap();
    host.until_phase("build_failed").await;
    copy(&away, &app);
    fs::remove_dir_all(&away).unwrap();
    host.until_phase("active").await;
    host.checkout.write(deep, &says("two"));
    host.until_it_says("two").await;

    // More at once than the system keeps, among it a folder.
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    host.signal(Signal::SIGSTOP);
    let (one, other) = (app.join("src/one.txt"), app.join("src/other.txt"));
    fs::write(&one, "").unwrap();
    for _ in 0..=limit / 2 {
        fs::rename(&one, &other).unwrap();
        fs::rename(&other, &one).unwrap();
    }
    fs::remove_file(&one).unwrap();
    fs::create_dir(app.join("src/lab/deep")).unwrap();
    host.checkout
        .write("app_lib/src/lab/deep/deeper.rs", &says("three"));
    host.checkout.write(
        deep,
        "#[path = \"deep/deeper.rs\"] mod deeper; pub(crate) use deeper::SAYS;",
    );
    host.signal(Signal::SIGCONT);
    host.until_it_says("three").await;
    host.checkout
        .write("app_lib/src/lab/deep/deeper.rs", &says("four"));
    host.until_it_says("four").await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        match from.is_dir() {
            true => copy(&from, &to.join(name)),
            false => drop(fs::copy(from, to.join(name)).unwrap()),
        }
    }
}
