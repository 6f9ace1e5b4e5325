//! The host's own files: whether a build has replaced them since this process started.

use std::{env, io, path::PathBuf};

use procfs::process::{MMapPath, Process};

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
        let files = FileStamps::of(dylib().into_iter().chain([executable.clone()]));
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

/// The `shared` dylib that this process has loaded. As a dependency from git it has a hash in its name and lies in
/// another folder, so the memory map is asked. `None` where the system has none: then only the executable tells.
fn dylib() -> Option<PathBuf> {
    let maps = Process::myself().and_then(|me| me.maps()).ok()?;
    maps.into_iter().find_map(|mapping| match mapping.pathname {
        MMapPath::Path(path) => {
            let name = path
                .file_name()?
                .to_str()?
                .strip_prefix(env::consts::DLL_PREFIX)?;
            (name.starts_with("shared_dylib") && name.ends_with(env::consts::DLL_SUFFIX))
                .then_some(path)
        }
        _ => None,
    })
}
