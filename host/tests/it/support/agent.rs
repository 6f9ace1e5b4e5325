//! A coding agent, as far as the protocol goes: the official Python client, as a process.
//!
//! Where it is not installed, a test that wants one says so and passes: `.ci/run` installs it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{Host, chromium::skipped};

/// Connects, lists the tools, then calls the ones that it is asked to. Each message is one line of JSON.
const CLIENT: &str = r#"
import asyncio, json, sys
from mcp import Client

def say(value):
    print(json.dumps(value), flush=True)

async def main():
    async with Client(sys.argv[1], mode=sys.argv[2]) as client:
        tools = (await client.list_tools()).tools
        say({
            "protocol": client.protocol_version,
            "instructions": client.instructions,
            "tools": [tool.model_dump(mode="json", by_alias=True) for tool in tools],
        })
        for line in sys.stdin:
            tool, arguments = json.loads(line)
            result = await client.call_tool(tool, arguments)
            say([result.is_error, result.content[0].text])

asyncio.run(main())
"#;

pub(crate) struct Agent {
    _process: Child,
    says: ChildStdin,
    hears: Lines<BufReader<ChildStdout>>,
    /// What the server said when they met.
    pub(crate) server: Value,
}

impl Agent {
    /// `mode`: `auto` for today's protocol, `legacy` for the one that begins with `initialize`. `None`: there is no
    /// client here.
    pub(crate) async fn meet(host: &Host, mode: &str) -> Option<Self> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
        let library = target.join("mcp");
        if !library.join("mcp").is_dir() {
            skipped("no MCP client: python3 -m pip install --target target/mcp mcp");
            return None;
        }
        let mut command = Command::new("python3");
        command
            .args(["-c", CLIENT, &host.url("/__dev/mcp"), mode])
            .env("PYTHONPATH", library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut agent = Self {
            says: process.stdin.take().unwrap(),
            hears: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
            server: Value::Null,
        };
        agent.server = agent.hear().await;
        Some(agent)
    }

    /// What a tool answers.
    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        match self.ask(tool, arguments).await {
            (false, text) => serde_json::from_str(&text).unwrap(),
            (true, why) => panic!("{tool}: {why}"),
        }
    }

    /// Why a tool has no answer.
    pub(crate) async fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let (is_error, text) = self.ask(tool, arguments).await;
        assert!(is_error, "{tool}: {text}");
        text
    }

    async fn ask(&mut self, tool: &str, arguments: Value) -> (bool, String) {
        let line = format!("{}\n", json!([tool, arguments]));
        self.says.write_all(line.as_bytes()).await.unwrap();
        serde_json::from_value(self.hear().await).unwrap()
    }

    async fn hear(&mut self) -> Value {
        let line = self.hears.next_line().await.unwrap();
        serde_json::from_str(&line.expect("the client runs")).unwrap()
    }
}
