//! A number for all migrations, by which a database that has them is found again.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use crate::files::Files;

impl Files {
    /// Changes with the files, their order and their tool.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        // Stable between builds, unlike std's.
        let mut hasher = SipHasher13::new();
        self.style.to_string().hash(&mut hasher);
        for file in &self.list {
            (&file.named.name, &file.named.version, &file.sql).hash(&mut hasher);
        }
        hasher.finish()
    }
}
