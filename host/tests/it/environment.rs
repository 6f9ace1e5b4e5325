//! Variables: what the app finds, and what outranks what.

use crate::{
    support::{Checkout, Chromium, Host, eventually},
    web::{act, token},
};

/// `/env` shows variables as they are now, and one as a static found it first. `/dotenvy` sets what is missing, as the
/// crate of that name does.
const LAB: &str = r#"
    static FIRST: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| variable("GREETING"));
    fn variable(name: &str) -> String { std::env::var(name).unwrap_or_else(|_| "none".to_owned()) }
    Router::new()
        .route("/url", get(async || variable("DATABASE_URL") + " " + option_env!("DATABASE_URL").unwrap_or("none")))
        .route("/env", get(async || ["GREETING", "NESTED", "SHADOWED"].map(variable).join(" ") + " " + &FIRST))
        .route("/dotenvy", get(async || {
            for line in std::fs::read_to_string(".env").unwrap().lines() {
                let (name, value) = line.split_once('=').unwrap();
                if std::env::var_os(name).is_none() { unsafe { std::env::set_var(name, value) } }
            }
        }))"#;

fn with_lab() -> Checkout {
    let checkout = Checkout::new();
    checkout.edit(
        "app_lib/src/lib.rs",
        "#![forbid(unsafe_code)]",
        "#![allow(unsafe_code)]",
    );
    checkout.add_lab(LAB);
    checkout
}

fn dotenv(greeting: &str, drain: u32) -> String {
    format!("{greeting}NESTED=${{GREETING}}!\nSHADOWED=of-the-file\nDRAIN_TIMEOUT_MS={drain}\n")
}

