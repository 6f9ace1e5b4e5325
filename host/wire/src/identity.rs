//! Whose sessions the backends are: what clients must name.

/// Whose sessions the backends are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
}
