//! The terminal: the host on a pseudo-terminal with keys, on a pipe, and with `--json`.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, Write},
    num::NonZero,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
};

use chrono::{DateTime, NaiveTime};
use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::{
        signal::Signal,
        termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr},
    },
};
use serde_json::Value;

use crate::support::{Checkout, Host, eventually, lab};

const GOOD: &str =
    r#"Router::new().route("/say", get(async || { println!("a request speaks"); "said" }))"#;
const BROKEN: &str = r#"Router::new().route("/say", get(async || no_such_thing))"#;

/// So many that nothing scrolls.
const ROWS: NonZero<u16> = NonZero::new(300).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(160).unwrap();

/// A terminal with a host in it.
pub(crate) struct Terminal {
    pub(crate) host: Host,
    keyboard: File,
    /// The end that the host has; kept open, so that its settings can be read after the host has ended.
    line: OwnedFd,
    /// Its settings before the host started.
    before: Termios,
    /// What has been printed so far, its length, and what it looks like: a test asks again and again.
    seen: RefCell<(vt100::Parser, usize, String)>,
}

impl Terminal {
    pub(crate) async fn start(checkout: Checkout, environment: &[(&str, &str)]) -> Self {
        Self::run(checkout, r#"exec "$0" "$@""#, environment).await
    }

    /// With a shell script that gets the host as its arguments.
    async fn run(checkout: Checkout, script: &str, environment: &[(&str, &str)]) -> Self {
        let size = Winsize {
            ws_row: ROWS.get(),
            ws_col: COLUMNS.get(),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || slave.try_clone().unwrap();
        // A session of its own with this terminal; `setsid` becomes the shell and keeps its pid. A shell that is started
        // with SIGINT ignored, as behind `nohup … &`, cannot trap it.
        let mut command = checkout.command("setsid");
        command
            .args(["--ctty", "env", "--default-signal=INT,QUIT"])
            .args(["sh", "-c", script])
            .arg(checkout.path("target/hot/host"))
            .args(["dev", "--port", "0"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .envs(environment.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let mut printed = File::from(master.try_clone().unwrap());
        let mut log = File::create(checkout.path("host.log")).unwrap();
        // Ends when both ends of the line are closed.
        std::thread::spawn(move || io::copy(&mut printed, &mut log));
        let host = Host::spawn(checkout, command).await;
        let keyboard = File::from(master);
        Self {
            host,
            keyboard,
            line: slave,
            before,
            seen: RefCell::new((vt100::Parser::new(ROWS, COLUMNS, 0), 0, String::new())),
        }
    }

    async fn with_lab(routes: &str) -> Self {
        let checkout = Checkout::new();
        checkout.add_lab(routes);
        let terminal = Self::start(checkout, &[]).await;
        terminal.until("press h for keys").await;
        terminal
    }

    pub(crate) fn press(&self, keys: &str) {
        (&self.keyboard).write_all(keys.as_bytes()).unwrap();
    }

    /// What a user sees, after all erasing and overwriting.
    pub(crate) fn screen(&self) -> String {
        let printed = fs::read(self.host.checkout.path("host.log")).unwrap();
        let (screen, length, contents) = &mut *self.seen.borrow_mut();
        if printed.len() > *length {
            screen.process(&printed[*length..]);
            *length = printed.len();
            *contents = screen.screen().contents();
        }
        contents.clone()
    }

    /// How many times they see this.
    fn count(&self, text: &str) -> usize {
        self.screen().matches(text).count()
    }

    pub(crate) async fn until(&self, text: &str) {
        self.until_count(text, 1).await;
    }

    async fn until_count(&self, text: &str, times: usize) {
        eventually(&format!("{text:?} on the screen"), async || {
            (self.count(text) >= times).then_some(())
        })
        .await;
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.line).unwrap()
    }
}

#[tokio::test]
async fn keys_do_what_their_list_says() {
    let checkout = Checkout::new();
    fs::create_dir(checkout.path("bin")).unwrap();
    checkout.write("bin/xdg-open", "#!/bin/sh\necho \"browser: $1\" >>opened\n");
    fs::set_permissions(
        checkout.path("bin/xdg-open"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let path = format!(
        "{}:{}",
        checkout.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let environment = [("PATH", path.as_str()), ("HOST_MIGRATE", "ask")];
    let mut terminal = Terminal::start(checkout, &environment).await;
    terminal.until("press h for keys, q to quit").await;
    terminal.press("m");
    terminal.until("migrated V2__create_increment").await;
    assert!(terminal.settings().local_flags.contains(LocalFlags::ISIG));

    terminal.press("h");
    terminal.until("replace the connection pool").await;

    // None of the first four is a key; those after the first end in one.
    terminal.press("x\x1bOq\x1b[1;5q\x1bqr");
    terminal.until("= rebuilt, no change").await;
    let host = &terminal.host;
    host.until("the rebuild", |status| {
        status.number("/reloads/unchanged") == 1
    })
    .await;

    let before = host.backend().await;
    terminal.press("p");
    terminal.until("connection pool replaced").await;
    assert_ne!(host.backend().await, before);
    assert_eq!(host.status().await.number("/db/backends"), 1);

    // Asked first: what is saved waits for the key.
    terminal.press("m");
    terminal.until("no pending migrations").await;
    let migration = host.checkout.path("migrations/V3__note.sql");
    fs::write(&migration, "CREATE TABLE note (text text);").unwrap();
    terminal.until("pending: V3__note; press m").await;
    terminal.press("m");
    terminal.until("migrated V3__note").await;
    fs::write(&migration, "no such statement;").unwrap();
    terminal
        .until("✗ migrations/V3__note.sql: was changed after")
        .await;
    fs::remove_file(&migration).unwrap();

    for (key, page) in [("o", ""), ("d", "__dev")] {
        terminal.press(key);
        let wanted = format!("browser: {}/{page}\n", host.base);
        eventually("the browser", async || {
            let opened = fs::read_to_string(host.checkout.path("opened")).ok()?;
            opened.ends_with(&wanted).then_some(())
        })
        .await;
    }

    terminal.press("c");
    eventually("an empty screen", async || {
        (terminal.count("press h for keys") == 0).then_some(())
    })
    .await;

    // A shell puts its own settings in place while the host is stopped.
    let keys = terminal.settings();
    tcsetattr(&terminal.line, SetArg::TCSANOW, &terminal.before).unwrap();
    terminal.host.signal(Signal::SIGCONT);
    eventually("the keys to come back", async || {
        (terminal.settings() == keys).then_some(())
    })
    .await;

    terminal.press("q");
    assert_eq!(terminal.host.ended().await.code(), Some(0));
    assert!(terminal.settings() == terminal.before);
}

#[tokio::test]
async fn the_log_leads_to_the_editor_and_a_key_hides_it() {
    let checkout = Checkout::new();
    checkout.add_built_lab(lab!(
        r#"Router::new().route("/log/{what}", get(async |Path(what): Path<String>| tracing::info!("it says {what}")))"#
    ));
    let environment = [
        ("FORCE_HYPERLINK", "1"),
        ("EDITOR_URL", "edit://{file}:{line}"),
    ];
    let terminal = Terminal::start(checkout, &environment).await;
    terminal.until("press h for keys").await;
    let host = &terminal.host;
    host.get("/log/one").await;
    terminal
        .until("it says one  gen 1 req 1  app_lib/src/lab.rs:")
        .await;
    let file = host.checkout.path("app_lib/src/lab.rs");
    let link = format!("\x1b]8;;edit://{}:", file.display());
    assert!(host.log().contains(&link), "{:?}", host.log());

    terminal.press("l");
    terminal
        .until("log of the app: hidden; l shows it again")
        .await;
    host.get("/log/two").await;
    terminal.press("l");
    terminal.until("log of the app: shown").await;
    host.get("/log/three").await;
    terminal.until("it says three").await;
    assert_eq!(terminal.count("it says two"), 0, "{}", terminal.screen());
}

#[tokio::test]
async fn a_new_pool_has_no_backend_before_its_first_query() {
    let terminal = Terminal::with_lab(GOOD).await;
    let host = &terminal.host;
    host.backend().await;
    terminal.press("p");
    terminal.until("connection pool replaced").await;
    host.checkout.write_lab(&GOOD.replace("said", "two"));
    terminal.until("✓ gen 2").await;
    let screen = terminal.screen();
    assert!(screen.contains("pg not opened yet  conns 0"), "{screen}");
    let backend = host.backend().await;
    host.checkout.write_lab(&GOOD.replace("said", "three"));
    terminal.until("✓ gen 3").await;
    terminal.until(&format!("pg {backend}")).await;
}

#[tokio::test]
async fn q_ends_what_a_request_holds_up_when_pressed_again() {
    let mut terminal = Terminal::with_lab(
        r#"Router::new().route("/slow", get(async || { gate("never").await; "finished" }))"#,
    )
    .await;
    let host = &terminal.host;
    let slow = tokio::spawn(host.client.get(host.url("/slow")).send());
    host.until("the request inside", |status| {
        status.of_generation(1) == Some(("active", 1))
    })
    .await;
    terminal.press("q");
    terminal.until("q: finishing open requests").await;
    terminal.press("q");
    terminal.until("q: stopped").await;
    assert_eq!(terminal.host.ended().await.code(), Some(0));
    assert!(terminal.settings() == terminal.before);
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn the_first_build_is_followed_and_then_gone_from_the_screen() {
    let terminal = Terminal::with_lab(GOOD).await;
    let log = terminal.host.log();
    assert!(log.contains("crates  "), "{log}");
    assert_eq!(terminal.count("building"), 0);
}

#[tokio::test]
async fn repeats_are_one_line_and_a_number() {
    let terminal = Terminal::with_lab(GOOD).await;
    let save = |text: &str| terminal.host.checkout.write_lab(text);
    save(BROKEN);
    terminal.until("✗ not built").await;
    save(BROKEN);
    terminal.until("still serving gen 1 (x2)").await;
    save(BROKEN);
    terminal.until("still serving gen 1 (x3)").await;
    assert_eq!(terminal.count("✗ not built"), 1, "{}", terminal.screen());
    assert_eq!(terminal.count("cannot find value"), 1);

    // Other words, another outcome.
    save(&BROKEN.replace("thing", "one"));
    terminal.until_count("✗ not built", 2).await;
    assert_eq!(terminal.count("(x3)"), 1);

    save(&GOOD.replace("said", "two"));
    terminal.until("✓ gen 2").await;
    save(&GOOD.replace("said", "three"));
    terminal.until("(x2)").await;
    assert_eq!(
        (terminal.count("✓ gen 2"), terminal.count("✓ gen 3")),
        (0, 1),
        "{}",
        terminal.screen()
    );
}

#[tokio::test]
async fn a_narrow_terminal_gets_a_shorter_line() {
    let checkout = Checkout::new();
    let warned = GOOD.replace("println!", "let unused = 1; println!");
    checkout.add_lab(&warned);
    let terminal = Terminal::run(checkout, r#"stty cols 60; exec "$0" "$@""#, &[]).await;
    terminal.until("press h for keys").await;
    terminal.host.backend().await;
    for (generation, said) in [(2, "two"), (3, "three")] {
        let checkout = &terminal.host.checkout;
        checkout.write_lab(&warned.replace("said", said));
        terminal.until(&format!("✓ gen {generation}")).await;
    }
    let screen = terminal.screen();
    let line = screen.lines().find(|line| line.contains("✓ gen 3"));
    let line = line.unwrap_or_else(|| panic!("{screen}"));
    assert!(line.chars().count() <= 60, "{line}");
    assert!(line.contains("lab.rs") && line.contains("build"), "{line}");
}

#[tokio::test]
async fn a_build_that_takes_its_time_is_told_behind_the_line_that_it_may_come_to_again() {
    let checkout = Checkout::new();
    checkout.add_lab(GOOD);
    checkout.write(
        "app_lib/build.rs",
        "//! Waits.\nfn main() {\n    println!(\"cargo:rerun-if-changed=src\");\n    \
         while std::path::Path::new(\"../slow\").exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }\n}\n",
    );
    let terminal = Terminal::start(checkout, &[]).await;
    terminal.until("press h for keys").await;
    let checkout = &terminal.host.checkout;
    checkout.write_lab(BROKEN);
    terminal.until("✗ not built").await;
    checkout.write("slow", "");
    checkout.write_lab(BROKEN);
    eventually("the build behind its line", async || {
        let both = |line: &str| line.contains("still serving") && line.contains("building the app");
        terminal.screen().lines().any(both).then_some(())
    })
    .await;
    fs::remove_file(checkout.path("slow")).unwrap();
    terminal.until("still serving gen 1 (x2)").await;
    let seen = (terminal.count("✗ not built"), terminal.count("building"));
    assert_eq!(seen, (1, 0), "{}", terminal.screen());
}

#[tokio::test]
async fn nothing_that_an_app_or_the_log_has_printed_is_erased() {
    let speaks = |generation: u8| {
        format!(
            r#"println!("start {generation} speaks"); tracing::warn!("log {generation}"); {GOOD}"#
        )
    };
    let quiet = |generation: u8| format!(r#"println!("start {generation} speaks"); {GOOD}"#);
    let task = r#"
        tokio::spawn(async {
            gate("late").await; tracing::warn!("a task logs");
            gate("later").await; println!("a task speaks");
        });
        std::thread::spawn(|| {
            while !std::path::Path::new("latest").exists() { std::thread::sleep(std::time::Duration::from_millis(5)) }
            println!("a thread speaks");
        });"#;
    let terminal = Terminal::with_lab(&speaks(1)).await;
    let host = &terminal.host;
    // app() prints between the two lines.
    for generation in [2, 3, 4] {
        host.checkout.write_lab(&quiet(generation));
        terminal.until(&format!("✓ gen {generation}")).await;
    }
    // The log as well.
    host.checkout.write_lab(&format!("{task}{}", speaks(5)));
    terminal.until("✓ gen 5").await;
    // A request, and then a task that logs, between two lines that are the same.
    host.checkout.write_lab(BROKEN);
    terminal.until("✗ not built").await;
    assert_eq!(host.text("/say").await, "said");
    host.checkout.write_lab(BROKEN);
    terminal.until_count("✗ not built", 2).await;
    host.checkout.write("late", "");
    terminal.until("a task logs").await;
    host.checkout.write_lab(BROKEN);
    terminal.until_count("✗ not built", 3).await;
    // Past the host, and nothing else.
    for (gate, says, lines) in [
        ("later", "a task speaks", 4),
        ("latest", "a thread speaks", 5),
    ] {
        host.checkout.write(gate, "");
        terminal.until(says).await;
        host.checkout.write_lab(BROKEN);
        terminal.until_count("✗ not built", lines).await;
    }

    let screen = terminal.screen();
    for said in [
        "start 1 speaks",
        "start 2 speaks",
        "start 3 speaks",
        "start 4 speaks",
        "start 5 speaks",
        "log 1",
        "log 5",
        "a request speaks",
        "a task logs",
        "a task speaks",
        "a thread speaks",
    ] {
        assert!(screen.contains(said), "{said}: {screen}");
    }
}

#[tokio::test]
async fn keys_are_read_again_after_the_host_has_replaced_itself() {
    let mut terminal = Terminal::with_lab(GOOD).await;
    let host = &terminal.host;
    host.checkout.edit(
        "host/src/main.rs",
        "fn main() -> ExitCode {",
        "fn main() -> ExitCode {\n    std::hint::black_box(1);",
    );
    terminal.until("restarted in").await;
    host.until_generation(2).await;
    terminal.press("h");
    terminal.until("replace the connection pool").await;
    terminal.press("q");
    assert_eq!(terminal.host.ended().await.code(), Some(0));
    assert!(terminal.settings() == terminal.before);
}

#[tokio::test]
async fn in_the_background_the_terminal_is_left_alone() {
    let script = r#"set -m; "$0" "$@" & trap "kill -INT $!" INT; wait; wait"#;
    let terminal = Terminal::run(Checkout::new(), script, &[]).await;
    terminal.until("save; Ctrl-C to stop").await;
    assert!(terminal.settings() == terminal.before);
    // Typed at the shell: it must not stop the host, which would be reading from the background.
    terminal.press("h\n");
    terminal.host.checkout.add_lab(GOOD);
    terminal.until("✓ gen 2").await;
    assert_eq!(terminal.count("replace the connection pool"), 0);
}

#[tokio::test]
async fn a_pipe_gets_every_line_without_codes_and_no_keys() {
    let checkout = Checkout::new();
    checkout.add_lab(GOOD);
    // Far from UTC.
    let host = Host::start_in(checkout, &[("TZ", "<+0530>-5:30")]).await;
    for failed in 1..=2 {
        host.checkout.write_lab(BROKEN);
        host.until("the failed build", |status| {
            status.phase() == "build_failed" && status.number("/reloads/failed") == failed
        })
        .await;
        eventually("its line", async || {
            (host.log().matches("✗ not built").count() as i64 == failed).then_some(())
        })
        .await;
    }
    host.checkout.write_lab(&GOOD.replace("println!", "panic!"));
    host.until_generation(2).await;
    assert_eq!(host.get("/say").await.status(), 500);
    for generation in [3, 4] {
        let warns = GOOD.replace("said", &generation.to_string());
        host.checkout
            .write_lab(&format!("let unused = {generation}; {warns}"));
        host.until_generation(generation).await;
    }
    let log = host.log();
    assert_eq!(log.matches("unused variable: `unused`").count(), 1, "{log}");
    assert!(log.contains("1 warning as before\n"), "{log}");
    assert!(
        log.contains("building the app …") && log.contains("save; Ctrl-C to stop"),
        "{log}"
    );
    // The log is in there too, and has the same clock.
    let at = |wanted: &str| {
        let line = log.lines().find(|line| line.contains(wanted));
        let line = line.unwrap_or_else(|| panic!("{wanted}: {log}"));
        let (clock, _) = line.split_once(' ').unwrap();
        NaiveTime::parse_from_str(clock, "%H:%M:%S").unwrap()
    };
    let apart = (at("panic at") - at("✗ not built")).num_seconds();
    assert!(apart.rem_euclid(86_400) < 3600, "{log}");
    assert!(!log.contains('\x1b') && !log.contains("press h"), "{log}");
    assert_eq!(log.matches("cannot find value").count(), 2, "{log}");
}

#[tokio::test]
async fn ci_and_no_color_make_a_terminal_a_pipe() {
    for variable in ["CI", "NO_COLOR"] {
        let terminal = Terminal::start(Checkout::new(), &[(variable, "1")]).await;
        terminal.until("Ctrl-C to stop").await;
        let log = terminal.host.log();
        assert!(!log.contains('\x1b') && !log.contains("press h"), "{log}");
        assert!(terminal.settings() == terminal.before);
    }
}

#[tokio::test]
async fn a_program_reads_one_event_per_line_and_nothing_else() {
    let checkout = Checkout::new();
    checkout.add_lab(&format!("tracing::warn!(\"the app logs\"); {GOOD}"));
    let mut command = checkout.host();
    command
        .args(["dev", "--port", "0", "--json"])
        .env("TZ", "<+0530>-5:30")
        .stdout(File::create(checkout.path("events")).unwrap())
        .stderr(File::create(checkout.path("host.log")).unwrap());
    let host = Host::spawn(checkout, command).await;
    let events = || -> Vec<Value> {
        let text = fs::read_to_string(host.checkout.path("events")).unwrap();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
            .collect()
    };
    let until = async |name: &str| {
        eventually(name, async || {
            events().into_iter().rfind(|event| event["event"] == name)
        })
        .await
    };
    let ready = until("ready").await;
    assert_eq!(ready["app"], format!("{}/", host.base));
    assert_eq!(ready["pool_owner"], "host");
    assert_eq!(ready["generation"], 1);

    let backend = host.backend().await;
    assert_eq!(host.text("/say").await, "said");
    host.checkout.write_lab(BROKEN);
    let failed = until("build_failed").await;
    assert_eq!(failed["serving"], 1);
    assert_eq!(failed["diagnostics"][0]["file"], "app_lib/src/lab.rs");
    host.checkout.write_lab(&GOOD.replace("said", "two"));
    let live = eventually("generation 2", async || {
        events()
            .into_iter()
            .find(|event| event["event"] == "live" && event["generation"] == 2)
    })
    .await;
    assert_eq!(live["files"][0], "app_lib/src/lab.rs");
    assert_eq!(live["backend_pid"], backend);
    assert_eq!(live["backends"], 1);
    assert!(live["build_ms"].as_f64().unwrap() > 0.0);
    until("retired").await;

    host.checkout.write(".env", "DRAIN_TIMEOUT_MS 9000\n");
    let refused = "✗ .env: Error parsing line: 'DRAIN_TIMEOUT_MS 9000', error at line index: 17\n          \
        keeping the previous settings; correct .env and save it";
    assert_eq!(until("settings_refused").await["text"], refused);
    fs::remove_file(host.checkout.path(".env")).unwrap();
    let accepted = until("settings_accepted").await;
    assert_eq!(accepted["text"], "✓ .env: the settings are in effect");

    let all = events();
    assert!(all.iter().all(|event| {
        event["time"]
            .as_str()
            .is_some_and(|time| time.contains('T'))
    }));
    let migrated = all
        .iter()
        .find(|event| event["event"] == "migrated")
        .unwrap();
    assert_eq!(migrated["migration"], "V1__create_counter");
    assert_eq!(migrated["text"], "migrated V1__create_counter");
    let names: Vec<_> = all
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .filter(|name| !matches!(*name, "migrated" | "progress" | "outage"))
        .collect();
    assert_eq!(
        names[..5],
        ["starting", "building", "loading", "live", "ready"]
    );
    let progress = all
        .iter()
        .find(|event| event["event"] == "progress")
        .unwrap();
    assert!(progress["total"].as_u64() > progress["built"].as_u64());
    assert_eq!(host.status().await.0["build"]["progress"], Value::Null);
    // What the app prints goes where the log goes, which has the clock of the events.
    let log = host.log();
    assert!(log.contains("a request speaks"));
    let logged = log.lines().find(|line| line.contains("the app logs"));
    let (stamp, _) = logged.unwrap().split_once(' ').unwrap();
    let at = DateTime::parse_from_rfc3339(stamp).unwrap();
    let first = DateTime::parse_from_rfc3339(all[0]["time"].as_str().unwrap()).unwrap();
    assert!(at > first && at.offset() == first.offset(), "{log}");
}
