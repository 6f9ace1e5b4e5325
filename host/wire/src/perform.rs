//! Carries out what a change of state asks for: opens and closes backends, sends cancels, comes back later.

use std::{sync::Arc, time::Duration};

use crate::{core::Action, exchange::Inner, ports::State, reply::Refusal};

/// How long a cancel may take to be handled. After that it is given up.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

impl Inner {
    pub(crate) fn perform(&self, action: Action, state: &mut State) {
        let Some(me) = self.me.upgrade() else { return };
        match action {
            Action::OpenShared => {
                let has_local = state.core.local.is_some();
                self.spawn(async move { me.open_shared(has_local).await });
            }
            Action::OpenOwn(client) => self.spawn(async move {
                match me.open.open_own().await {
                    Ok(connection) => me.add_own(client, connection),
                    Err(why) => me.with(|core| core.not_moved(client, &why)),
                }
            }),
            Action::Close(backend) => {
                if let Some(line) = state.lines.get(&backend) {
                    line.stop.cancel();
                }
            }
            Action::Cancel(backend) => {
                let cancel = state.lines.get(&backend).map(|line| line.cancel.clone());
                self.spawn(async move {
                    if let Some(cancel) = cancel {
                        match tokio::time::timeout(CANCEL_LIMIT, cancel.send()).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => {
                                tracing::warn!("a statement could not be cancelled: {error}")
                            }
                            Err(_) => tracing::warn!(
                                "a statement could not be cancelled: no answer within {} s",
                                CANCEL_LIMIT.as_secs()
                            ),
                        }
                    }
                    me.with(|core| core.cancelled(backend));
                });
            }
            Action::After(time, timer) => self.spawn(async move {
                tokio::time::sleep(time).await;
                me.with(|core| core.after(timer));
            }),
        }
    }

    async fn open_shared(self: Arc<Self>, has_local: bool) {
        let opened = if has_local {
            // The `Db` has its stream; only the backend behind it is gone.
            let opened = self.open.open_own().await;
            opened.map(|connection| {
                // Without it, it has moved, perhaps to another database: it is asked instead.
                if self.with(|core| core.local.is_none()) {
                    return;
                }
                self.add_shared(connection, false);
            })
        } else {
            self.open.open_shared().await
        };
        match opened {
            Ok(()) => self.with(|core| {
                core.is_opening &= core.shared.is_some();
                core.pump_shared();
            }),
            Err(why) => {
                let why = Refusal::new("08006", format!("no connection to the database: {why}"));
                self.with(|core| core.not_opened(&why));
            }
        }
    }
}
