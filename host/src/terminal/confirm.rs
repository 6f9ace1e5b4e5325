//! A question before the host runs, and so before there are keys.

use super::{screen::print, tty::Tty};

/// Asks, and waits for a line; whether it says yes. No, if no user can type. Cancel-safe.
pub(crate) async fn confirm(question: String) -> bool {
    let Some(tty) = Tty::of_a_user().filter(Tty::in_foreground) else {
        return false;
    };
    print(format_args!("\n  {question} [y/N] "));
    let mut line = Line { open: true };
    let typed = tty.typed().await.unwrap_or_default();
    line.open = !typed.ends_with(b"\n");
    let answer = String::from_utf8_lossy(&typed).trim().to_lowercase();
    matches!(answer.as_str(), "y" | "yes")
}

/// The line of the question. What is printed after it begins a new one, also after Ctrl-C and Ctrl-D.
struct Line {
    open: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.open {
            print(format_args!("\n"));
        }
    }
}
