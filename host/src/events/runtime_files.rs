//! Saves of files that the app reads at run time: a stylesheet, a template. A page compares them with what it was made
//! from.

use std::{collections::VecDeque, path::PathBuf};

use serde::Serialize;

/// How many saved files are remembered; a page that is older is rendered again, whatever was saved.
const REMEMBERED: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct RuntimeFiles {
    /// Counts the saves.
    pub(crate) revision: u64,
    /// The last ones, oldest first.
    pub(crate) saved: VecDeque<SavedFile>,
}

/// One of the files of a save.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SavedFile {
    pub(crate) revision: u64,
    /// Without its folder.
    pub(crate) name: String,
}

impl RuntimeFiles {
    /// These files were saved together.
    pub(crate) fn save<'a>(&mut self, files: impl IntoIterator<Item = &'a PathBuf>) {
        self.revision += 1;
        let revision = self.revision;
        let names = files.into_iter().filter_map(|file| file.file_name());
        self.saved.extend(names.map(|name| SavedFile {
            revision,
            name: name.to_string_lossy().into_owned(),
        }));
        // Only whole revisions, so that those that are left say all.
        while self.saved.len() > REMEMBERED {
            let oldest = self.saved.front().map(|file| file.revision);
            self.saved.retain(|file| Some(file.revision) != oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_of_a_save(count: u32) -> Vec<PathBuf> {
        let files = (0..count).map(|number| format!("static/{number}.css").into());
        files.collect()
    }

    #[test]
    fn a_revision_is_remembered_as_a_whole_or_not_at_all() {
        let mut files = RuntimeFiles::default();
        for _ in 0..10 {
            files.save(&files_of_a_save(9));
        }
        assert_eq!(files.revision, 10);
        let kept: Vec<u64> = files.saved.iter().map(|file| file.revision).collect();
        assert_eq!(kept.len(), 63);
        assert_eq!((kept[0], kept[62]), (4, 10));
        files.save(&files_of_a_save(100));
        assert!(files.saved.is_empty(), "too many at once");
    }
}
