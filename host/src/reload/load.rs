//! Loads a published library, checks that it fits this host, and pins it.
//!
//! hot-lib-reloader notices the publication, copies the file and opens the copy. It also closes the previous copy, in
//! which requests may still be running. So each image is pinned here by a second handle that is never closed: nothing
//! can prove that no pointer into the code is left, so code is never unmapped.
//! A library whose stamp differs from the host's is refused before any app function is called.

#![expect(
    unsafe_code,
    reason = "dlopen and symbols: the one place where a library becomes code"
)]

use std::{
    collections::HashSet,
    ffi::{CStr, c_void},
    io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use hot_lib_reloader::{HotReloaderError, LibReloader};
use libloading::os::unix::Library;
use shared::abi::{ENTRY_SYMBOL, Entry, Mismatch, STAMP_SYMBOL, Stamp};

use super::{
    once,
    publish::{LiveFolder, PublishError},
};
use crate::config::App;

/// hot-lib-reloader's debounce. A publication is a single rename, so there is nothing to wait for.
const DEBOUNCE: Duration = Duration::from_millis(1);

/// How long hot-lib-reloader may take to notice a publication. It takes a few milliseconds.
const NOTICE_LIMIT: Duration = Duration::from_secs(3);

/// Why a library was not loaded. In all cases the active generation is untouched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("cannot publish the library: {0}")]
    Publish(#[from] PublishError),
    #[error("cannot open the library: {0}; fix that, then press r or save again")]
    Open(#[from] HotReloaderError),
    #[error(
        "the library has no `{symbol}`: does its lib.rs still have `shared::export_app!(app)`?"
    )]
    NotAnApp { symbol: &'static str },
    #[error("the library does not fit this host: {0}")]
    Mismatch(#[from] Mismatch),
    #[error("the library was opened but could not be pinned: {0}")]
    Pin(String),
    #[error("the loader returned an image that is already loaded, at {0}")]
    SeenBefore(String),
    #[error("hot-lib-reloader did not notice the new library within {} s", NOTICE_LIMIT.as_secs())]
    Unnoticed,
}

/// Loads one library after another.
pub(crate) struct Loader {
    live: LiveFolder,
    /// The name of the app's crate.
    library: String,
    /// One for the whole process, since each leaves threads behind when dropped. Created at the first publication,
    /// since it needs a file to watch.
    reloader: Option<(LibReloader, Receiver<()>)>,
    /// Entry addresses returned so far. An address seen before means that the loader returned an old image.
    seen: HashSet<usize>,
    attempts: u32,
}

impl Loader {
    /// Takes over `folder`.
    pub(crate) fn new(app: &App, folder: PathBuf) -> io::Result<Self> {
        Ok(Self {
            live: LiveFolder::new(folder, &app.crate_name)?,
            library: app.crate_name.clone(),
            reloader: None,
            seen: HashSet::new(),
            attempts: 0,
        })
    }

    /// Publishes and loads `artifact`. `None` if the same bytes were opened last and `again` is false. Blocks for a few
    /// milliseconds.
    pub(crate) fn load(
        &mut self,
        artifact: &Path,
        again: bool,
    ) -> Result<Option<Entry>, LoadError> {
        let Some(published) = self.live.publish(artifact, again)? else {
            return Ok(None);
        };
        if let Err(error) = self.open() {
            self.live.remove_copies();
            return Err(error);
        }
        self.live.loaded(published);
        let (reloader, _) = self.reloader.as_ref().ok_or(LoadError::Unnoticed)?;
        let entry = checked_entry(reloader)?;
        let (image, base) = pin(entry)?;
        if !self.seen.insert(entry as usize) {
            return Err(LoadError::SeenBefore(image));
        }
        if let Err(error) = once::make_repeatable(Path::new(&image), base) {
            tracing::warn!("the app may fail to set its logger again: {image}: {error}");
        }
        Ok(Some(entry))
    }

    fn open(&mut self) -> Result<(), LoadError> {
        let noticed = match &mut self.reloader {
            Some((reloader, changed)) => update(reloader, changed)?,
            None => false,
        };
        if !noticed {
            // The first library, or a watch that was lost. The copies get a new name pattern: a new reloader counts
            // from zero again and would overwrite an image that is in use.
            self.attempts += 1;
            let name = format!("{{lib_name}}-{{pid}}-{}-g{{load_counter}}", self.attempts);
            let mut reloader = LibReloader::new(
                self.live.folder(),
                &self.library,
                Some(DEBOUNCE),
                Some(name),
            )?;
            let changed = reloader.subscribe_to_file_changes();
            self.reloader = Some((reloader, changed));
        }
        Ok(())
    }
}

/// Waits until the reloader has noticed the publication and opened it. `false` if it did not.
fn update(reloader: &mut LibReloader, changed: &Receiver<()>) -> Result<bool, LoadError> {
    loop {
        match changed.recv_timeout(NOTICE_LIMIT) {
            Ok(()) if reloader.update()? => return Ok(true),
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                tracing::warn!("{}; watching again", LoadError::Unnoticed);
                return Ok(false);
            }
        }
    }
}

/// The entry of the open library, if its stamp says that it fits.
fn checked_entry(reloader: &LibReloader) -> Result<Entry, LoadError> {
    // SAFETY: `app_stamp` is made by `export_app!` alone and is a `Stamp`, whose layout is `repr(C)` and the same in
    // every build. The library stays open for as long as the symbol is borrowed.
    let stamp = unsafe { reloader.get_symbol::<*const Stamp>(STAMP_SYMBOL) }.map_err(|_| {
        LoadError::NotAnApp {
            symbol: "app_stamp",
        }
    })?;
    // SAFETY: the address of a static in the mapped library, see above, and nothing writes to it.
    unsafe { &**stamp }.check()?;
    // SAFETY: the stamp matches, so `app_entry` was made by this build's `export_app!` and has this type.
    let entry =
        unsafe { reloader.get_symbol::<Entry>(ENTRY_SYMBOL) }.map_err(|_| LoadError::NotAnApp {
            symbol: "app_entry",
        })?;
    // Copied: the borrow ends here, and `pin` keeps the address valid for ever.
    Ok(*entry)
}

/// Takes a second reference to the image that contains `entry` and leaks it, so that the image is never unmapped.
/// Returns its file and its address.
fn pin(entry: Entry) -> Result<(String, usize), LoadError> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `entry` is an address in a mapped image; `info` is a place to write to.
    let found = unsafe { libc::dladdr(entry as *const c_void, info.as_mut_ptr()) };
    if found == 0 {
        return Err(LoadError::Pin("dladdr knows no image at its entry".into()));
    }
    // SAFETY: all-zero is a valid `Dl_info` (null pointers), and dladdr filled it in.
    let info = unsafe { info.assume_init() };
    // SAFETY: dladdr's name is a C string owned by the loader for as long as the image is mapped.
    let path = unsafe { CStr::from_ptr(info.dli_fname) }
        .to_string_lossy()
        .into_owned();
    // SAFETY: RTLD_NOLOAD loads nothing, so no initialiser runs: it counts one more reference to what is mapped.
    let image = unsafe {
        Library::open(
            Some(&path),
            libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NOLOAD,
        )
    };
    // Leaked on purpose: without an owner it is never closed.
    let _kept = image
        .map_err(|error| LoadError::Pin(error.to_string()))?
        .into_raw();
    Ok((path, info.dli_fbase.addr()))
}