/// Waits for a setting, and tells where it comes from.
async fn source_of(host: &Host, name: &str, value: &str) -> String {
    let find = |status: &serde_json::Value| {
        let settings = status["environment"].as_array().unwrap().clone();
        settings
            .into_iter()
            .find(|setting| setting["name"] == name && setting["value"] == value)
    };
    let status = host
        .until(&format!("{name}={value}"), |status| {
            find(&status.0).is_some()
        })
        .await;
    find(&status.0).unwrap()["source"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn the_app_finds_what_dotenv_says_now_below_what_the_user_set() {
    let checkout = with_lab();
    checkout.write(".env", &dotenv("GREETING=hello\n", 9001));
    let host = Host::start_in(checkout, &[("SHADOWED", "of-the-user")]).await;
    assert_eq!(host.text("/env").await, "hello hello! of-the-user hello");
    assert_eq!(source_of(&host, "DRAIN_TIMEOUT_MS", "9001").await, ".env");

    // A server is no app: it has what the user gave.
    let environment = std::fs::read(format!("/proc/{}/environ", host.postmaster())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    assert!(
        environment.contains("SHADOWED=of-the-user"),
        "{environment}"
    );
    assert!(!environment.contains("GREETING"), "{environment}");

    // What the app sets by itself freezes nothing.
    host.text("/dotenvy").await;
    host.checkout.write(".env", &dotenv("GREETING=bye\n", 9002));
    let status = host.until_generation(2).await;
    assert_eq!(host.text("/env").await, "bye bye! of-the-user bye");
    assert_eq!(status.0["last_reload"]["files"][0], ".env");
    assert_eq!(source_of(&host, "DRAIN_TIMEOUT_MS", "9002").await, ".env");
    // The same bytes again, without another environment, are no news.
    let unchanged = std::fs::read_to_string(host.checkout.path("app_lib/src/lab.rs")).unwrap();
    host.checkout.write("app_lib/src/lab.rs", &unchanged);
    host.until("nothing to reload", |status| {
        status.0["reloads"]["unchanged"] == 1
    })
    .await;

    // Nor does it over a restart.
    let token = token(&host).await;
    let switched = act(
        &host,
        "mode",
        "pool=host&isolation=off",
        &[("x-dev-token", &token)],
    )
    .await;
    assert_eq!(switched.0, 200, "{}", switched.1);
    host.until("the next image", |status| {
        status.number("/restarts") == 1 && status.phase() == "active"
    })
    .await;
    assert_eq!(host.text("/env").await, "bye bye! of-the-user bye");
    assert_eq!(source_of(&host, "DRAIN_TIMEOUT_MS", "9002").await, ".env");
    // In this mode the app has a role of its own. What was found for it before has not become the user's.
    assert_eq!(user_of_the_apps_url(&host).await, "app");
    assert_eq!(source_of(&host, "DATABASE_URL", "").await, "default");
    let switched = source_of(&host, "HOST_ISOLATION", "off").await;
    assert_eq!(switched, "the dashboard");
    host.checkout.write(".env", &dotenv("", 9003));
    assert_eq!(source_of(&host, "DRAIN_TIMEOUT_MS", "9003").await, ".env");
    host.until_generation(4).await;
    assert_eq!(host.text("/env").await, "none ! of-the-user none");
}

/// Who connects with the URL that the app finds, which its build has found, too.
async fn user_of_the_apps_url(host: &Host) -> String {
    let found = host.text("/url").await;
    let (url, built_with) = found.split_once(' ').unwrap();
    assert_eq!(url, built_with);
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn the_app_and_its_build_find_the_url_of_the_private_cluster_unless_the_user_has_set_one() {
    let host = Host::start_in(with_lab(), &[]).await;
    assert_eq!(user_of_the_apps_url(&host).await, "postgres");
    assert_eq!(source_of(&host, "DATABASE_URL", "").await, "default");
    let ours = host.text("/url").await;
    // It leads to the one connection of `db`, and shares it with others of the same role and database.
    assert_eq!(host.status().await.0["db"]["backends"], 1);
    let observer = host.observe().await;
    observer
        .batch_execute("CREATE DATABASE theirs")
        .await
        .unwrap();
    let (url, _) = ours.split_once(' ').unwrap();
    let socket = host.checkout.path(".dev/postgres/socket");
    let theirs = format!(
        "postgres://postgres@localhost/theirs?host={}",
        socket.display()
    );
    host.checkout
        .write(".env", &format!("DATABASE_URL={theirs}\n"));
    host.until_generation(2).await;
    // The same address leads to another database.
    let moved = url.replace(":5432/postgres", ":5432/theirs");
    assert_eq!(host.text("/url").await, format!("{moved} {moved}"));
    let (client, connection) = tokio_postgres::connect(&moved, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let database = client
        .query_one("SELECT current_database()::text", &[])
        .await;
    assert_eq!(database.unwrap().get::<_, &str>(0), "theirs");
    // Which is no address for the host itself.
    host.checkout
        .write(".env", &format!("DATABASE_URL={moved}\n"));
    let refused = "DATABASE_URL is the address at which the dev server itself offers the database";
    eventually("the refusal", async || {
        host.log().contains(refused).then_some(())
    })
    .await;
    std::fs::remove_file(host.checkout.path(".env")).unwrap();
    host.until_generation(3).await;
    assert_eq!(host.text("/url").await, ours);
    assert_eq!(source_of(&host, "DATABASE_URL", "").await, "default");
}

#[tokio::test]
async fn the_hosts_own_settings_are_read_from_dotenv_too_and_those_that_wait_for_a_start_are_named()
{
    let checkout = Checkout::new();
    let editor = "vscode://file/{file}:{line}";
    let dotenv = |hold| format!("EDITOR_URL={editor}\nHOST_HOLD_MS={hold}\nHOST_REPLAY=off\n");
    checkout.write(".env", &dotenv(1234));
    let host = Host::start_in(checkout, &[("HOST_REPLAY", "on")]).await;
    let status = host.status().await;
    assert_eq!(status.0["editor"], editor);
    assert_eq!(source_of(&host, "HOST_HOLD_MS", "1234").await, ".env");
    let outranked = source_of(&host, "HOST_REPLAY", "on").await;
    assert_eq!(outranked, "the environment");

    host.checkout.write(".env", &dotenv(99));
    let line = ".env: HOST_HOLD_MS takes effect when you restart the host";
    eventually("the line", async || host.log().contains(line).then_some(())).await;
    // The panel shows what is in effect, and going back to that is no change.
    assert_eq!(source_of(&host, "HOST_HOLD_MS", "1234").await, ".env");
    host.checkout
        .write(".env", &(dotenv(1234) + "DRAIN_TIMEOUT_MS=9003\n"));
    source_of(&host, "DRAIN_TIMEOUT_MS", "9003").await;
    assert_eq!(host.log().matches("when you restart the host").count(), 1);

    let faults = host
        .checkout
        .host()
        .args(["dev", "--keep-memory", "much", "--port", "none"])
        .output()
        .unwrap();
    let said = String::from_utf8(faults.stderr).unwrap();
    for fault in [
        "2 settings are wrong",
        "HOST_KEEP_MEMORY_MB (from --keep-memory)",
        "PORT (from --port)",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_apps_own_variables_is_told_at_once_and_the_right_ones_go_live() {
    let checkout = Checkout::new();
    let read = r#"
    let own = state.env.own(|own| (
        own.required::<String>("API_KEY", "sk-123"), own.or::<u16>("WORKERS", "4"), own.optional::<bool>("DEBUG"),
        own.required::<String>("DATABASE_URL", "postgres://localhost/app"),
    ))?;
    let own = format!("{} {} {:?} {}", own.0, own.1, own.2, own.3.starts_with("postgres://"));
    let state = AppState {"#;
    checkout.edit("app_lib/src/lib.rs", "    let state = AppState {", read);
    let page =
        ".merge(page::routes()).route(\"/own\", get(async move || axum::response::Html(own)))";
    checkout.edit("app_lib/src/lib.rs", ".merge(page::routes())", page);
    let host = Host::spawn_in(checkout, &[("DEBUG", "hunter2")]).await;
    let failed = |status: &crate::support::Status| status.phase() == "load_failed";
    host.until("the refused start", failed).await;
    let faults = [
        "2 settings are wrong:",
        "API_KEY\n    is not set\n    example: API_KEY=sk-123",
        "DEBUG (from the environment)\n    does not parse: provided string was not `true` or `false`",
    ];
    let log = eventually("the message in the log", async || {
        let log = host.log();
        log.contains("DEBUG (from").then_some(log)
    })
    .await;
    for fault in faults {
        assert!(log.contains(fault), "{fault}: {log}");
    }
    let browser = Chromium::start().await;
    let dialog =
        "document.documentElement.lastElementChild.shadowRoot?.querySelector('dialog')?.innerText";
    if let Some(browser) = &browser {
        browser.open(&host.url("/own")).await;
        for fault in faults {
            let shown = format!("{dialog}.includes({})", serde_json::json!(fault));
            browser.until(fault, &shown).await;
        }
        browser.screenshot("overlay-own-variables").await;
    }
    // One of the two is right.
    host.checkout
        .write(".env", "API_KEY=sk-hunter3\nWORKERS=\n");
    host.until("the other fault alone", |status| {
        failed(status) && status.0["build"].to_string().contains("1 setting is wrong")
    })
    .await;
    let status = host.status().await.0.to_string();
    let log = host.log();
    for secret in ["hunter2", "hunter3"] {
        assert!(!status.contains(secret) && !log.contains(secret), "{log}");
    }
    let (_, checkout) = host.stop().await;
    let host = Host::spawn_in(checkout, &[]).await;
    host.until_generation(1).await;
    assert_eq!(host.text("/own").await, "sk-hunter3 4 None true");

    host.checkout.write(".env", "API_KEY=\nWORKERS=hunter4\n");
    host.until("the refused reload", failed).await;
    assert_eq!(host.text("/own").await, "sk-hunter3 4 None true");
    if let Some(browser) = &browser {
        browser.open(&host.url("/own")).await;
        let shown = format!("{dialog}.includes('example: WORKERS=4')");
        browser.until("the overlay", &shown).await;
    }
    host.checkout.write(".env", "API_KEY=sk-5\nWORKERS=6\n");
    host.until("the next generation", |status| status.phase() == "active")
        .await;
    assert_eq!(host.text("/own").await, "sk-5 6 None true");
    if let Some(browser) = browser {
        let shown = "document.body.textContent.includes('sk-5 6')";
        browser.until("the page, by itself", shown).await;
        browser.close().await;
    }
}
