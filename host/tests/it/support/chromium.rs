//! A real browser, headless, driven through WebDriver.
//!
//! A test hands it on to the next one: starting it takes two seconds of a processor. Where none is installed a test that
//! wants one says so and passes: `.ci/run` installs one.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use super::{eventually, seed::runs};

/// Browsers whose test has ended, with one empty tab.
static IDLE: Mutex<Vec<Chromium>> = Mutex::new(Vec::new());

/// Where sessions run: a test's own runtime ends before the browser does.
static SESSIONS: LazyLock<Runtime> = LazyLock::new(|| {
    let mut sessions = runtime::Builder::new_multi_thread();
    sessions.worker_threads(1).enable_all().build().unwrap()
});

pub(crate) struct Chromium {
    pub(crate) client: Client,
    _driver: Driver,
}

/// The process that starts the browser, in a group of its own with it. Ended on drop, or with the tests.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.0.id().cast_signed());
        killpg(group, Signal::SIGKILL).unwrap();
        self.0.wait().unwrap();
    }
}

impl Chromium {
    /// With one empty tab. `None`: there is no browser here.
    pub(crate) async fn start() -> Option<Self> {
        let idle = IDLE.lock().unwrap().pop();
        match idle {
            Some(browser) => Some(browser),
            None => SESSIONS.spawn(Self::launch()).await.unwrap(),
        }
    }

    async fn launch() -> Option<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| folder.join("chromedriver").is_file()) {
            skipped("no chromedriver in PATH: apt-get install chromium chromium-driver");
            return None;
        }
        // Nothing is dropped when the tests end, however they do, but the shell's input ends.
        let started = Command::new("sh")
            .args(["-c", r#""$@" & read -r _; kill -KILL 0"#, "sh"])
            .args(["chromedriver", "--port=0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut driver = Driver(started.unwrap());
        let port = port(&mut driver.0);
        let number = COUNT.fetch_add(1, Relaxed);
        let profile = runs().join(format!("{}/chromium-{number}", std::process::id()));
        let options = json!({ "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
            "--window-size=1100,900", "--force-color-profile=srgb", format!("--user-data-dir={}", profile.display()),
        ] }, "goog:loggingPrefs": { "browser": "ALL" } });
        let capabilities: Capabilities = serde_json::from_value(options).unwrap();
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self {
            client,
            _driver: driver,
        })
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        self.client.execute(&script, Vec::new()).await.unwrap()
    }

    /// Waits until an expression is true. Between two pages there is nothing to ask.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let script = format!("return Boolean({expression})");
        eventually(what, async || {
            let asked = self.client.execute(&script, Vec::new()).await;
            matches!(asked, Ok(Value::Bool(true))).then_some(())
        })
        .await;
    }

    pub(crate) async fn click(&self, css: &str) {
        // To the middle: what is brought just into view may lie under a bar.
        self.value(&format!(
            "document.querySelector('{css}').scrollIntoView({{ block: 'center' }})"
        ))
        .await;
        let found = self.client.find(Locator::Css(css)).await.unwrap();
        found.click().await.unwrap();
    }

    pub(crate) async fn press(&self, key: fantoccini::key::Key) {
        let value = char::from(key);
        let typed = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(typed).await.unwrap();
    }

    /// `light` or `dark`, as the user's system would ask for.
    pub(crate) async fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await;
    }

    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Keeps what is to be seen, as `target/tmp/screenshots/<name>.png`.
    pub(crate) async fn screenshot(&self, name: &str) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        let png = self.client.screenshot().await.unwrap();
        fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// What the page and its scripts have complained about.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let asked = self.command("se/log", json!({ "type": "browser" })).await;
        let entries = asked.as_array().unwrap();
        // A failed answer is what many tests want.
        let network = |entry: &&Value| entry["source"] != "network";
        entries
            .iter()
            .filter(network)
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What axe-core finds wrong with the page for those who cannot see it or use a mouse.
    pub(crate) async fn accessibility_faults(&self) -> Vec<String> {
        let Some(axe) = axe() else {
            skipped("no axe-core: npm install --prefix target/axe axe-core");
            return Vec::new();
        };
        // Policies of the page forbid a foreign script in it; the debugger may.
        self.cdp(
            "Runtime.evaluate",
            json!({ "expression": fs::read_to_string(axe).unwrap() }),
        )
        .await;
        let run = "axe.run().then(found => found.violations.map(fault => \
            fault.id + ': ' + fault.nodes.map(node => node.html).join(' | ')))";
        let asked = json!({ "expression": run, "awaitPromise": true, "returnByValue": true });
        let found = self.cdp("Runtime.evaluate", asked).await;
        serde_json::from_value(found["result"]["value"].clone())
            .unwrap_or_else(|_| panic!("axe ran: {found}"))
    }

    /// Opens a page, and asserts that it fits this width and has no faults for any reader. Keeps what is to be seen.
    pub(crate) async fn inspect(&self, url: &str, width: u32, scheme: &str, screenshot: &str) {
        self.resize(width, 800).await;
        self.prefer(scheme).await;
        self.open(url).await;
        // A tab of the dashboard is drawn by its script.
        let drawn = "!document.querySelector('main')?.hidden";
        self.until("the page to be drawn", drawn).await;
        let faults = self.faults(url, width, scheme).await;
        assert!(faults.is_empty(), "{faults:#?}");
        self.screenshot(screenshot).await;
    }

    /// What is wrong with the page as it is, at this width, for any reader.
    pub(crate) async fn faults(&self, what: &str, width: u32, scheme: &str) -> Vec<String> {
        let mut faults = self.accessibility_faults().await;
        // Not `innerWidth`: a phone shows all of a page that is too wide, only smaller.
        let wide = self.value("document.documentElement.scrollWidth").await;
        if wide.as_u64().unwrap() > width.into() {
            faults.push(format!("it is {wide} px wide"));
        }
        let with_place = |fault| format!("{what} at {width}, {scheme}: {fault}");
        faults.into_iter().map(with_place).collect()
    }

    /// Hands the browser on as if it had just started: with a new tab, without what pages have stored or said.
    pub(crate) async fn close(self) {
        for left in ["clearBrowserCookies", "clearBrowserCache"] {
            self.cdp(&format!("Network.{left}"), json!({})).await;
        }
        // What a test has emulated, and a page stored for its session, is bound to the tab.
        let used = self.client.windows().await.unwrap();
        let new = self.client.new_window(true).await.unwrap().handle;
        for window in used {
            self.client.switch_to_window(window).await.unwrap();
            self.client.close_window().await.unwrap();
        }
        self.client.switch_to_window(new).await.unwrap();
        self.complaints().await;
        IDLE.lock().unwrap().push(self);
    }

    async fn cdp(&self, command: &str, parameters: Value) -> Value {
        let asked = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", asked).await
    }

    async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client
            .issue_cmd(OfChromium { path, body })
            .await
            .unwrap()
    }
}

/// A command that only Chromium has.
#[derive(Debug)]
struct OfChromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for OfChromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn port(driver: &mut Child) -> u16 {
    let said = BufReader::new(driver.stdout.as_mut().unwrap()).lines();
    let port = said.map(Result::unwrap).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').parse().ok()
    });
    port.expect("chromedriver names its port")
}

fn axe() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    let file = target.join("axe/node_modules/axe-core/axe.min.js");
    file.is_file().then_some(file)
}

/// Past the test harness, which keeps what a passing test says.
pub(super) fn skipped(why: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "skipped in part: {why}").unwrap();
}
