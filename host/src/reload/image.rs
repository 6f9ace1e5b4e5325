//! The host's own files: whether a build has replaced them since this process started.

use std::{env, io, path::PathBuf};

use super::file_stamps::FileStamps;

/// The files this process runs from, as they were when it started.
pub(crate) struct Image {
    /// Read at the start: once the linker has replaced the file, `/proc` only names a deleted one.
    executable: PathBuf,
    files: FileStamps,
}

impl Image {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let executable = env::current_exe()?;
        let dylib = format!(
            "{}shared_dylib{}",
            env::consts::DLL_PREFIX,
            env::consts::DLL_SUFFIX
        );
        let beside = executable.with_file_name(dylib);
        let files = FileStamps::of([executable.clone(), beside]);
        Ok(Self { executable, files })
    }

    /// Whether a build has replaced the host or the `shared` dylib that host and app both link.
    pub(crate) fn has_changed(&self) -> bool {
        self.files.have_changed()
    }

    pub(crate) fn executable(&self) -> PathBuf {
        self.executable.clone()
    }
}
