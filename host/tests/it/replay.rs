//! rustc alone comes out as cargo does, and whatever leaves a doubt is cargo's.

use serde_json::Value;

use crate::support::{Checkout, Host, REPLAYS, eventually};

fn says(word: &str) -> String {
    format!(r#"Router::new().route("/say", get(async || {word}))"#)
}

impl Host {
    /// Until rustc alone is ready for the next save.
    async fn warm(&self) {
        self.until("rustc alone", |status| status.0["replays"] == true)
            .await;
    }

    /// Until a save is live whose answer is `wanted`. Who compiled it.
    async fn compiled(&self, wanted: &str) -> String {
        eventually(wanted, async || {
            (self.text("/say").await == wanted).then_some(())
        })
        .await;
        let status = self
            .until("rest", |status| status.phase() == "active")
            .await;
        status.0["last_reload"]["compiler"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// What the compiler says of a save, without what differs from one checkout to the next.
    async fn diagnostics(&self, phase: &str, wanted: &str) -> Value {
        let status = self
            .until(wanted, |status| {
                let told = status.0["build"]["diagnostics"].to_string();
                status.phase() == phase && told.contains(wanted)
            })
            .await;
        status.0["build"]["diagnostics"].clone()
    }
}

#[tokio::test]
async fn rustc_alone_says_and_makes_what_cargo_does() {
    let mut hosts = Vec::new();
    for replay in ["on", "off"] {
        let checkout = Checkout::new();
        checkout.add_lab(&says(r#""one""#));
        hosts.push(Host::start_in(checkout, &[("HOST_REPLAY", replay)]).await);
    }
    hosts[0].warm().await;
    let saves = [
        (says(r#""two""#), "active", "two", ""),
        (
            says("{ let unused = 1; \"three\" }"),
            "active",
            "three",
            "unused variable",
        ),
        (says("no_such_thing"), "build_failed", "", "no_such_thing"),
        (
            says("{ let n: u8 = \"text\"; n }"),
            "build_failed",
            "",
            "mismatched types",
        ),
        (
            says("\"four\" ; }} fn other() {"),
            "build_failed",
            "",
            "error",
        ),
        (
            says(r#"concat!(env!("CARGO_PKG_NAME"), " ", module_path!())"#),
            "active",
            "app_lib app_lib::lab",
            "",
        ),
    ];
    let mut compilers = Vec::new();
    for (routes, phase, answer, told) in &saves {
        let mut said = Vec::new();
        for host in &hosts {
            host.checkout.write_lab(routes);
            if *phase == "active" {
                compilers.push(host.compiled(answer).await);
            }
            said.push(host.diagnostics(phase, told).await);
        }
        assert_eq!(said[0], said[1], "{routes}");
    }
    assert_eq!(
        compilers,
        ["rustc", "cargo", "rustc", "cargo", "rustc", "cargo"]
    );
}

#[tokio::test]
async fn a_doubt_means_cargo() {
    let checkout = Checkout::new();
    checkout.add_lab(&says(r#""one""#));
    let host = Host::start_in(checkout, &[REPLAYS]).await;
    let checkout = &host.checkout;
    host.warm().await;
    checkout.write_lab(&says(r#""two""#));
    assert_eq!(host.compiled("two").await, "rustc");

    // A file that the app was not made of.
    checkout.write(
        "app_lib/src/new.rs",
        "pub(crate) const SAYS: &str = \"new\";",
    );
    checkout.write_lab(&says("new::SAYS").replace(
        "Router::new()",
        "#[path = \"new.rs\"] mod new; Router::new()",
    ));
    assert_eq!(host.compiled("new").await, "cargo");
    host.warm().await;
    checkout.write(
        "app_lib/src/new.rs",
        "pub(crate) const SAYS: &str = \"newer\";",
    );
    assert_eq!(host.compiled("newer").await, "rustc");

    // A manifest: the app gets a feature, and a build script that reads a file of its own.
    checkout.edit("app_lib/Cargo.toml", "[features]", "[features]\nextra = []");
    checkout.edit(
        "app_lib/Cargo.toml",
        "default = [\"hot\"]",
        "default = [\"hot\", \"extra\"]",
    );
    checkout.write(
        "app_lib/build.rs",
        r#"fn main() {
            println!("cargo::rerun-if-changed=words.txt");
            let words = std::fs::read_to_string("words.txt").unwrap();
            let made = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("made.rs");
            std::fs::write(made, format!("{words:?}")).unwrap();
        }"#,
    );
    checkout.write("app_lib/words.txt", "made");
    let made = r#"{ let made: &str = include!(concat!(env!("OUT_DIR"), "/made.rs")); if cfg!(feature = "extra") { made } else { "bare" } }"#;
    checkout.write_lab(&says(made));
    assert_eq!(host.compiled("made").await, "cargo");
    host.warm().await;
    // A source, and then what the build script reads.
    checkout.write_lab(&says(&made.replace("{ made }", "{ &made[1..] }")));
    assert_eq!(host.compiled("ade").await, "rustc");
    checkout.write("app_lib/words.txt", "words");
    assert_eq!(host.compiled("ords").await, "cargo");
}

#[tokio::test]
async fn a_text_that_the_app_includes_is_one_of_its_sources() {
    let checkout = Checkout::new();
    checkout.add_lab(&says(r#""one""#));
    let host = Host::start_in(checkout, &[REPLAYS]).await;
    host.warm().await;
    host.checkout.write("notes.txt", "a note");
    host.checkout
        .write_lab(&says(r#"include_str!("../../notes.txt")"#));
    assert_eq!(host.compiled("a note").await, "rustc");
    host.checkout.write("notes.txt", "another");
    assert_eq!(host.compiled("another").await, "rustc");

    // Another cargo builds in the same folder.
    let lock = std::fs::File::open(host.checkout.path("target/hot/.cargo-lock")).unwrap();
    lock.lock().unwrap();
    host.checkout.write("notes.txt", "a third");
    host.until("cargo to wait", |status| status.phase() == "building")
        .await;
    drop(lock);
    assert_eq!(host.compiled("a third").await, "cargo");
    host.warm().await;

    // Older than the last build by its time, as a file that was moved back is.
    host.checkout.write("notes.txt", "a fourth");
    assert_eq!(host.compiled("a fourth").await, "rustc");
    let file = std::fs::File::options()
        .append(true)
        .open(host.checkout.path("notes.txt"))
        .unwrap();
    host.checkout.write("notes.txt", "a note");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    host.checkout.write("app_lib/src/unused.rs", "");
    assert_eq!(host.compiled("a note").await, "cargo");
}
