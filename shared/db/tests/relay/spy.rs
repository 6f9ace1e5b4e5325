//! A relay that shares with nobody: it passes everything on and keeps a log.

use std::{
    any::Any,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use shared_db::{Cancel, Established, Relay, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Statements that are logged.
const WORDS: [&str; 6] = [
    "BEGIN", "COMMIT", "ROLLBACK", "LISTEN a", "UNLISTEN", "SET lock",
];

#[derive(Clone, Default)]
pub(crate) struct Spy(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    log: Vec<&'static str>,
    greeting: Vec<u8>,
    cancel: Option<Cancel>,
    refuses: bool,
    mute: bool,
}

impl Spy {
    /// What has been seen since the last call.
    pub(crate) fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Of the last connection.
    pub(crate) fn greeting(&self) -> Vec<u8> {
        self.0.lock().unwrap().greeting.clone()
    }

    /// Whether it passes on what the server says.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.0.lock().unwrap().mute = mute;
    }

    /// No cancel gets through any more.
    pub(crate) fn refuse_cancels(&self) {
        self.0.lock().unwrap().refuses = true;
    }

    fn note(&self, what: &'static str) {
        self.0.lock().unwrap().log.push(what);
    }
}

impl Relay for Spy {
    fn take(&self, connection: Established) -> Box<dyn Stream> {
        self.note("take");
        let mut seen = self.0.lock().unwrap();
        seen.greeting = connection.greeting.to_vec();
        seen.cancel = Some(connection.cancel);
        Box::new(Passing {
            stream: connection.stream,
            spy: self.clone(),
            mute: seen.mute,
        })
    }

    fn hold(&self) -> Box<dyn Any + Send + Sync> {
        self.note("hold");
        Box::new(Noted(self.clone(), "release"))
    }

    fn cancel(&self) -> BoxFuture<'_, Result<(), io::Error>> {
        self.note("cancel");
        let seen = self.0.lock().unwrap();
        let cancel = seen.cancel.clone().filter(|_| !seen.refuses);
        Box::pin(async move {
            match cancel {
                Some(cancel) => cancel.send().await,
                None => Err(io::Error::other("refused")),
            }
        })
    }
}

/// Notes the end.
struct Noted(Spy, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

struct Passing {
    stream: Box<dyn Stream>,
    spy: Spy,
    mute: bool,
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.spy.note("closed");
    }
}

impl AsyncRead for Passing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.mute {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Passing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let text = String::from_utf8_lossy(bytes);
        let mut found: Vec<_> = WORDS
            .iter()
            .filter_map(|word| Some((text.find(word)?, *word)))
            .collect();
        found.sort_unstable();
        found.into_iter().for_each(|(_, word)| self.spy.note(word));
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
