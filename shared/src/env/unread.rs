//! libpq's variables, which are not settings here: what to say when somebody relies on them.

use super::{Env, Variables};

/// Those that say where to connect, as whom and how; the rest of libpq's list would mislead nobody.
const OF_LIBPQ: [&str; 14] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGCHANNELBINDING",
    "PGTARGETSESSIONATTRS",
];

/// Which of them are set.
pub(super) fn found(variables: &Variables) -> Vec<&'static str> {
    let set = |name: &&str| {
        let found = variables.values.get(*name);
        found.is_some_and(|(value, _)| !value.trim().is_empty())
    };
    OF_LIBPQ.into_iter().filter(set).collect()
}

impl Env {
    /// A sentence, if there is no `DATABASE_URL` and libpq's variables are set, as if they were meant.
    ///
    /// ```
    /// use shared::env::{Env, Variables};
    ///
    /// let host = ("PGHOST".into(), "db.example".into());
    /// let env = Env::read(&Variables::default().with(".env", [host])).unwrap();
    /// assert_eq!(env.unread().unwrap(), "PGHOST is set and not read here: set DATABASE_URL");
    /// ```
    #[must_use]
    pub fn unread(&self) -> Option<String> {
        if self.database_url.is_some() {
            return None;
        }
        match self.of_libpq.as_slice() {
            [] => None,
            [one] => Some(format!("{one} is set and not read here: set DATABASE_URL")),
            several => Some(format!(
                "{} are set and not read here: set DATABASE_URL",
                several.join(", ")
            )),
        }
    }
}
