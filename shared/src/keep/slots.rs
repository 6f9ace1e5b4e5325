//! The values by name, and who makes one right now. Owns the rule that a name has one maker at a time, and that newer
//! code takes over from older: its maker may be the one that hangs. Knows neither runtimes nor which types may be kept.

use std::{any::Any, collections::BTreeMap, sync::Arc, time::Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::KeptValue;

pub(super) type Anything = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
pub(super) struct Slots(watch::Sender<BTreeMap<String, Slot>>);

struct Slot {
    type_name: &'static str,
    generation: u64,
    since: Instant,
    content: Content,
}

enum Content {
    /// With what tells the maker that newer code has taken over.
    Making(CancellationToken),
    Made(Anything),
}

/// A value, and where it is from.
pub(super) struct Made {
    pub(super) value: Anything,
    pub(super) type_name: &'static str,
    pub(super) generation: u64,
}

/// What a call gets.
pub(super) enum Turn<'a> {
    Made(Made),
    Mine(Claim<'a>),
}

impl Slot {
    fn made(&self) -> Option<Made> {
        match &self.content {
            Content::Making(_) => None,
            Content::Made(value) => Some(Made {
                value: value.clone(),
                type_name: self.type_name,
                generation: self.generation,
            }),
        }
    }
}

impl Slots {
    /// The value, or the right to make it. Waits while code of this generation, or of a newer one, makes it.
    pub(super) async fn turn<'a>(
        &'a self,
        name: &'a str,
        generation: u64,
        type_name: &'static str,
    ) -> Turn<'a> {
        // Subscribed before the first look: no change in between is missed.
        let mut changes = self.0.subscribe();
        loop {
            let mut turn = None;
            self.0.send_if_modified(|slots| {
                if let Some(slot) = slots.get(name) {
                    turn = slot.made().map(Turn::Made);
                    match &slot.content {
                        Content::Making(over) if slot.generation < generation => over.cancel(),
                        _ => return false,
                    }
                }
                let over = CancellationToken::new();
                let slot = Slot {
                    type_name,
                    generation,
                    since: Instant::now(),
                    content: Content::Making(over.clone()),
                };
                slots.insert(name.to_owned(), slot);
                turn = Some(Turn::Mine(Claim {
                    slots: self,
                    name,
                    over,
                }));
                true
            });
            match turn {
                Some(turn) => return turn,
                None => changes.changed().await.expect("the sender is here"),
            }
        }
    }

    /// The value, once nobody makes it any more; `None` if there is none then.
    pub(super) async fn made(&self, name: &str) -> Option<Made> {
        let is_settled = |slots: &BTreeMap<String, Slot>| {
            let slot = slots.get(name);
            slot.is_none_or(|slot| matches!(slot.content, Content::Made(_)))
        };
        let mut changes = self.0.subscribe();
        let slots = changes.wait_for(is_settled).await;
        slots.expect("the sender is here").get(name)?.made()
    }

    /// Removes a value, unless it is being made.
    pub(super) fn take(&self, name: &str) -> Option<Anything> {
        let mut taken = None;
        self.0.send_if_modified(|slots| {
            if slots.get(name).is_some_and(|slot| slot.made().is_some()) {
                taken = slots.remove(name);
            }
            taken.is_some()
        });
        Some(taken?.made()?.value)
    }

    pub(super) fn list(&self) -> Vec<KeptValue> {
        let slots = self.0.borrow();
        let shown = slots.iter().map(|(name, slot)| KeptValue {
            name: name.clone(),
            type_name: slot.type_name,
            generation: slot.generation,
            age_s: slot.since.elapsed().as_secs_f64(),
            made: matches!(slot.content, Content::Made(_)),
        });
        shown.collect()
    }
}

/// The right to make a value. Dropped without one, it leaves no trace, and the next call has its turn.
pub(super) struct Claim<'a> {
    slots: &'a Slots,
    name: &'a str,
    /// Cancelled once the slot is not this claim's any more.
    over: CancellationToken,
}

impl Claim<'_> {
    /// Waits until newer code has taken over.
    pub(super) async fn superseded(&self) {
        self.over.cancelled().await;
    }

    /// Keeps the value; `None` if newer code has taken over.
    pub(super) fn fulfil(self, value: Anything) -> Option<Made> {
        self.finish(|slots| {
            let slot = slots.get_mut(self.name)?;
            slot.content = Content::Made(value);
            slot.since = Instant::now();
            slot.made()
        })
    }

    /// Ends the claim by a change of its slot, unless it is over: that is decided under the same lock.
    fn finish<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Slot>) -> Option<T>,
    ) -> Option<T> {
        let mut changed = None;
        self.slots.0.send_if_modified(|slots| {
            if !self.over.is_cancelled() {
                self.over.cancel();
                changed = change(slots);
            }
            changed.is_some()
        });
        changed
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        drop(self.finish(|slots| slots.remove(self.name)));
    }
}
