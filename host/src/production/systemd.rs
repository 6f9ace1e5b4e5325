//! Tells systemd that the process serves and that it ends (`sd_notify`), if it asks with `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// The app has started, and requests are answered.
pub(super) fn ready() {
    tell(&NotifyState::Ready);
}

/// A signal came.
pub(super) fn stopping() {
    tell(&NotifyState::Stopping);
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!("cannot tell systemd {state} at NOTIFY_SOCKET: {error}");
    }
}
