//! An error of the app's, in full and as text: its type is the app's and goes where it came from.

use std::{error::Error, io};

/// The error with all its causes. For a file that is missing it says where a relative path begins, since the system
/// names neither.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut is_missing_file) = (error.to_string(), false);
    let mut next = Some(error);
    while let Some(cause) = next {
        let message = cause.to_string();
        // Some errors repeat their cause.
        if !text.ends_with(&message) {
            text.push_str(&format!(": {message}"));
        }
        is_missing_file |= cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
        next = cause.source();
    }
    if is_missing_file && let Ok(here) = std::env::current_dir() {
        text.push_str(&format!(
            "; relative paths begin in the working directory, {}",
            here.display()
        ));
    }
    text
}
