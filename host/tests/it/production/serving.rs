//! A process of the production binary: in a folder of its own, so that any number of them run at once.

use std::{
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use super::built;
use crate::support::{Server, client, eventually};

/// What is answered there.
pub(super) async fn text_at(url: &str) -> String {
    let answer = client().get(url).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Killed when dropped.
pub(super) struct Serving {
    pub(super) base: String,
    /// Its working directory: where the gates of the lab are.
    pub(super) folder: TempDir,
    process: Child,
    said: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

impl Serving {
    /// Waits until it serves.
    pub(super) async fn start(server: &Server, settings: &[(&str, &str)]) -> Self {
        let (checkout, binary) = built();
        Self::start_by(checkout.command(binary), server, settings).await
    }

    /// By `command`, which ends up as the binary.
    pub(super) async fn start_by(
        command: std::process::Command,
        server: &Server,
        settings: &[(&str, &str)],
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let url = format!(
            "postgres://postgres@127.0.0.1:{}/postgres?application_name=lab",
            server.port
        );
        let mut process = Command::from(command)
            .args(["serve", "--port", "0"])
            .env("DATABASE_URL", url)
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let said = Arc::<Mutex<String>>::default();
        let heard = said.clone();
        let reading = tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                heard.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let mut serving = Self {
            base: String::new(),
            folder,
            process,
            said,
            reading,
        };
        serving.base = eventually("it to serve", async || {
            let ended = serving.process.try_wait().unwrap();
            assert_eq!(ended, None, "{}", serving.said());
            let said = serving.said();
            let (_, rest) = said.split_once("serving on http://")?;
            let (address, _) = rest.split_once('/')?;
            Some(format!("http://{address}"))
        })
        .await;
        serving
    }

    pub(super) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// What it answers, with a connection of its own.
    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.base);
        let answer = client().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(super) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub(super) fn terminate(&self) {
        let pid = self.process.id().unwrap().cast_signed();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }

    /// How it ended, and all that it said.
    pub(super) async fn ended(mut self) -> (ExitStatus, String) {
        let ended = eventually("the process to end", async || {
            self.process.try_wait().unwrap()
        });
        let status = ended.await;
        self.reading.await.unwrap();
        let said = self.said.lock().unwrap().clone();
        (status, said)
    }
}
