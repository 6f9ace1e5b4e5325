//! Opens a page in the user's browser.

use std::process::Stdio;

use super::line;
use crate::config::{Project, environment::restore_user_environment};

/// Tries the system's launchers one after another. If none succeeds, prints the URL.
pub(super) async fn browse(url: String) {
    for mut launcher in open::commands(&url) {
        if let Ok(project) = Project::find() {
            restore_user_environment(&mut launcher, project.root());
        }
        let mut launcher = tokio::process::Command::from(launcher);
        // Its own process group, so that Ctrl-C here does not end the browser.
        launcher
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        if launcher.status().await.is_ok_and(|status| status.success()) {
            return;
        }
    }
    line(format_args!("cannot start a browser; open {url}"));
}
