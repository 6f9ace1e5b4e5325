//! An app's error as text. Its type belongs to the app, so the host must not keep the error itself.

use std::{error::Error, io};

/// The error with all its causes. For a missing file it adds the working directory, since the system's message names
/// neither the file nor where relative paths start.
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

#[cfg(test)]
mod tests {
    use shared::DbError;

    use super::*;

    #[test]
    fn what_an_error_says_itself_is_not_said_again_by_its_causes() {
        let refused = "no such thing".parse::<tokio_postgres::Config>();
        let error = DbError::Statement(refused.expect_err("it is no URL"));
        assert_eq!(with_causes(&error), error.to_string());
        let missing = io::Error::from(io::ErrorKind::NotFound);
        assert!(with_causes(&missing).contains("; relative paths begin in the working directory"));
    }
}
