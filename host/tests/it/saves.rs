//! Saves in a row, saves that need no compiler, and what one failed save leaves for the next.

use std::{fs, time::Instant};

use crate::support::{Checkout, Chromium, Host, eventually};

fn says(word: &str) -> String {
    format!(r#"Router::new().route("/say", get(async || "{word}"))"#)
}

#[tokio::test]
async fn a_migration_builds_nothing_and_starts_no_old_code_again() {
    let checkout = Checkout::new();
    checkout.add_lab(&says("one"));
    // With rustc alone the same sources come out as other bytes.
    let host = Host::start_in(checkout, &[("HOST_REPLAY", "off")]).await;
    let applied = async |count: usize| {
        host.until("the migration", |status| {
            let applied = status.0["schema"]["applied"].as_array().unwrap().len();
            (applied, status.phase()) == (count, "active")
        })
        .await
    };
    let licensed = "assert!(std::path::Path::new(\"licence\").exists(), \"no licence\");";
    host.checkout
        .write_lab(&format!("{licensed} {}", says("two")));
    host.until("the refusal", |status| status.phase() == "load_failed")
        .await;
    host.checkout.write_lab(&says("three"));
    host.until_generation(2).await;
    host.checkout.write("licence", "");
    host.checkout
        .write("migrations/V3__nothing.sql", "-- Nothing.\nSELECT 1;\n");
    let status = applied(3).await;
    assert_eq!(
        (
            status.generation(),
            status.number("/reloads/ok"),
            status.number("/reloads/unchanged"),
            host.text("/say").await.as_str()
        ),
        (2, 1, 0, "three")
    );

    // What failed to start is started once the schema fits.
    host.checkout.edit(
        "app_lib/src/lib.rs",
        "    let api = Router::new()",
        "    state.db.query(\"SELECT FROM later\", &[]).await?;\n    let api = Router::new()",
    );
    host.until("the refusal", |status| status.phase() == "load_failed")
        .await;
    host.checkout
        .write("migrations/V4__later.sql", "CREATE TABLE later ();\n");
    let status = applied(4).await;
    assert_eq!(
        (status.generation(), status.number("/reloads/unchanged")),
        (3, 0)
    );
}

#[tokio::test]
async fn of_saves_in_a_row_every_second_build_goes_live() {
    let checkout = Checkout::new();
    checkout.add_lab(&says("one"));
    // Says that it has begun, and waits for as long as a file `slow` is there.
    checkout.write(
        "app_lib/build.rs",
        r#"//! Waits.
        use std::{fs::OpenOptions, io::Write, path::Path};
        fn main() {
            println!("cargo:rerun-if-changed=src");
            let mut runs = OpenOptions::new().create(true).append(true).open("../runs").unwrap();
            runs.write_all(b".").unwrap();
            while Path::new("../slow").exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }
        }"#,
    );
    let host = Host::start_in(checkout, &[]).await;
    let runs = host.checkout.path("runs");
    let until_run = async |run: usize| {
        eventually("a build", async || {
            (fs::read(&runs).unwrap().len() >= run).then_some(())
        })
        .await;
    };
    let before = fs::read(&runs).unwrap().len();
    host.checkout.write("slow", "");
    host.checkout.write_lab(&says("two"));
    until_run(before + 1).await;
    let since = Instant::now();
    host.checkout.write_lab(&says("three"));
    until_run(before + 2).await;
    // Seen, once what is saved after it has its effect.
    host.checkout.write_lab(&says("four"));
    host.checkout.write(".env", "DRAIN_TIMEOUT_MS=9000\n");
    host.until("the settings", |status| {
        status.0["environment"].to_string().contains("9000")
    })
    .await;
    fs::remove_file(host.checkout.path("slow")).unwrap();
    // The second build has what was saved during it, so that the third comes to the same.
    let status = host
        .until("two builds", |status| {
            status.number("/reloads/unchanged") == 1 && status.phase() == "active"
        })
        .await;
    assert_eq!(
        (status.generation(), host.text("/say").await.as_str()),
        (2, "four")
    );
    let build = status.0["last_reload"]["build_ms"].as_f64().unwrap();
    assert!(
        build <= since.elapsed().as_secs_f64() * 1e3,
        "the cancelled build is not counted"
    );
}

/// Whether a page, its style sheet and its text follow what no compiler reads.
#[tokio::test]
async fn a_file_that_the_app_reads_as_it_runs_needs_no_build_and_open_pages_follow_it() {
    let Some(browser) = Chromium::start().await else {
        return;
    };
    let checkout = Checkout::new();
    checkout.write("app_lib/lab.css", "h1 { color: rgb(1, 2, 3) }");
    checkout.write("app_lib/src/lab.txt", "included");
    let page = "<!doctype html><html lang='en'><title>Lab</title><link rel='stylesheet' href='/lab.css'>\
        <body><h1>{}</h1></body></html>";
    checkout.add_lab(&format!(
        r#"Router::new()
            .route("/lab", get(async || Html(format!("{page}", include_str!("lab.txt")))))
            .route("/lab.css", get(async || ([(header::CONTENT_TYPE, "text/css")], std::fs::read_to_string("app_lib/lab.css").unwrap())))"#
    ));
    let host = Host::start_in(checkout, &[("HOST_WATCH", "content")]).await;
    browser.open(&host.url("/lab")).await;
    let looks = |color: &str, text: &str| {
        format!(
            "(heading => getComputedStyle(heading).color === 'rgb({color})' && heading.textContent === '{text}')\
             (document.querySelector('h1'))"
        )
    };
    browser
        .until("the page", &looks("1, 2, 3", "included"))
        .await;
    for color in ["4, 5, 6", "7, 8, 9"] {
        host.checkout
            .write("app_lib/lab.css", &format!("h1 {{ color: rgb({color}) }}"));
        browser
            .until("the new style", &looks(color, "included"))
            .await;
    }
    let status = host.status().await;
    assert_eq!(
        (
            status.generation(),
            status.number("/reloads/ok"),
            status.number("/reloads/unchanged"),
            status.phase(),
        ),
        (1, 0, 0, "active")
    );
    eventually("a line for each", async || {
        let lines = host.log();
        let told = lines.matches("app_lib/lab.css  needs no build").count();
        (told == 2).then_some(())
    })
    .await;

    // In a folder that the user has named, which is made only now.
    fs::create_dir(host.checkout.path("content")).unwrap();
    eventually("its line", async || {
        host.checkout.write("content/words.txt", "new");
        host.log()
            .contains("content/words.txt  needs no build")
            .then_some(())
    })
    .await;
    assert_eq!(host.status().await.generation(), 1);

    // One that rustc has read is a source.
    host.checkout.write("app_lib/src/lab.txt", "built");
    browser
        .until("the new text", &looks("7, 8, 9", "built"))
        .await;
    assert_eq!(host.status().await.generation(), 2);
    browser.close().await;
}
