//! Lets an app call again what may be called once per process.
//!
//! A program sets its logger once, with `tracing_subscriber::fmt().init()`, and that panics if there is one already.
//! Under this host there always is one, and each generation calls it again. So a library's calls of such functions go
//! to the ones in this file instead, which succeed and change nothing. Only functions in the dylib need that: what is
//! linked into a library is new in each.
//!
//! A library calls a function of the dylib through a slot that the dynamic linker has filled with its address. The
//! slots are listed in the library's file. They are changed before any function of the library is called.

#![expect(unsafe_code, reason = "writes to slots of the dynamic linker")]

use std::{
    fs::File,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use log::{Log, SetLoggerError};
use object::{Object, ReadCache, RelocationTarget};
use rustls::crypto::CryptoProvider;
use shared::BoxError;
use tracing::{Dispatch, callsite, dispatcher, subscriber::SetGlobalDefaultError};

/// Changes the slots of the image that was loaded from the file at `path` to `base`.
pub(super) fn make_repeatable(path: &Path, base: usize) -> Result<(), BoxError> {
    let replacements = replacements();
    for offset in imports(path)? {
        let slot = base + offset;
        if !slot.is_multiple_of(align_of::<AtomicUsize>()) {
            continue; // not a slot that code calls through
        }
        // SAFETY: the file says that the linker has written the address of a symbol here, and the image is never
        // unmapped. Nobody else writes here: `-z now`, which rustc passes, has all slots filled on loading.
        let slot = unsafe { AtomicUsize::from_ptr(slot as *mut usize) };
        let imported = slot.load(Relaxed);
        if let Some((_, ours)) = replacements.iter().find(|(theirs, _)| *theirs == imported) {
            make_writable(slot)?;
            slot.store(*ours, Relaxed);
        }
    }
    Ok(())
}

/// The address of each function that is replaced, and of the one in its place, of the same type.
fn replacements() -> [(usize, usize); 4] {
    macro_rules! replace {
        ($theirs:expr, $ours:expr, $signature:ty) => {{
            let pair: [$signature; 2] = [$theirs, $ours];
            (pair[0] as usize, pair[1] as usize)
        }};
    }
    [
        replace!(
            dispatcher::set_global_default,
            set_global_default,
            fn(Dispatch) -> Result<(), SetGlobalDefaultError>
        ),
        replace!(
            log::set_logger,
            set_logger,
            fn(&'static dyn Log) -> Result<(), SetLoggerError>
        ),
        replace!(
            log::set_boxed_logger,
            set_boxed_logger,
            fn(Box<dyn Log>) -> Result<(), SetLoggerError>
        ),
        replace!(
            CryptoProvider::install_default,
            install_default,
            fn(CryptoProvider) -> Result<(), Arc<CryptoProvider>>
        ),
    ]
}

/// The host's subscriber shows the app's lines.
fn set_global_default(of_the_app: Dispatch) -> Result<(), SetGlobalDefaultError> {
    drop(of_the_app);
    callsite::rebuild_interest_cache(); // it was asked what it wants to see when it was made
    tracing::debug!("the app sets a tracing subscriber: the dev server's own stays in use");
    Ok(())
}

fn set_logger(_: &'static dyn Log) -> Result<(), SetLoggerError> {
    Ok(())
}

fn set_boxed_logger(_: Box<dyn Log>) -> Result<(), SetLoggerError> {
    Ok(())
}

/// The first one stays.
fn install_default(of_the_app: CryptoProvider) -> Result<(), Arc<CryptoProvider>> {
    match of_the_app.install_default() {
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where the slots for symbols of other libraries are, from the start of the image.
fn imports(path: &Path) -> Result<Vec<usize>, BoxError> {
    let file = ReadCache::new(File::open(path)?);
    let library = object::File::parse(&file)?;
    let relocations = library.dynamic_relocations().into_iter().flatten();
    let of_symbols = relocations
        .filter(|(_, relocation)| matches!(relocation.target(), RelocationTarget::Symbol(_)));
    Ok(of_symbols
        .map(|(offset, _)| usize::try_from(offset))
        .collect::<Result<_, _>>()?)
}

/// The linker leaves its slots read-only. Afterwards their page stays writable, as some of it may have been before.
fn make_writable(slot: &AtomicUsize) -> io::Result<()> {
    let size = usize::try_from(procfs::page_size()).expect("a page fits into memory");
    let page = slot.as_ptr().addr() / size * size;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page of a slot holds data only, and is readable already.
    match unsafe { libc::mprotect(page as *mut libc::c_void, size, protection) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
