//! What hot-lib-reloader uses of the crate notify-debouncer-full, without its polling.
//!
//! The original wakes up four times per debounce to see whether anything has happened: 800 times a second at the 5 ms
//! that a reload can afford. This one sleeps until something has. `[patch.crates-io]` in the workspace's `Cargo.toml`
//! puts it in place. Refuses to merge or reorder events: hot-lib-reloader only asks whether there were any.

use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use notify::{Event, EventKind, RecommendedWatcher};

/// What a debounce has collected.
pub type DebounceEventResult = Result<Vec<Event>, Vec<notify::Error>>;

/// A running watcher. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct Debouncer {
    watcher: RecommendedWatcher,
}

impl Debouncer {
    /// To add paths to.
    pub fn watcher(&mut self) -> &mut RecommendedWatcher {
        &mut self.watcher
    }
}

/// Tells `told` what has happened, `timeout` after the first of it. There are no ticks.
///
/// # Errors
///
/// If the system has no watcher or no thread left.
pub fn new_debouncer(
    timeout: Duration,
    _tick_rate: Option<Duration>,
    told: Sender<DebounceEventResult>,
) -> notify::Result<Debouncer> {
    let (sender, happened) = mpsc::channel();
    let watcher = notify::recommended_watcher(sender)?;
    thread::Builder::new()
        .name("debounce".to_owned())
        .spawn(move || debounce(&happened, timeout, &told))
        .map_err(notify::Error::io)?;
    Ok(Debouncer { watcher })
}

/// Runs until the watcher or the receiver of its events is dropped.
fn debounce(
    happened: &Receiver<notify::Result<Event>>,
    timeout: Duration,
    told: &Sender<DebounceEventResult>,
) {
    // The receiver opens the file for reading, and that must not count as the next change.
    let is_read = |event: &Event| matches!(event.kind, EventKind::Access(_));
    while let Ok(first) = happened.recv() {
        if first.as_ref().is_ok_and(is_read) {
            continue;
        }
        let until = Instant::now() + timeout;
        let rest = std::iter::from_fn(|| {
            let left = until.saturating_duration_since(Instant::now());
            happened.recv_timeout(left).ok()
        });
        let (mut events, mut errors) = (Vec::new(), Vec::new());
        for result in std::iter::once(first).chain(rest) {
            match result {
                Ok(event) if is_read(&event) => {}
                Ok(event) => events.push(event),
                Err(error) => errors.push(error),
            }
        }
        let events = (!events.is_empty()).then_some(Ok(events));
        let errors = (!errors.is_empty()).then_some(Err(errors));
        for result in events.into_iter().chain(errors) {
            if told.send(result).is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{AccessKind, CreateKind, ModifyKind};

    #[test]
    fn what_happens_together_is_told_once_and_reads_are_not() {
        let (sender, happened) = mpsc::channel();
        let (told, heard) = mpsc::channel();
        for kind in [
            EventKind::Access(AccessKind::Read),
            EventKind::Create(CreateKind::File),
            EventKind::Access(AccessKind::Read),
            EventKind::Modify(ModifyKind::Any),
        ] {
            sender.send(Ok(Event::new(kind))).expect("it is received");
        }
        drop(sender);
        debounce(&happened, Duration::from_millis(1), &told);
        drop(told);
        let heard: Vec<usize> = heard
            .iter()
            .map(|told| told.map_or(0, |all| all.len()))
            .collect();
        assert_eq!(heard, [2]);
    }
}
