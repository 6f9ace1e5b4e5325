//! libpq's variables, which are not settings here: a hint for users who expect them to work.

use super::{Env, Variables};

/// Those that decide where and how to connect; the rest of libpq's variables would not mislead anyone.
const LIBPQ_VARIABLES: [&str; 14] = [
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
    LIBPQ_VARIABLES.into_iter().filter(set).collect()
}

impl Env {
    /// A hint, if libpq's variables are set but `DATABASE_URL` is not.
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
        match self.libpq_variables.as_slice() {
            [] => None,
            [one] => Some(format!("{one} is set and not read here: set DATABASE_URL")),
            several => Some(format!(
                "{} are set and not read here: set DATABASE_URL",
                several.join(", ")
            )),
        }
    }
}
